"""The page in a real browser: headless Chromium, driven by Playwright.

With `--screenshots docs` it writes the pictures that README shows.
"""

import base64
import http.client
import io
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
import pytest

from common.image.picture import Picture, read_mask, read_picture, write_picture
from ombre import generate_ombre_images
from ombre.page.picture import jpeg
from ombre.page.visitors import ONE_MOVE
from tests.tools.clips import short_sample
from tests.tools.scripts import run_script

pytest.importorskip("uvicorn", reason="the page's packages are not installed: requirements-preview.txt")
driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
# Imported before any test runs: it reads its script in the encoding of the process, which a library may change later.
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "samples" / "brown_long.jpg"  # a portrait: the finder looks but once
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream"]
FLAGS += ["--use-fake-device-for-media-stream"]
PORTRAIT = read_picture(SAMPLE.with_name("black_flying.jpg")).rgb[:720, 20:980]  # as a camera sees it
PORTRAIT_SAMPLE = "#samples button[aria-label='brown long']"
SLIDERS = ["ombre_height", "ombre_grad_height", "strength", "lightness"]
# The script, in a process that names every address beyond this machine that it asks for.
WATCHED = """
import runpy, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        host = arguments[1][0] if event == "socket.connect" and isinstance(arguments[1], tuple) else arguments[0]
        if isinstance(host, str) and host not in ("127.0.0.1", "localhost", "::1"):
            print("OUTSIDE", event, host, file=sys.stderr, flush=True)
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].removesuffix("/ombre/preview.py"))
from ombre.page import talk
talk.BACK = 3.0  # seconds, so that nobody waits long for pictures to go
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Server:
    """A running page; its visitors' files lie in `folder`, what it says on stderr in `log`."""

    def __init__(self, folder: Path, *options: str):
        self.folder, self.log = folder, folder / "stderr.txt"
        script = ROOT / "ombre" / "preview.py"
        command = [sys.executable, "-c", WATCHED, script, "--no-browser", "--port", "0", *options]
        with open(self.log, "w") as log:
            environment = os.environ | {"TMPDIR": str(folder)}
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        self.address = self.process.stdout.readline().split()[0]

    def visitors(self) -> list[Path]:
        return list(self.folder.glob("ombre-page-*/visitors/*"))

    def demand_gone(self, visitors: set[Path]) -> None:
        """Wait until nothing is left of those."""
        deadline = time.monotonic() + 300
        while left := visitors.intersection(self.visitors()):
            assert time.monotonic() < deadline, left
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("page"), "--max-megapixels", "4", "--max-megabytes", "20")
    yield server
    server.stop()
    assert not list(server.folder.glob("ombre-page-*"))
    assert "OUTSIDE" not in server.log.read_text()


@pytest.fixture(scope="module")
def play():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with driver.sync_playwright() as play:
        yield play


@pytest.fixture(scope="module")
def browser(play):
    browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def filmed(play, tmp_path_factory):
    """A browser whose camera sees somebody with long hair."""
    film = tmp_path_factory.mktemp("film") / "hair.mjpeg"
    film.write_bytes(b"".join(jpeg(np.roll(PORTRAIT, shift, axis=1)) for shift in (0, 4, 8, 4)))
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
    browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
    yield browser
    browser.close()


class Person:
    """Somebody who has the page open."""

    def __init__(self, browser, server: Server, **how):
        how = {"viewport": {"width": 1280, "height": 1000}, "locale": "en-US"} | how
        self.context = browser.new_context(**how)
        self.context.set_default_timeout(120_000)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(server.address)
        self.page.wait_for_selector("#samples .strip button")
        # the page has its start from the server when the sliders have
        self.wait("document.querySelector('#ombre_height input').value === '0.6'")

    def wait(self, condition: str, arg: object = None) -> None:
        """Until JavaScript holds; asked again and again, since the page's policy lets nobody evaluate text within."""
        deadline = time.monotonic() + 120
        while not self.page.evaluate(condition, arg):
            assert time.monotonic() < deadline, condition
            self.page.wait_for_timeout(20)

    def version(self) -> str | None:
        stage = self.page.locator(".stage")
        return stage.get_attribute("data-version") if stage.count() else None

    def seen(self, after: str | None = None) -> bytes:
        """The dyed picture on the page, as a JPEG, once it is another than that of the version `after`."""
        self.wait("v => (document.querySelector('.stage')?.dataset.version ?? null) !== v", arg=after)
        read = """async () => {
            const reader = new FileReader();
            const text = new Promise(done => { reader.onload = () => done(reader.result); });
            reader.readAsDataURL(await (await fetch(document.querySelector(".after").src)).blob());
            return await text;
        }"""
        return base64.b64decode(self.page.evaluate(read).partition(",")[2])

    def does(self, act) -> bytes:
        """What is seen after something that changes the picture."""
        before = self.version()
        act()
        return self.seen(before)

    def upload(self, *files: Path) -> bytes:
        return self.does(lambda: self.page.set_input_files("#upload input[type=file]", files))

    def set_slider(self, place: str, value: float) -> bytes:
        return self.does(lambda: self.page.locator(f"{place} input[type=range]").first.fill(str(value)))

    def presses(self, place: str, key: str) -> bytes:
        def press() -> None:
            self.page.locator(place).first.focus()
            self.page.keyboard.press(key)

        return self.does(press)

    def download(self, link: str) -> tuple[str, Path]:
        with self.page.expect_download() as waiting:
            self.page.click(f".downloads {link}")
        return waiting.value.suggested_filename, Path(waiting.value.path())

    def leaves(self) -> None:
        self.context.close()
        assert not self.errors
        beyond = [url for url in self.requests if urlsplit(url).scheme not in ("data", "blob")]
        assert {urlsplit(url).hostname for url in beyond} == {"127.0.0.1"}


@pytest.fixture
def person(browser, server):
    person = Person(browser, server)
    yield person
    person.leaves()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a photo.png"
    roomy = cv2.copyMakeBorder(read_picture(SAMPLE).rgb, 0, 0, 150, 0, cv2.BORDER_REPLICATE)[:, :1000]  # at the left
    write_picture(path, Picture(cv2.resize(roomy, (512, 512), interpolation=cv2.INTER_AREA)))
    return path


def dyed_by_the_command(person: Person, photo: Path, tmp_path: Path) -> np.ndarray:
    """Pixels that the command shown on the page gives, started where the picture lies."""
    words = shlex.split(person.page.input_value("#command textarea"))
    assert words[0] == "python" and photo.name in words
    assert ROOT / words[1] == Path(generate_ombre_images.__file__)
    done = run_script(generate_ombre_images.main, *words[2:], "--output", tmp_path / "dyed", cwd=photo.parent)
    assert done.returncode == 0, done.stderr
    (result,) = (tmp_path / "dyed").glob("*.png")
    return read_picture(result).rgb


def test_each_control_changes_the_picture_and_the_download_is_that_of_the_command(person, photo, tmp_path):
    seen = [person.upload(photo)]
    for slider in SLIDERS:
        seen.append(person.set_slider(f"#{slider}", 0.35))
    seen.append(person.does(lambda: person.page.click("#upper button[aria-label=platinum]")))
    seen.append(person.set_slider("#upper", 0.4))
    person.page.wait_for_timeout(1100 * ONE_MOVE)  # else the two are undone together
    seen.append(person.does(lambda: person.page.fill("#upper input[type=color]", "#804020")))
    person.page.click("text=Second colour, at the lower end >> nth=0")
    seen.append(person.does(lambda: person.page.click("#lower button[aria-label=mint]")))
    seen.append(person.does(lambda: person.page.check("#reverse input")))
    assert len(set(seen)) == len(seen)
    assert "#804020>mint" in person.page.input_value("#command textarea")

    name, file = person.download(".dyed")
    assert name == "a photo_804020_to_mint_h0.35_g0.35_s0.35_l0.35_roots.png"
    rgb = read_picture(file).rgb
    assert (rgb != read_picture(photo).rgb).any()
    assert (rgb == dyed_by_the_command(person, photo, tmp_path)).all()

    for before in reversed(seen[:-1]):
        assert person.does(lambda: person.page.click("#undo")) == before
    assert person.page.input_value("#ombre_height input[type=number]") == "0.6"


def test_before_and_after_and_a_jpeg_with_its_metadata(person):
    person.does(lambda: person.page.click(PORTRAIT_SAMPLE))
    clip = "getComputedStyle(document.querySelector('.before')).clipPath"
    assert "70%" in person.page.evaluate(clip)
    person.page.locator(".cut-at").fill("80")
    assert "20%" in person.page.evaluate(clip)
    name, file = person.download(".dyed")
    assert name == f"{SAMPLE.stem}_pink.jpg"
    made, original = read_picture(file), read_picture(SAMPLE)
    assert made.jpeg and (made.icc, made.metadata) == (original.icc, original.metadata)


def test_paint_by_pointer_and_keys_goes_into_the_mask_and_is_undone(person, photo, tmp_path):
    plain = person.upload(photo)
    person.page.check("[name=paint][value=add]")
    person.wait("document.querySelector('.found').naturalWidth > 0")
    box = person.page.locator(".stage").bounding_box()

    def stroke() -> None:
        person.page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.3 * box["height"])
        person.page.mouse.down()
        person.page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
        person.page.mouse.up()

    painted = person.does(stroke)
    mask = read_mask(person.download(".mask")[1])
    assert mask[256, 51] == 255 and mask[10, 10] < 20
    person.page.check("[name=paint][value=out]")
    out = person.presses(".stage", " ")  # the brush is where the pointer left it
    mask = read_mask(person.download(".mask")[1])
    assert mask[int(0.7 * 512), 51] == 0 and mask[int(0.4 * 512), 51] == 255
    assert len({plain, painted, out}) == 3
    (photo.parent / "masks").mkdir()
    name, file = person.download(".mask")
    shutil.copyfile(file, photo.parent / "masks" / name)
    rgb = read_picture(person.download(".dyed")[1]).rgb
    assert (rgb == dyed_by_the_command(person, photo, tmp_path)).all()
    assert person.presses(".stage", "Control+z") == painted
    assert person.presses(".stage", "Control+z") == plain
    person.does(stroke)
    assert person.does(lambda: person.page.click(".clear")) == plain


def test_every_control_is_reached_and_moved_by_keys(person):
    names = set()
    person.does(lambda: person.page.click(PORTRAIT_SAMPLE))
    around = """() => {
        let part = document.activeElement, names = [];
        for (; part; part = part.parentElement) names.push(part.id, ...part.classList);
        return names;
    }"""
    person.page.locator(".cut-at").focus()
    for _ in range(120):
        person.page.keyboard.press("Tab")
        names.update(person.page.evaluate(around))
    assert names >= {
        "samples",
        "upper",
        "hue",
        "own",
        *SLIDERS,
        "reverse",
        "undo",
        "remove",
        "show-found",
        "dyed",
        "mask",
    }
    assert person.presses("#ombre_height input[type=range]", "ArrowLeft")
    assert "--ombre-height 0.59" in person.page.input_value("#command textarea")
    assert person.presses("#upper .swatches button >> nth=3", "Enter")


def test_what_is_no_picture_or_too_large_is_a_sentence(person, tmp_path):
    broken, huge, heavy = tmp_path / "broken.jpg", tmp_path / "huge.png", tmp_path / "heavy.bmp"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    write_picture(huge, Picture(np.zeros((2100, 2100, 3), np.uint8)))
    heavy.write_bytes(bytes(21_000_000))
    for file, words in ((broken, "broken.jpg cannot be used"), (huge, "over the limit of 4"), (heavy, "size")):
        person.page.set_input_files("#upload input[type=file]", file)
        toast = person.page.locator("#notices p", has_text=words)
        toast.wait_for()
        assert "Traceback" not in toast.inner_text() and str(tmp_path) not in toast.inner_text()
    assert person.upload(SAMPLE)


def test_several_pictures_share_the_look_and_come_home_together(person, photo):
    first = person.upload(photo)
    person.upload(SAMPLE)
    person.wait("document.querySelectorAll('#gallery img').length === 2")
    small = "[...document.querySelectorAll('#gallery img')].map(i => i.naturalWidth)"
    person.wait(f"{small}.every(width => width === 240)")
    assert person.does(lambda: person.page.click("#gallery button >> nth=0")) == first
    person.does(lambda: person.page.click("#upper button[aria-label=blue]"))
    name, file = person.download(".all")
    archive = zipfile.ZipFile(io.BytesIO(file.read_bytes()))
    assert name == "ombre.zip"
    assert archive.namelist() == ["a photo_blue.png", f"{SAMPLE.stem}_blue.jpg", "command.txt"]
    person.does(lambda: person.page.click("#remove"))
    assert person.page.locator(".downloads .all").is_hidden()


def test_a_reload_keeps_the_work_which_is_undone_and_done_again(person, photo):
    plain = person.upload(photo)
    blue = person.does(lambda: person.page.click("#upper button[aria-label=blue]"))
    person.page.reload()
    assert person.seen() == blue
    assert person.page.get_attribute("#upper button[aria-label=blue]", "aria-checked") == "true"
    assert person.does(lambda: person.page.keyboard.press("Control+z")) == plain
    assert person.does(lambda: person.page.keyboard.press("Control+Shift+z")) == blue
    person.does(lambda: person.page.click("#undo"))
    assert person.does(lambda: person.page.click("#redo")) == blue


def test_a_tap_on_a_head_chooses_whom_the_colour_is_for(person, request):
    page = person.page
    plain = person.does(lambda: page.click("#samples button[aria-label='two women']"))
    page.locator("#people canvas >> nth=1").wait_for()
    heads = page.locator("#people input")
    assert heads.count() == 3 and heads.nth(0).is_checked() and not page.get_attribute(".heads path", "d")
    box = page.locator(".stage").bounding_box()

    def tap(x: float, y: float) -> None:
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    tap(0.18, 0.33)  # the face of the left one
    person.wait("document.querySelector('.heads path').getAttribute('d') !== ''")
    assert heads.nth(1).is_checked() and page.input_value(".cut-at") == "30"
    blue = person.does(lambda: page.click("#upper button[aria-label=blue]"))
    assert blue != plain and "--color pink" in page.input_value("#command textarea")
    assert page.text_content("#command p").startswith("A command dyes everybody alike")
    take_screenshot(person, request, "page_people.jpg")
    heads.nth(1).focus()
    page.keyboard.press("ArrowRight")
    person.wait("document.querySelector('#people input[value=\"1\"]').checked")
    person.wait("document.querySelector('#upper button[aria-label=pink]').getAttribute('aria-checked') === 'true'")
    tap(0.4, 0.1)  # nobody's head: the line goes there
    assert 38 <= float(page.input_value(".cut-at")) <= 42
    page.click("#people label >> nth=0")
    person.wait("document.querySelector('.heads path').getAttribute('d') === ''")
    assert person.download(".dyed")[0] == "two_women_pink_and_blue.jpg"
    both = person.does(lambda: page.click("#upper button[aria-label=copper]"))
    assert person.does(lambda: page.click("#undo")) == blue != both
    page.reload()
    assert person.seen() == blue


SHEET = """(() => {
    const [sheet, stage] = [".sheet", ".stage"].map(part => document.querySelector(part).getBoundingClientRect());
    return [sheet.width / stage.width, (stage.x - sheet.x) / sheet.width, (stage.y - sheet.y) / sheet.height];
})()"""  # how near the picture is, and which place of it is seen first, in shares of it


def test_the_picture_is_looked_at_nearer_and_painted_there(person, photo):
    page = person.page
    person.upload(photo)
    left, top, width, height = page.locator(".stage").bounding_box().values()
    clip = "getComputedStyle(document.querySelector('.before')).clipPath"
    page.click(".nearer")
    assert page.evaluate(SHEET) == pytest.approx([2, 0.25, 0.25], abs=0.01) and "60%" in page.evaluate(clip)
    page.mouse.move(left + 0.6 * width, top + 0.5 * height)
    page.mouse.down()
    page.mouse.move(left + 0.8 * width, top + 0.3 * height, steps=4)
    page.mouse.up()
    assert page.evaluate(SHEET) == pytest.approx([2, 0.15, 0.35], abs=0.01) and page.input_value(".cut-at") == "30"
    page.mouse.move(left + 0.3 * width, top + 0.8 * height)
    page.mouse.down()  # at the line
    page.mouse.move(left + 0.5 * width, top + 0.8 * height, steps=4)
    page.mouse.up()
    assert "60%" in page.evaluate(clip) and page.input_value(".cut-at") == "50"
    page.mouse.move(left + 0.25 * width, top + 0.25 * height)
    page.mouse.wheel(0, -200)
    person.wait(f"{SHEET}[0] > 2.5")
    near, first, above = page.evaluate(SHEET)
    assert (first + 0.25 / near, above + 0.25 / near) == pytest.approx((0.15 + 0.125, 0.35 + 0.125), abs=0.01)
    page.keyboard.press("0")
    assert page.evaluate(SHEET) == pytest.approx([1, 0, 0], abs=0.01)
    page.check("[name=paint][value=add]")
    page.keyboard.press("+")
    page.focus(".stage")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate(SHEET) == pytest.approx([2, 0.2, 0.25], abs=0.01)
    person.does(lambda: page.mouse.click(left + 0.1 * width, top + 0.3 * height))
    mask = read_mask(person.download(".mask")[1])
    painted = mask[205, 100:160] > 200  # a brush of 1/20 of what is seen, around column 128
    assert painted[18:38].all() and not painted[:10].any() and not painted[46:].any()
    page.focus(".stage")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(SHEET)[1] == pytest.approx(0, abs=0.01)  # the picture goes with the brush


def test_two_fingers_bring_the_picture_nearer(browser, server):
    how = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    person = Person(browser, server, **how)
    person.does(lambda: person.page.tap(PORTRAIT_SAMPLE))
    x, y, width, height = person.page.locator(".stage").bounding_box().values()
    device = person.context.new_cdp_session(person.page)
    for kind, apart in (("touchStart", 0.1), ("touchMove", 0.15), ("touchMove", 0.2), ("touchEnd", None)):
        sides = () if apart is None else (-apart, apart)
        points = [{"x": x + (0.5 + side) * width, "y": y + 0.5 * height, "id": at} for at, side in enumerate(sides)]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    person.wait(f"{SHEET}[0] > 1.9")
    assert person.page.evaluate(SHEET) == pytest.approx([2, 0.25, 0.25], abs=0.02)
    assert person.page.evaluate("visualViewport.scale") == 1
    person.leaves()


def test_a_short_clip_is_looked_at_and_comes_home_dyed(person, tmp_path):
    page = person.page
    person.upload(short_sample(tmp_path / "turn.mkv"))
    assert page.inner_text(".note").startswith("turn.mkv, ") and "one frame of the clip" in page.inner_text(".note")
    assert not page.is_visible(".tools") and not page.is_visible(".mask") and not page.is_visible("#people")
    assert page.inner_text(".dyed") == "Download the clip"
    person.does(lambda: page.click("#upper button[aria-label=blue]"))
    name, file = person.download(".dyed")
    assert name == "turn_blue.mkv"
    with av.open(file) as dyed:
        assert len(list(dyed.decode(video=0))) == 8


def test_kept_shades_lie_side_by_side(person, photo):
    pink = person.upload(photo)
    person.page.click("#keep")
    person.does(lambda: person.page.click("#upper button[aria-label=blue]"))
    person.page.click("#keep")
    person.wait("[...document.querySelectorAll('#kept img')].filter(image => image.naturalWidth).length === 2")
    assert person.page.locator("#kept button").all_inner_texts() == ["pink", "blue"]
    read = """async () => (await Promise.all([...document.querySelectorAll("#kept img")].map(image => fetch(image.src)
        .then(answer => answer.arrayBuffer())))).map(data => [...new Uint8Array(data)].join())"""
    assert len(set(person.page.evaluate(read))) == 2
    assert person.does(lambda: person.page.click("#kept button >> nth=0")) == pink
    person.page.click("#keep")
    assert person.page.locator("#kept button").all_inner_texts() == ["blue"]
    person.page.reload()
    person.seen()
    assert person.page.locator("#kept button").all_inner_texts() == ["blue"]


def test_a_picture_is_pasted_anywhere(person):
    paste = """data => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(data)], "pasted.jpg"));
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: files, bubbles: true }));
    }"""
    person.does(lambda: person.page.evaluate(paste, list(SAMPLE.read_bytes())))
    assert "pasted.jpg" in person.page.inner_text(".note")


class Mirror:
    """Somebody's open mirror."""

    def __init__(self, person: Person):
        self.person, self.page = person, person.page
        watch = """() => {
            window.stamps = [];
            const stage = document.querySelector(".stage");
            new MutationObserver(() => stamps.push(Number(stage.dataset.stamp)))
                .observe(stage, { attributes: true, attributeFilter: ["data-stamp"] });
        }"""
        self.page.evaluate(watch)
        self.page.click("#mirror button")
        self.wait_for(1)

    def stamps(self) -> list[int]:
        return self.page.evaluate("stamps")

    def wait_for(self, more: int) -> None:
        """Until so many more frames are shown."""
        self.person.wait("count => stamps.length >= count", arg=len(self.stamps()) + more)

    def wait_for_rest(self) -> None:
        """Until no frame is on its way."""
        self.person.wait("document.querySelector('.stage').dataset.away === '0'")

    def colour(self, of: str = "after") -> np.ndarray:
        """The mean of the lower part of what is seen, RGB."""
        read = """part => {
            const canvas = document.querySelector(`.live-${part}`);
            const half = canvas.height / 2;
            const { data } = canvas.getContext("2d").getImageData(0, half, canvas.width, half);
            const sums = [0, 0, 0, 0];
            data.forEach((value, at) => { sums[at % 4] += value; });
            return sums.slice(0, 3).map(sum => sum / (data.length / 4));
        }"""
        return np.array(self.page.evaluate(read, of))


@pytest.fixture
def mirror(filmed, server):
    person = Person(filmed, server)
    yield Mirror(person)
    person.leaves()


def test_the_mirror_shows_frames_dyed_and_in_order(mirror):
    mirror.page.click("#upper button[aria-label=blue]")
    mirror.wait_for(6)
    stamps = mirror.stamps()
    assert stamps == sorted(set(stamps))
    red, _, blue = mirror.colour() - mirror.colour("before")
    assert blue - red > 3
    mirror.page.click("#upper button[aria-label=red]")
    mirror.wait_for(6)
    red, _, blue = mirror.colour() - mirror.colour("before")
    assert red - blue > 3
    clip = "getComputedStyle(document.querySelector('.live-before')).clipPath"
    mirror.page.locator(".cut-at").fill("80")
    assert "20%" in mirror.page.evaluate(clip)


def test_a_frozen_mirror_stands_still_and_takes_another_colour(mirror):
    mirror.page.click(".freeze")
    mirror.wait_for_rest()
    still, count = mirror.colour("before"), len(mirror.stamps())
    mirror.page.click("#upper button[aria-label=blue]")
    mirror.wait_for(1)
    mirror.wait_for_rest()
    assert (mirror.colour("before") == still).all() and len(mirror.stamps()) == count + 1
    red, _, blue = mirror.colour() - still
    assert blue - red > 3
    mirror.page.click(".freeze")
    mirror.wait_for(2)


def test_a_clip_and_a_still_of_the_mirror_come_home(mirror):
    mirror.wait_for(1)  # two frames, the shortest clip there is
    with mirror.page.expect_download() as waiting:
        mirror.page.click(".mirror-tools .clip")
    assert waiting.value.suggested_filename in ("mirror_pink.webm", "mirror_pink.mp4")
    with av.open(waiting.value.path()) as clip:
        assert (clip.streams.video[0].width, clip.streams.video[0].height) == (640, 480)
        assert next(clip.decode(video=0), None)
    mirror.person.does(lambda: mirror.page.click(".mirror-tools .take"))
    assert mirror.page.inner_text(".note") == "camera.png, 960 x 720"  # the camera's own size
    assert mirror.page.evaluate("document.querySelector('#eye').srcObject") is None
    assert not mirror.page.is_visible(".live-after") and mirror.page.is_visible("#mirror button")
    assert mirror.person.download(".dyed")[0] == "camera_pink.png"


@pytest.mark.parametrize(
    "name, words",
    [
        ("NotFoundError", "No camera was found"),
        ("NotAllowedError", "does not let this page use"),
        ("NotReadableError", "Another program"),
    ],
)
def test_no_camera_and_no_permission_are_sentences(person, name, words):
    refuse = "name => (navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', name) })"
    person.page.evaluate(refuse, name)
    person.page.click("#mirror button")
    person.page.locator("#notices p", has_text=words).wait_for()
    assert person.page.is_visible("#mirror button") and not person.page.is_visible("#work")


def test_a_camera_that_is_lost_is_a_sentence(mirror):
    mirror.page.evaluate("document.querySelector('#eye').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    mirror.page.locator("#notices p", has_text="The camera is gone").wait_for()
    assert not mirror.page.is_visible(".live-after") and mirror.page.is_visible("#mirror button")


def test_visitors_are_apart_and_their_pictures_go(browser, server, photo):
    before = set(server.visitors())  # those of other tests leave by and by
    people = [Person(browser, server) for _ in range(3)]
    for person in people:  # all at once: none waits for another's picture
        person.page.set_input_files("#upload input[type=file]", photo)
    plain = {person.seen() for person in people}
    here = set(server.visitors()) - before
    assert len(plain) == 1 and len(here) == 3
    changed = people[0].set_slider("#ombre_height", 0.2)
    assert changed not in plain and people[1].seen() in plain
    for person in people:
        person.leaves()
    server.demand_gone(here)


def test_only_this_machine_is_served(server):
    port = urlsplit(server.address).port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    for host, status in (("127.0.0.1", 307), ("elsewhere.example", 400)):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        assert answer.status == status
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        connection.close()


def test_on_a_telephone_in_korean_and_in_the_dark(browser, server, request):
    how = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
    person = Person(browser, server, locale="ko-KR", color_scheme="dark", **how)
    person.does(lambda: person.page.tap("#samples .strip button >> nth=0"))
    assert person.page.evaluate("document.documentElement.lang") == "ko"
    assert "머리" in person.page.inner_text(".tools")
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert person.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    person.page.locator("#ombre_height").scroll_into_view_if_needed()
    person.page.evaluate("document.querySelector('#ombre_height').scrollIntoView({block: 'center'})")
    assert person.page.evaluate("document.querySelector('.stage').getBoundingClientRect().top >= 0")  # still in sight
    assert person.set_slider("#ombre_height", 0.9)
    take_screenshot(person, request, "page_telephone.jpg")
    person.leaves()


def test_a_view_for_the_readme(browser, server, request):
    person = Person(browser, server, viewport={"width": 1280, "height": 960})
    person.does(lambda: person.page.click("#samples button[aria-label='black flying']"))
    person.does(lambda: person.page.click("#upper button[aria-label='rose gold']"))
    assert person.set_slider("#ombre_height", 0.8)
    take_screenshot(person, request, "page_desktop.jpg")
    person.leaves()


def test_a_number_out_of_range_is_the_nearest_that_there_is(person, photo):
    person.upload(photo)
    box = person.page.locator("#ombre_height input[type=number]")
    for typed, stands in (("7", "1"), ("", "1"), ("0.25", "0.25")):
        box.fill(typed)
        box.press("Tab")
        assert box.input_value() == stands == person.page.input_value("#ombre_height input[type=range]")
        person.page.wait_for_selector("#work")
        wanted = f"--ombre-height {stands} "
        person.wait("w => document.querySelector('#command textarea').value.includes(w)", arg=wanted)


def test_a_palette_is_one_stop_and_arrows_go_on(person, photo):
    person.upload(photo)
    person.page.locator("#upper [tabindex='0']").focus()
    first = person.page.evaluate("document.activeElement.title")
    person.does(lambda: person.page.keyboard.press("ArrowRight"))
    assert person.page.evaluate("document.activeElement.title") != first
    assert person.page.locator("#upper [role=radio][tabindex='0']").count() == 1
    person.page.keyboard.press("Tab")
    assert person.page.evaluate("document.activeElement.className") == "hue"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, server, scheme):
    checks = axe.Axe()
    person = Person(browser, server, color_scheme=scheme, locale="ko-KR")
    assert checks.run(person.page).response["violations"] == []
    person.does(lambda: person.page.click("#samples .strip button >> nth=-1"))
    person.page.locator("#people canvas >> nth=1").wait_for()
    person.page.locator("#people input").nth(1).check()
    person.page.evaluate("document.querySelectorAll('details').forEach(part => (part.open = true))")
    person.page.check("[name=paint][value=add]")
    assert checks.run(person.page).response["violations"] == []
    small = """[...document.querySelectorAll("button, a, input, summary")].filter(part => part.checkVisibility())
        .filter(part => part.getBoundingClientRect().height < 24 || part.getBoundingClientRect().width < 24)
        .map(part => part.outerHTML)"""
    assert person.page.evaluate(small) == []
    person.leaves()


def test_picture_and_colours_stand_together(browser, server):
    for width, height, parts in ((390, 844, ".stage, #upper .swatches"), (1440, 900, ".stage, #undo")):
        person = Person(browser, server, viewport={"width": width, "height": height})
        person.does(lambda person=person: person.page.click(PORTRAIT_SAMPLE))
        person.page.evaluate("scrollTo(0, 0)")
        low = f"[...document.querySelectorAll('{parts}')].map(part => part.getBoundingClientRect().bottom)"
        assert max(person.page.evaluate(low)) <= height
        left, right = person.page.evaluate(
            "(box => [box.left, innerWidth - box.right])(document.body.getBoundingClientRect())"
        )
        assert abs(left - right) <= 16  # a scroll bar
        person.leaves()


def take_screenshot(person: Person, request, name: str) -> None:
    folder = request.config.getoption("--screenshots")
    if folder:
        person.page.wait_for_timeout(500)
        person.page.screenshot(path=Path(folder) / name, type="jpeg", quality=85)
