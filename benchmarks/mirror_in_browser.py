"""The page's mirror in Chromium, with a camera that plays a clip: frames a second, how long each was away, what the
server and the browser take of the processor, and memory from minute to minute.

python benchmarks/mirror_in_browser.py

A frame's way is counted from the browser's sending to its being drawn.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.markdown import markdown
from benchmarks.mirror import film, parser_of

FLAGS = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
SETTLED = 5.0  # seconds that are not counted
# When the newest socket, the mirror's, was made; and when each frame was shown, with the time at which it was sent.
BEGUN = """
const Plain = WebSocket;
window.WebSocket = class extends Plain { constructor(...how) { super(...how); window.began = performance.now(); } };
"""
WATCH = """() => {
    window.shown = [];
    const stage = document.querySelector(".stage");
    const note = () => shown.push([performance.now() / 1000, (began + Number(stage.dataset.stamp)) / 1000]);
    new MutationObserver(note).observe(stage, { attributes: true, attributeFilter: ["data-stamp"] });
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    options = parser_of(__doc__).parse_args()
    with TemporaryDirectory() as folder, sync_playwright() as play:
        camera = Path(folder, "camera.mjpeg")
        camera.write_bytes(b"".join(film(options.clip, *options.size)))
        command = [sys.executable, ROOT / "ombre" / "preview.py", "--no-browser", "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        address = server.stdout.readline().split()[0]
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        pages = [opened(browser, address) for _ in range(options.visitors)]
        rows, parts = look(pages, server.pid, options.seconds)
        print(markdown(rows))
        print(markdown(parts))
        browser.close()
        server.terminate()
        server.wait()


def opened(browser, address: str):
    """A page whose mirror shows something."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.add_init_script(BEGUN)
    page.goto(address)
    page.wait_for_selector("#samples .strip button")
    page.evaluate(WATCH)
    page.click("#mirror button")
    while not page.evaluate("shown.length"):
        page.wait_for_timeout(100)
    return page


def look(pages: list, server: int, seconds: float) -> tuple[list[dict], list[dict]]:
    """A row for each visitor, and one for the server and for the browser."""
    pages[0].wait_for_timeout(1000 * SETTLED)
    for page in pages:
        page.evaluate("shown.length = 0")
    began, before = time.monotonic(), cost(server)
    memory = [before[2:]]
    while (left := began + seconds - time.monotonic()) > 0:
        pages[0].wait_for_timeout(1000 * min(60, left))
        memory.append(cost(server)[2:])
    after, took = cost(server), time.monotonic() - began
    seen = [page.evaluate("shown") for page in pages]
    rows = []
    for shown in seen:
        away = sorted(1000 * (at - sent) for at, sent in shown)
        row = {"frames a second": f"{len(shown) / took:.1f}", "ms away, median": f"{median(away):.0f}"}
        rows.append(row | {"95 % below": f"{away[len(away) * 95 // 100]:.0f}"})
    count = sum(map(len, seen))
    parts = []
    for number, name in enumerate(("server", "browser")):
        sizes = ", ".join(f"{sizes[number]:.0f}" for sizes in memory)
        spent = f"{1000 * (after[number] - before[number]) / count:.0f}"
        parts.append({"": name, "processor, ms a frame": spent, "MB, from minute to minute": sizes})
    return rows, parts


def cost(server: int) -> tuple[float, float, float, float]:
    """Seconds of the processor that the server and the browser have had, and the MB that they have."""
    own, browser = ticks_and_pages(server), [ticks_and_pages(pid) for pid in running("chrom")]
    ticks, size = 100, 4096 / 2**20  # on Linux
    others = [sum(values) for values in zip(*browser)]
    return own[0] / ticks, others[0] / ticks, own[1] * size, others[1] * size


def running(name: str) -> list[int]:
    """The processes whose program is called so."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/comm"):
        if name in stat.read_text():
            found.append(int(stat.parent.name))
    return found


def ticks_and_pages(pid: int) -> tuple[int, int]:
    """Of a process: the processor's ticks, and pages in memory that are its own."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
    return sum(map(int, ticks)), int(resident) - int(shared)


if __name__ == "__main__":
    main()
