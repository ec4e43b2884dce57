"""One picture from file to file: what is said of it, and how many are in memory."""

import threading
import time
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from common.batch.turns import Turns
from common.image.picture import PictureError, read_picture
from ombre.api import Detection
from ombre.dye_photo import dye_photo
from ombre.style import Style
from tests.tools.clips import scene


def disc(rgb, seen):
    """A round head in the middle, and the same as the share of hair."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    cv2.circle(mask, (rgb.shape[1] // 2, rgb.shape[0] // 2), min(mask.shape) // 3, 255, -1)
    return Detection(mask, mask)


def row(name="b.jpg"):
    return dict(output=name) | Style("lilac").row()


def jpeg(pixels, **settings):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, **settings)
    return file.getvalue()


def test_a_damaged_picture_is_dyed_and_its_row_says_so(tmp_path):
    data = bytearray(jpeg(scene(0, size=(400, 300))))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(range(150)) * 2
    (tmp_path / "a.jpg").write_bytes(data)
    (result,) = dye_photo(tmp_path / "a.jpg", tmp_path, disc, [row()], 10**6)
    assert result["status"] == "ok" and result["note"].startswith("damaged: ")
    assert read_picture(tmp_path / "b.jpg").damage == ""


def test_a_gain_map_is_level_where_the_hair_was_dyed(tmp_path):
    light = np.uint8(60 + 120 * (np.indices((24, 32)).sum(axis=0) % 2))
    gain = jpeg(light, xmp=b"<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/>")
    (tmp_path / "a.jpg").write_bytes(jpeg(scene(0)) + gain)
    (result,) = dye_photo(tmp_path / "a.jpg", tmp_path, disc, [row()], 10**6)
    assert result["note"] == ""
    again = Image.open(BytesIO(read_picture(tmp_path / "b.jpg").gain_map))
    now = np.asarray(again).astype(int)
    assert np.ptp(now[14:19, 14:18]) < 0.4 * np.ptp(light) and np.ptp(now[:, :4]) > 0.8 * np.ptp(light)


def test_what_is_left_out_is_said(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(scene(0)) + b"\0\0\0\x18ftypmp42" + b"clip" * 99)
    (result,) = dye_photo(tmp_path / "a.jpg", tmp_path, disc, [row()], 10**6)
    assert result["note"] == "without the clip of a motion photo"
    nobody = lambda rgb, seen: Detection(*[np.zeros(rgb.shape[:2], np.uint8)] * 2)  # noqa: E731
    (result,) = dye_photo(tmp_path / "a.jpg", tmp_path, nobody, [row()], 10**6)
    assert result["note"] == "" and (tmp_path / "b.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()


def test_a_picture_without_memory_is_a_line(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(scene(0)))

    def full(rgb, seen):
        raise MemoryError

    with pytest.raises(PictureError, match="a.jpg: is too large for the memory"):
        dye_photo(tmp_path / "a.jpg", tmp_path, full, [row()], 10**6)


@pytest.mark.parametrize(("sizes", "together"), [((10, 10, 10, 10), 3), ((100, 100, 100), 1), ((20, 20, 1), 2)])
def test_large_pictures_take_turns(sizes, together):
    turns, inside, most = Turns(30), [], []

    def work(pixels):
        with turns.of(pixels):
            inside.append(pixels)
            most.append((len(inside), sum(inside)))
            time.sleep(0.02)
            inside.remove(pixels)

    threads = [threading.Thread(target=work, args=(pixels,)) for pixels in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == len(sizes) and max(count for count, _ in most) <= together
    assert all(total <= 30 or count == 1 for count, total in most)
