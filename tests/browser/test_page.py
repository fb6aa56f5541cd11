"""The live page in a real browser: it moves, every mode shows something else, and the overlay is right."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from streamfuse.frames import FusedFrame, Layer, PairState

PIXELS = """([x, y, width, height]) => {
  const part = Object.assign(document.createElement("canvas"), { width, height });
  part.getContext("2d").drawImage(document.getElementById("picture"), -x, -y);
  return part.toDataURL("image/png");
}"""
SIZE = "(({width, height}) => [width, height])(document.getElementById('picture'))"
WAIT_NEXT = """(before) => Number(document.getElementById("picture").dataset.frame) > before"""


def frame_number(page: Page) -> int:
    """Number of the frame on the screen; 0 before the first."""
    return int(page.locator("#picture").get_attribute("data-frame") or 0)


def wait_next(page: Page, count: int = 1) -> None:
    """Wait until so many further frames were drawn."""
    page.wait_for_function(WAIT_NEXT, arg=frame_number(page) + count - 1)


def panes(page: Page) -> list[list[int]]:
    """Left, top, width and height of each picture on the canvas."""
    return list(page.evaluate("JSON.parse(document.getElementById('picture').dataset.panes)"))


def pixels(page: Page, box: list[int] | None = None) -> NDArray[np.int64]:
    """R, G, B of a part of the canvas, by default of its first picture."""
    x, y, width, height = box or panes(page)[0]
    png = base64.b64decode(page.evaluate(PIXELS, [x, y, width, height]).partition(",")[2])
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int64)


def choose(page: Page, mode: str) -> None:
    """Choose a mode with the mouse and wait until it is on the screen."""
    page.locator(f".modes label:has([value={mode}])").click()
    page.wait_for_function("(mode) => document.getElementById('picture').dataset.mode === mode", arg=mode)


def without_objects(frame: FusedFrame) -> FusedFrame:
    """The frame with nothing found in it."""
    return replace(frame, detections=())


def test_the_picture_moves_and_the_numbers_are_live(make_show, look) -> None:
    """New pictures come, other than the ones before, and the line at the top tells of them."""
    show = make_show()
    with show.on():
        page = look(show.url)
        wait_next(page)
        before = pixels(page)
        wait_next(page, 4)
        assert np.mean(np.abs(pixels(page) - before)) > 0.2
        expect(page.locator("#state")).to_have_text("matched")
        expect(page.locator("#skew_ms")).to_have_text("-3.4 ms")
        expect(page.locator("#latency_ms")).to_have_text("21 ms")
        expect(page.locator("#fps")).to_contain_text("fps")
        expect(page.locator("#pipeline")).to_have_text("street")
        expect(page.locator("#veil")).to_be_hidden()
        page.close()


def test_every_mode_shows_another_picture(make_show, look) -> None:
    """All seven modes differ from each other, of the very same frame of the street."""
    show = make_show()
    still = show.frames[0]
    show.change = lambda _: without_objects(still)
    with show.on():
        page = look(show.url)
        wait_next(page)
        seen = {}
        for mode in ("fused", "visible", "infrared", "side", "blend", "split", "inset"):
            choose(page, mode)
            wait_next(page)
            seen[mode] = pixels(page, [0, 0, *page.evaluate(SIZE)])
        page.close()
    for mode, picture in seen.items():
        for other, another in seen.items():
            assert mode == other or np.mean(np.abs(picture - another)) > 1, (mode, other)


def test_a_layer_is_shown_as_it_was_sent(make_show, look) -> None:
    """The visible mode shows the visible image and the infrared mode the infrared one, pixel for pixel."""
    show = make_show(quality=95)
    still = without_objects(show.frames[0])
    show.change = lambda _: still
    expected = {
        "visible": still.layers[Layer.VISIBLE].planes[0],
        "infrared": np.repeat(still.layers[Layer.INFRARED].planes[0][..., None], 3, axis=2),
        "fused": still.image.planes[0],
    }
    with show.on():
        page = look(show.url)
        wait_next(page)
        for mode, image in expected.items():
            choose(page, mode)
            wait_next(page)
            drawn = pixels(page)
            height, width = image.shape[:2]
            rows = (np.arange(height) + 0.5) * len(drawn) / height
            columns = (np.arange(width) + 0.5) * drawn.shape[1] / width
            sampled = drawn[rows.astype(int)][:, columns.astype(int)]
            assert np.median(np.abs(sampled - image)) < 6, mode
        page.close()


@pytest.mark.parametrize("mode", ["fused", "side"])
def test_boxes_lie_on_the_objects(make_show, look, mode: str) -> None:
    """Where a detection's box has its edges, the canvas has lines of its colour, and none without boxes."""
    show = make_show()
    still = show.frames[0]
    show.change = lambda _: still
    with show.on():
        page = look(show.url)
        wait_next(page)
        choose(page, mode)
        found = max(still.detections, key=lambda each: each.box_xyxy[3] - each.box_xyxy[1])
        edges = [edge_colors(page, pane, found.box_xyxy, still) for pane in panes(page)]
        page.keyboard.press("b")
        wait_next(page)
        bare = [edge_colors(page, pane, found.box_xyxy, still) for pane in panes(page)]
        page.close()
    color = {0: (230, 159, 0), 1: (86, 180, 233), 2: (0, 158, 115)}[found.class_id]
    assert len(edges) == (2 if mode == "side" else 1)
    for with_box, without in zip(edges, bare, strict=True):
        assert np.max(np.abs(with_box - color)) < 40
        assert np.max(np.abs(without - color)) > 60


def edge_colors(page: Page, pane: list[int], box: tuple[float, ...], frame: FusedFrame) -> NDArray[np.int64]:
    """The pixels in the middle of the left, right and lower edge of a box."""
    left, top, right, bottom = box
    x, y, width, height = pane
    width_px, height_px = frame.image.spec.size_wh
    points = [(left, (top + bottom) / 2), (right, (top + bottom) / 2), ((left + right) / 2, bottom)]
    on_canvas = [
        (x + min(px * width / width_px, width - 1), y + min(py * height / height_px, height - 1))
        for px, py in points
    ]
    return np.array([pixels(page, [int(px), int(py), 1, 1])[0, 0] for px, py in on_canvas])


def test_masks_and_tracks_can_be_switched(make_show, look) -> None:
    """Masks tint the objects, tracks draw where they came from; both go when they are switched off."""
    show = make_show()
    with show.on():
        page = look(show.url)
        wait_next(page, 5)
        page.keyboard.press("Space")
        page.locator(".overlays label:has([name=boxes])").click()
        seen = []
        for key in ("t", "m", "t", "t"):
            seen.append(settled(page))
            page.keyboard.press(key)
        seen.append(settled(page))
        page.close()
    _, masks, nothing, tracks, nothing_again = seen
    assert np.mean(np.abs(masks - nothing)) > 0.2
    assert np.max(np.abs(tracks - nothing)) > 60
    assert np.array_equal(nothing, nothing_again)


def settled(page: Page) -> NDArray[np.int64]:
    """The canvas after the changes made so far were drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return pixels(page)


def test_blend_and_palette_change_the_picture(make_show, look) -> None:
    """The slider goes from visible to infrared; a palette paints the infrared picture in colours."""
    show = make_show()
    still = without_objects(show.frames[0])
    show.change = lambda _: still
    with show.on():
        page = look(show.url)
        wait_next(page)
        choose(page, "infrared")
        wait_next(page)
        infrared = settled(page)
        choose(page, "blend")
        wait_next(page)
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        expect(page.locator("[name=mix]")).to_have_value("100")
        assert np.mean(np.abs(settled(page) - infrared)) < 1
        page.locator("[name=palette]").select_option("ironbow")
        painted = settled(page)
        for _ in range(20):
            page.keyboard.press("ArrowLeft")
        visible = settled(page)
        page.close()
    assert np.mean(np.abs(painted[..., 0] - painted[..., 2])) > 20
    assert np.mean(np.abs(visible - infrared)) > 5


def test_zoom_shows_a_part_larger_in_all_panes(make_show, look) -> None:
    """The wheel zooms, and 0 brings the whole picture back."""
    show = make_show()
    still = show.frames[0]
    show.change = lambda _: still
    with show.on():
        page = look(show.url)
        wait_next(page)
        whole = settled(page)
        page.locator("#picture").hover()
        page.mouse.wheel(0, -300)
        expect(page.locator("#zoom")).to_contain_text("2.0")
        larger = settled(page)
        page.keyboard.press("0")
        assert np.array_equal(settled(page), whole)
        assert np.mean(np.abs(larger - whole)) > 2
        page.close()


def test_a_silent_camera_is_said(make_show, look) -> None:
    """A pair without infrared shows the visible picture, its state, and why the infrared pane is empty."""
    show = make_show()

    def blind(frame: FusedFrame) -> FusedFrame:
        return replace(
            frame,
            state=PairState.VISIBLE_ONLY,
            skew_ms=None,
            infrared_age_ms=None,
            infrared_seq=None,
            layers={Layer.VISIBLE: frame.layers[Layer.VISIBLE]},
        )

    show.change = blind
    with show.on():
        page = look(show.url)
        wait_next(page)
        choose(page, "side")
        expect(page.locator("#state")).to_have_text("visible only")
        expect(page.locator("#skew_ms")).to_have_text("\N{EN DASH}")
        infrared = settled_pane(page, 1)
        page.close()
    assert 0 < np.mean(infrared.max(axis=2) > 90) < 0.1  # words on black


def settled_pane(page: Page, index: int) -> NDArray[np.int64]:
    """One pane of the canvas."""
    settled(page)
    return pixels(page, panes(page)[index])


def test_the_snapshot_has_the_cameras_resolution(make_show, look, tmp_path) -> None:
    """The key s saves what is seen as PNG, in the size of the pictures and not of the screen."""
    show = make_show()
    with show.on():
        page = look(show.url)
        wait_next(page)
        with page.expect_download() as saved:
            page.keyboard.press("s")
        path = tmp_path / saved.value.suggested_filename
        saved.value.save_as(path)
        page.close()
    assert path.name.startswith("street-")
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == show.frames[0].image.spec.size_wh
