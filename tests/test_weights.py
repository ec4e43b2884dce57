"""Weights are read without running code, checked strictly, and fetched whole or not at all."""

import hashlib
import http.server
import os
import pickle
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from common.device import choose_device
from common.errors import UserError
from common.weights import WeightsError, fetch, load_state_dict, load_strict, sha256

ROOT = Path(__file__).resolve().parents[1]
CONTENT = bytes(range(256)) * 9000  # more than a chunk
SUM = hashlib.sha256(CONTENT).hexdigest()


def network():
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def complaint(path):
    with pytest.raises(WeightsError) as caught:
        load_state_dict(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    return str(caught.value)


# ---- loading ----


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_both_forms_come_back(tmp_path, suffix):
    state, path = network().state_dict(), tmp_path / ("w" + suffix)
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    again = load_state_dict(path)
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)
    target = network()
    load_strict(target, again, path)
    assert torch.equal(target[0].weight, state["0.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_named(value):
    model, state = network(), network().state_dict()
    before = model[1].running_var.clone()
    state["1.running_var"] = torch.tensor([1.0, value])
    with pytest.raises(WeightsError, match=r"some/w\.pt: holds values that are no numbers.*1\.running_var"):
        load_strict(model, state, "some/w.pt")
    assert torch.equal(model[1].running_var, before)


def test_checkpoints_of_parts(tmp_path):
    torch.save({"state_dict_backbone": {"a": torch.ones(2)}}, tmp_path / "w.pt")
    assert torch.equal(load_state_dict(tmp_path / "w.pt")["state_dict_backbone"]["a"], torch.ones(2))


def test_half_precision_loads_into_single(tmp_path):
    model = network()
    half = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    load_strict(model, half, "w.safetensors")
    assert model[0].weight.dtype == torch.float32


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def test_files_that_are_no_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such weights file" in complaint(tmp_path / "missing.pt")
    for name in ("text.safetensors", "text.pt"):
        (tmp_path / name).write_text("not weights")
        assert "cannot be read as weights" in complaint(tmp_path / name)
    for name, save in (("cut.safetensors", save_file), ("cut.pt", torch.save)):
        save(network().state_dict(), tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
        assert "cannot be read as weights" in complaint(tmp_path / name)
    torch.save({"a": RunsCode()}, tmp_path / "evil.pt")
    assert "more than tensors" in complaint(tmp_path / "evil.pt")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"a": RunsCode()}, protocol=2))
    complaint(tmp_path / "evil.pth")
    assert not (tmp_path / "was-run").exists()
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    assert "holds a Tensor" in complaint(tmp_path / "tensor.pt")


def test_every_wrong_tensor_is_named():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    state["0.weight"] = torch.ones(3, 2)
    del state["1.running_mean"]
    state |= {f"head.{n}": torch.ones(1) for n in range(9)}
    state["0.bias"] = "text"
    with pytest.raises(WeightsError) as caught:
        load_strict(model, state, "some/w.pt")
    message = str(caught.value)
    assert message.startswith("some/w.pt: ")
    assert "missing: 1.running_mean;" in message
    assert "unexpected: head.0, head.1, head.2, head.3, head.4 and 4 more;" in message
    assert "misshapen: 0.weight (3, 2), not (2, 3), 0.bias str, not (2,)" in message
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "nothing was loaded"


# ---- fetching ----


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            return self.send_error(404, "No such thing")
        if self.path in ("/elsewhere", "/unsafe"):
            self.send_response(302)
            host = "" if self.path == "/elsewhere" else f"http://127.1:{self.server.server_port}"  # not a trusted name
            self.send_header("Location", host + "/weights.pt")
            return self.end_headers()
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path == "/cut" else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("page", ["/weights.pt", "/elsewhere", "/unsized"])
def test_fetching(tmp_path, server, page, capfd):
    path = tmp_path / "models" / "w.pt"
    fetch(server + page, path)
    assert path.read_bytes() == CONTENT and sha256(path) == SUM
    fetch(server + page, path, sha256=SUM.upper())
    assert os.listdir(path.parent) == ["w.pt"] and capfd.readouterr().err == "", "no bar where there is no terminal"


@pytest.mark.parametrize(
    "page, words", [("/missing", "404"), ("/cut", "ended after 1,000 of"), ("/unsafe", "only https")]
)
def test_a_fetch_that_fails_says_what_to_do(tmp_path, server, page, words):
    with pytest.raises(WeightsError) as caught:
        fetch(server + page, tmp_path / "w.pt", otherwise="Or go on with --teacher student.")
    message = str(caught.value)
    assert words in message and server + page in message and str(tmp_path / "w.pt") in message
    assert message.endswith("Or go on with --teacher student.")
    assert os.listdir(tmp_path) == []


def test_a_wrong_sum_keeps_the_old_file(tmp_path, server):
    (tmp_path / "w.pt").write_text("old")
    with pytest.raises(WeightsError, match=f"SHA-256 is {SUM}, not {'0' * 64}"):
        fetch(server + "/weights.pt", tmp_path / "w.pt", sha256="0" * 64)
    assert (tmp_path / "w.pt").read_text() == "old" and os.listdir(tmp_path) == ["w.pt"]


@pytest.mark.parametrize(
    "url, words",
    [
        ("http://127.0.0.1:9/w.pt", "refused"),
        ("https://127.0.0.1:9/w.pt", "refused"),
        ("https://no-such-host.invalid/w.pt", "could not be fetched"),
        ("http://example.com/w", "only https"),
        ("file:///etc/passwd", "only https"),
        ("nonsense", "only https"),
    ],
)
def test_addresses_that_cannot_be_reached_or_trusted(tmp_path, url, words):
    with pytest.raises(WeightsError) as caught:
        fetch(url, tmp_path / "w.pt")
    assert words in str(caught.value) and url in str(caught.value) and "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


# ---- devices ----


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type == (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    with pytest.raises(UserError, match="'toaster' is not a device"):
        choose_device("toaster")
    for name in ("cuda:99", "xpu"):
        with pytest.raises(UserError, match="this machine has no device"):
            choose_device(name)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_freed_memory_is_kept_when_asked():
    fresh_pages = (
        "import resource; from common.workarounds import keep_freed_memory; {}\n"
        "for _ in range(3): before = resource.getrusage(0).ru_minflt; b'x' * int(2e8)\n"
        "print(resource.getrusage(0).ru_minflt - before)"
    )
    given_back, kept = (
        int(subprocess.check_output([sys.executable, "-c", fresh_pages.format(call)], cwd=ROOT))
        for call in ("", "keep_freed_memory()")
    )
    assert kept < 100 < given_back
