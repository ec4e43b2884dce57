"""The page's server: who may ask it for what, what an open page says and is told, uploads and downloads."""

import errno
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the page's packages are not installed: requirements-preview.txt")
pytest.importorskip("httpx")
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from common.image.picture import Picture, read_picture, write_picture
from ombre.page import server
from ombre.page.complaints import complaint
from ombre.page.lan import invitation
from ombre.page.mirror import LOST, NO_FRAME, decoded
from ombre.page.picture import jpeg
from ombre.page.texts import SAMPLES, TEXTS
from ombre.page.visitors import Visitors
from segmentation.finding.box import Part
from tests.tools.clips import make_clip
from tests.tools.page import half_hair, two_heads, write_photo

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 200_000
HOME = "http://127.0.0.1:7860"
SOCKET = HOME.replace("http", "ws")
ELSEWHERE = [
    {"Origin": "http://evil.test:7999"},
    {"Origin": "http://127.0.0.1:8888"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "anna.png", 100, 150)


@pytest.fixture
def visitors(tmp_path):
    return Visitors(tmp_path / "visitors", SimpleNamespace(find=half_hair), 10**6)


@pytest.fixture
def client(visitors, photo):
    with TestClient(server.make_app(visitors, [photo], MAX_BYTES), base_url=HOME, follow_redirects=False) as client:
        yield client


class Open:
    """An open page."""

    def __init__(self, client: TestClient, language: str = "en", session: str = ""):
        self.client, self.language, self.said = client, language, 0
        self.entering = client.websocket_connect(f"{SOCKET}/{language}/live?session={session}")

    def __enter__(self):
        self.socket = self.entering.__enter__()
        self.notices = []
        self.state = self.next()
        return self

    def __exit__(self, *error):
        self.entering.__exit__(*error)

    def next(self) -> dict:
        self.state = self.socket.receive_json()
        self.notices += self.state["notices"]
        return self.state

    def say(self, do: str, **data) -> dict:
        self.said += 1
        self.socket.send_json({"do": do, "id": self.said} | data)
        while self.next()["answered"] < self.said:
            pass
        return self.state

    def upload(self, name: str, content: bytes, **how) -> int:
        address = f"/{self.language}/upload/{self.state['token']}"
        status = self.client.post(address, params={"name": name}, content=content, **how).status_code
        self.say("stop")  # what is answered tells what came before it, too
        return status

    def get(self, kind: str):
        number = self.state["picture"]["number"]
        return self.client.get(f"/{self.language}/download/{self.state['token']}/{number}/{kind}")


@pytest.fixture
def page(client):
    with Open(client) as page:
        yield page


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_pages_from_elsewhere_are_refused(client, page, photo, headers):
    assert page.upload("a.png", photo.read_bytes(), headers=headers) == 403
    assert not page.state["pictures"]
    for address in ("/static/page.js", f"/en/download/{page.state['token']}/all"):
        assert client.get(address, headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{SOCKET}/en/live", headers=headers):
        pass


def test_a_link_from_elsewhere_leads_to_the_page(client):
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/", headers=headers).status_code == 307
    assert client.get("/ko/", headers=headers).status_code == 200


def test_own_requests_are_let_in(client, page, photo):
    own = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}
    assert page.upload("a.png", photo.read_bytes(), headers=own) == 204
    assert page.state["picture"]["width"] == 150


def test_another_host_is_refused_and_every_answer_has_the_policy(client):
    refused = client.get("/en/", headers={"Host": "evil.test:7860"})
    assert refused.status_code == 400
    for answer in (refused, client.get("/en/"), client.get("/nothing")):
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("address", ["https://pictures.example/a.jpg", "http://127.0.0.1:1/a.jpg", "/etc/passwd"])
def test_nothing_is_fetched_for_anybody(client, address, monkeypatch):
    def connect(*_: object) -> None:
        raise AssertionError("it went out")

    monkeypatch.setattr("socket.getaddrinfo", connect)
    monkeypatch.setattr("socket.socket.connect", connect)
    for door in ("/en/gradio_api/file=", "/en/gradio_api/proxy=", "/static/", "/picture/"):
        assert client.get(door + address).status_code == 404


def test_the_page_has_all_its_words(client):
    for language, other in (("en", "ko"), ("ko", "en")):
        text = client.get(f"/{language}/").text
        assert f'<html lang="{language}">' in text and f'href="/{other}/"' in text
        assert "{{" not in text and TEXTS[language]["privacy"] in text
    used = set()
    for script in (ROOT / "ombre" / "page" / "static").glob("*.js"):
        used |= set(re.findall(r"texts\.([a-z_]+)", script.read_text(encoding="utf-8")))
    assert used and used <= TEXTS["en"].keys()
    assert client.get("/de/").status_code == 404


def test_samples_have_korean_names():
    names = {path.stem for path in (ROOT / "data" / "samples").glob("*.jpg")}
    assert names and names <= SAMPLES["ko"].keys()


def test_a_sample_is_taken_dyed_and_brought_home(page, photo):
    page.socket.send_json({"do": "sample", "number": 0})
    while not page.state["picture"]:
        page.next()
    state = page.say("change", name="upper", value="blue")
    assert state["style"]["upper"] == "blue" and state["undoable"] and "--color blue" in state["command"]
    answer = page.get("dyed")
    assert "anna_blue.png" in answer.headers["Content-Disposition"]
    (photo.parent / "got.png").write_bytes(answer.content)
    assert (read_picture(photo.parent / "got.png").rgb != read_picture(photo).rgb).any()
    assert page.get("mask").status_code == 200
    assert not page.say("undo")["undoable"]


def test_a_value_out_of_its_range_changes_nothing_and_is_said(page):
    state = page.say("change", name="ombre_height", value=7)
    assert state["style"]["ombre_height"] == 0.6 and page.notices == [TEXTS["en"]["bad_value"]]
    for value in (None, [], "x"):
        page.say("change", name="ombre_height", value=value)
    assert page.say("change", name="ombre_height", value=1)["style"]["ombre_height"] == 1


@pytest.mark.parametrize("language, words", [("en", "limit of 1 megapixels"), ("ko", "1메가픽셀")])
def test_what_is_wrong_with_a_picture_is_a_sentence_of_the_page(client, tmp_path, language, words):
    large = tmp_path / "large.png"
    write_picture(large, Picture(np.zeros((1001, 1000, 3), np.uint8)))
    with Open(client, language) as page:
        assert page.upload("large.png", large.read_bytes()) == 204
        assert page.upload("none.jpg", b"no picture") == 204
        assert page.upload("heavy.jpg", bytes(MAX_BYTES + 1)) == 413
        assert page.upload("empty.jpg", b"") == 204
        assert words in page.notices[0] and len(page.notices) == 4
        for name, sentence in zip(("large.png", "none.jpg", "heavy.jpg", "empty.jpg"), page.notices):
            assert name in sentence and "--" not in sentence and str(tmp_path) not in sentence
        assert not list((tmp_path / "visitors").glob("*/*/*/*"))


def test_an_upload_that_says_no_length_is_cut_off_too(page, visitors):
    pieces = iter([bytes(MAX_BYTES), b"more"])
    assert page.upload("a.png", pieces) == 413
    assert not [path for path in visitors.folder.rglob("*") if path.is_file()]


def test_a_full_disk_is_a_sentence_without_a_path(page, photo, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/place")

    said = TEXTS["en"]["disk_full"].format(name="a.png")
    assert page.upload("a.png", photo.read_bytes()) == 204
    with monkeypatch.context() as patch:
        patch.setattr("ombre.page.picture.np.save", full)
        page.upload("a.png", photo.read_bytes())
        patch.setattr("ombre.dye_photo.write_picture", full)
        answer = page.get("dyed")
        assert (answer.status_code, answer.text) == (500, f"{said}\n")
        patch.setattr("ombre.page.visitors.Path.mkdir", full)
        assert page.upload("a.png", photo.read_bytes()) == 507
    assert page.notices == [said] * 3 and len(page.state["pictures"]) == 1
    assert "/secret/place" in capsys.readouterr().err
    other = complaint(OSError(errno.EIO, "I/O error", "/secret/place"), "a.png", TEXTS["en"])
    assert other == TEXTS["en"]["disk"].format(name="a.png")


def test_a_page_that_is_loaded_anew_goes_on(client, visitors, photo):
    with Open(client) as page:
        assert page.upload("a.png", photo.read_bytes()) == 204
        page.say("change", name="upper", value="blue")
        before = page.state
    with Open(client, "ko", before["session"]) as page:
        for name in ("token", "style", "pictures", "undoable"):
            assert page.state[name] == before[name]
        assert page.get("dyed").status_code == 200
        with Open(client, session=before["session"]) as another:  # the tab was doubled
            another.say("undo")
            while page.state["style"]["upper"] != "pink":
                page.next()
        visitors.leave_unless_back(visitors.of(before["session"]))  # somebody is there
        assert len(visitors) == 1 and page.get("dyed").status_code == 200


def test_a_shade_can_be_looked_at_beside_the_chosen_one(page, photo):
    assert page.upload("a.png", photo.read_bytes()) == 204
    small = f"/picture/{page.state['token']}/{page.state['picture']['number']}/small"
    pictures = {page.client.get(small, params={"color": color}).content for color in ("mint", "copper>platinum")}
    assert len(pictures) == 2
    assert page.client.get(small, params={"color": "nonsense"}).status_code == 404


def test_a_visitor_is_there_as_long_as_the_page(client, visitors, photo, monkeypatch):
    monkeypatch.setattr("ombre.page.talk.BACK", 0.1)
    with Open(client) as page:
        token = page.state["token"]
        assert page.upload("a.png", photo.read_bytes()) == 204 and (visitors.folder / token).is_dir()
    deadline = time.monotonic() + 60
    while (visitors.folder / token).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not (visitors.folder / token).exists() and len(visitors) == 0
    address = f"/en/upload/{token}"
    assert client.post(address, params={"name": "a.png"}, content=photo.read_bytes()).status_code == 404


def test_work_is_told_and_stopped(client, visitors, photo):
    looking, go_on = threading.Event(), threading.Event()

    def slow(rgb: np.ndarray) -> SimpleNamespace:
        looking.set()
        go_on.wait(60)
        return half_hair(rgb)

    visitors.finder.find = slow
    with Open(client) as page:
        page.socket.send_json({"do": "sample", "number": 0})
        assert looking.wait(60)
        while not page.state["jobs"] or page.state["jobs"][0]["waits"] or page.state["jobs"][0]["done"] < 1:
            page.next()
        assert page.state["jobs"] == [
            {"kind": "look", "name": "anna.png", "done": 1, "total": 3, "waits": False, "percent": 33}
        ]
        page.say("stop")
        go_on.set()
        while page.state["jobs"]:
            page.next()
        assert not page.state["pictures"] and not page.notices


def test_downloads_wait_their_turn(page, visitors, photo, monkeypatch):
    assert page.upload("a.png", photo.read_bytes()) == 204
    monkeypatch.setattr(visitors, "turns", None)
    taken = []
    visitor = visitors.by_token(page.state["token"])
    turns = visitor.turns.taken
    monkeypatch.setattr(visitor.turns, "taken", lambda job: taken.append(job.kind) or turns(job))
    assert page.get("dyed").status_code == page.get("mask").status_code == 200
    assert page.client.get(f"/en/download/{page.state['token']}/all").status_code == 200
    assert taken == ["dyed", "mask", "all"]


@pytest.mark.parametrize(
    "name, safe",
    [("../../a.jpg", "a.jpg"), ("C:\\x\\b.png", "b.png"), ("..", "picture"), ("", "picture"), ("a\nb.jpg", "a_b.jpg")]
    + [
        ("머리.jpg", "머리.jpg"),
        ("머" * 200 + ".jpg", "머" * 38 + ".jpg"),
        (".jpg", "picture.jpg"),
        ("a." + "x" * 300, "a." + "x" * 118),
        ("--output=x.jpg",) * 2,
    ],
)
def test_names_of_uploads(name, safe):
    assert server.safe_name(name) == safe


def test_what_is_no_page_of_ours_is_let_go(client):
    for message in ("7", "{}", '{"do": "fly"}', '{"do": "sample", "number": 9}', "no json"):
        with client.websocket_connect(f"{SOCKET}/en/live") as socket:
            socket.receive_json()
            socket.send_text(message)
            with pytest.raises(WebSocketDisconnect):
                while True:
                    socket.receive_json()


# A server whose first look at a picture takes a minute, and cannot be interrupted.
SLOW = """
import sys, time
from ombre import preview
class Finder:
    def __init__(self, *_): pass
    def find(self, rgb):
        print("looking", flush=True)
        time.sleep(60)
preview.HairFinder = Finder
sys.exit(preview.main(["--no-browser", "--port", "0"]))
"""


def test_it_ends_soon_when_asked_to_whatever_it_is_at(tmp_path, monkeypatch):
    from websockets.sync.client import connect

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", SLOW], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        port = re.search(r":(\d+)/", process.stdout.readline())[1]
        with connect(f"ws://127.0.0.1:{port}/en/live", max_size=None) as socket:
            socket.recv()
            socket.send(json.dumps({"do": "sample", "number": 0}))
            assert process.stdout.readline() == "looking\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0  # and not after the minute
    assert not list(tmp_path.glob("ombre-page-*"))


class Sharp:
    """A finder that sees hair in the left half of every frame."""

    def find(self, rgb: np.ndarray) -> SimpleNamespace:
        crops = [SimpleNamespace(part=Part(0, 0, *rgb.shape[:2]))]
        return SimpleNamespace(mask=half_hair(rgb).mask, guide=lambda: None, crops=crops)

    def predict_into(self, mask: np.ndarray, rgb: np.ndarray, part: Part, mirrored: bool = False) -> Part:
        mask[:, : mask.shape[1] // 2] = 255
        return Part(0, 0, *mask.shape)


def brown(shade: int = 0) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-20, 20, (120, 160, 3))
    return np.uint8(np.array([90, 60, 40]) + noise + shade)


class Mirror:
    """An open mirror: frames go in with their times in ms."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, stamp: int, data: bytes | None = None) -> None:
        self.socket.send_bytes(stamp.to_bytes(4) + (jpeg(brown()) if data is None else data))

    def next(self) -> tuple[int, bytes, np.ndarray]:
        """The time of the frame that comes back, what the own camera saw, and the frame dyed."""
        answer = self.socket.receive_bytes()
        length = int.from_bytes(answer[4:8])
        return int.from_bytes(answer[:4]), answer[8 : 8 + length], decoded(answer[8 + length :])

    def is_let_go(self, asking: bool = False) -> int:
        """The code with which the server ends it; `asking` for a frame of its own camera after each answer."""
        with pytest.raises(WebSocketDisconnect) as gone:
            while True:
                if asking:
                    self.send(0, b"")
                self.socket.receive_bytes()
        return gone.value.code


@pytest.fixture
def opened(client, page, visitors):
    visitors.finder = Sharp()
    with client.websocket_connect(f"{SOCKET}/mirror/{page.state['token']}") as socket:
        yield Mirror(socket)


def blueness(rgb: np.ndarray) -> float:
    """Of the lower left, where hair is, over the lower right, where none is."""
    low = np.float32(rgb[-30:])
    return float((low[:, :60, 2] - low[:, :60, 0]).mean() - (low[:, 100:, 2] - low[:, 100:, 0]).mean())


def test_the_mirror_dyes_frames_in_order_in_the_colour_of_the_moment(opened, page, visitors):
    page.say("change", name="upper", value="blue")
    stamps = []
    for stamp in (0, 50, 100):
        opened.send(stamp)
        came, before, dyed = opened.next()
        stamps.append(came)
        assert not before and dyed.shape == (120, 160, 3) and blueness(dyed) > 20
    assert stamps == [0, 50, 100]
    page.say("change", name="strength", value=0)
    opened.send(150)
    assert abs(blueness(opened.next()[2])) < 5
    assert not visitors.folder.exists()  # nothing is kept


def test_frames_that_wait_are_left_out_for_the_newest(opened, visitors):
    looking, go_on = threading.Event(), threading.Event()
    look = visitors.finder.predict_into

    def slow(*how) -> Part:
        looking.set()
        go_on.wait(60)
        return look(*how)

    visitors.finder.predict_into = slow
    opened.send(0)
    assert looking.wait(60)
    for stamp in (50, 100, 150):
        opened.send(stamp)
    time.sleep(0.3)  # until they have come in
    go_on.set()
    assert [opened.next()[0], opened.next()[0]] == [0, 150]


@pytest.mark.parametrize("data", [b"no picture", b"\xff\xd8\xff\xe0 nothing more"])
def test_what_is_no_frame_ends_the_mirror_alone(opened, page, data, capsys):
    opened.send(0, data)
    assert opened.is_let_go() == NO_FRAME
    assert "a mirror ended" in capsys.readouterr().err
    assert page.say("change", name="upper", value="mint")["style"]["upper"] == "mint"


def test_a_frame_may_not_be_huge():
    with pytest.raises(ValueError, match="4000 x 1000 pixels is too large"):
        decoded(jpeg(np.zeros((1000, 4000, 3), np.uint8)))


def test_a_mirror_is_for_who_has_a_page(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{SOCKET}/mirror/nobody"):
        pass


class Capture:
    """This machine's camera, unplugged after `there` frames."""

    there = 10**9

    def __init__(self, number: int):
        self.number, self.left = number, self.there

    def isOpened(self) -> bool:
        return self.number == 0

    def read(self):
        time.sleep(0.01)
        self.left -= 1
        return self.left >= 0, brown()[..., ::-1].copy()

    def release(self) -> None:
        pass


@pytest.mark.parametrize("number, there, code", [(0, 10**9, None), (0, 2, LOST), (1, 10**9, LOST)])
def test_the_machines_own_camera_is_shown_and_missed(visitors, monkeypatch, number, there, code):
    monkeypatch.setattr("ombre.media.live.cv2.VideoCapture", Capture)
    monkeypatch.setattr(Capture, "there", there)
    visitors.finder = Sharp()
    app = server.make_app(visitors, [], MAX_BYTES, number)
    with TestClient(app, base_url=HOME) as client, Open(client) as page:
        assert '"own_camera": true' in client.get("/en/").text
        page.say("change", name="upper", value="blue")
        with client.websocket_connect(f"{SOCKET}/mirror/{page.state['token']}") as socket:
            opened = Mirror(socket)
            if code:
                assert opened.is_let_go(asking=True) == code
                return
            opened.send(0, b"")
            _, before, dyed = opened.next()
            assert np.abs(np.int16(decoded(before)) - brown()).mean() < 10 and blueness(dyed) > 20
            opened.send(50, jpeg(brown(30)))  # frozen: the browser gives it back
            assert np.abs(np.int16(decoded(opened.next()[1])) - brown(30)).mean() < 10


@pytest.fixture
def invited(tmp_path, monkeypatch):
    monkeypatch.setattr("ombre.page.lan.own_address", lambda: "192.168.7.7")
    return invitation(tmp_path, 7860)


def test_the_local_network_is_let_in_by_the_secret_alone(invited, visitors):
    app = server.make_app(visitors, [], MAX_BYTES, door=invited.door)
    home = "https://192.168.7.7:7860"
    with TestClient(app, base_url=home, follow_redirects=False) as client:
        for address in ("/", "/en/", "/?key=guess", "/static/page.js", f"/en/?key={invited.door.secret}"):
            assert client.get(address).status_code == 403
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(home.replace("http", "ws") + "/en/live"):
            pass
        answer = client.get(invited.link, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 303 and answer.headers["Location"] == "/"
        assert {"Secure", "HttpOnly", "SameSite=lax"} <= set(answer.headers["Set-Cookie"].split("; "))
        assert TEXTS["en"]["privacy_shared"] in client.get("/en/", headers={"Origin": home}).text
        with client.websocket_connect(home.replace("http", "ws") + "/en/live") as socket:
            assert socket.receive_json()["token"]
        assert client.get("/en/", headers={"Origin": "https://evil.test"}).status_code == 403
        assert client.get("/en/", headers={"Host": "192.168.7.8:7860"}).status_code == 400


def test_the_invitation_has_a_certificate_and_a_code(invited):
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(invited.certificate, invited.key)
    assert invited.key.stat().st_mode & 0o77 == 0
    text = invited.text()
    assert invited.link in text and "can use the page" in text
    assert sum(line.count("\N{FULL BLOCK}") > 3 for line in text.splitlines()) > 10  # a QR code's rows
    assert invited.door.secret != invitation(invited.key.parent, 7860).door.secret


def test_a_clip_is_dyed_frame_by_frame_and_stopped(client, visitors, tmp_path):
    def slow(rgb: np.ndarray) -> SimpleNamespace:
        time.sleep(0.05)
        return half_hair(rgb)

    visitors.finder.find = slow
    clip = make_clip(tmp_path / "walk.mp4", frames=150)
    with Open(client) as page:
        assert page.upload("walk.mp4", clip.read_bytes()) == 204 and page.state["picture"]["clip"]
        answers = []
        asking = threading.Thread(target=lambda: answers.append(page.get("dyed")))
        asking.start()
        while not page.state["jobs"] or page.state["jobs"][0]["done"] < 5:
            page.next()
        (job,) = page.state["jobs"]
        assert job["kind"] == "frames" and job["total"] == 150 and job["percent"] == round(job["done"] / 1.5)
        page.say("stop")
        asking.join()
        assert answers[0].status_code == 409 and answers[0].text == f"{TEXTS['en']['stopped']}\n"
    assert not list(tmp_path.glob("visitors/*/tmp*"))


def test_a_person_of_several_is_chosen_and_gets_an_own_colour(visitors, client, photo):
    visitors.finder.find = two_heads
    with Open(client) as page:
        page.upload("a.png", photo.read_bytes())
        address = f"/picture/{page.state['token']}/{page.state['picture']['number']}/people"
        left, right = client.get(address).json()
        state = page.say("person", x=right["x"], y=right["y"])
        assert state["person"] == [right["x"], right["y"]] and state["command_note"] == ""
        assert page.say("change", name="upper", value="blue")["style"]["upper"] == "blue"
        state = page.say("everybody")
        assert state["person"] is None and state["style"]["upper"] == "pink" and "--color pink" in state["command"]
        assert state["command_note"] == TEXTS["en"]["command_alike"]
        assert "a_pink_and_blue.png" in page.get("dyed").headers["Content-Disposition"]
        page.say("person", x=7, y=0)
        assert page.notices == [TEXTS["en"]["bad_value"]]
        assert left["x"] < 0.5 < right["x"] and all(0 <= share <= 1 for point in left["outline"] for share in point)
