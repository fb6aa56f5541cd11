"""Lines and zones, areas and predicted boxes on the live page, in a real browser."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from streamfuse.core.masks import encode_mask
from streamfuse.frames import ClassArea, Count, CountKind, FusedFrame, Image

GATE = Count(rule="gate", kind=CountKind.LINE, points=((0.1, 0.8), (0.9, 0.8)), forward=12, backward=9)
YARD = Count(
    rule="yard",
    kind=CountKind.ZONE,
    points=((0.6, 0.1), (0.9, 0.1), (0.9, 0.3), (0.6, 0.3)),
    inside=2,
    entered=7,
    left=5,
    longest_s=4.8,
)


def wait_next(page: Page, count: int = 1) -> None:
    """Wait until so many further frames were drawn."""
    shown = "Number(document.getElementById('picture')?.dataset.frame ?? 0)"
    page.wait_for_function(f"(wanted) => {shown} >= wanted", arg=page.evaluate(shown) + count)


def settled(page: Page) -> NDArray[np.int64]:
    """R, G, B of the picture on the canvas, after the changes made so far were drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    x, y, width, height = page.evaluate("JSON.parse(document.getElementById('picture').dataset.panes)")[0]
    whole = PIL.Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return np.asarray(whole.convert("RGB").crop((x, y, x + width, y + height))).astype(np.int64)


def bare(frame: FusedFrame) -> FusedFrame:
    """Nothing found, nothing counted, on black."""
    width, height = frame.image.spec.size_wh
    black = Image.from_rgb(np.zeros((height, width, 3), np.uint8))
    return replace(frame, image=black, detections=())


def places(picture: NDArray[np.int64], points: list[tuple[float, float]]) -> NDArray[np.int64]:
    """Colours at shares of the picture."""
    height, width = picture.shape[:2]
    return np.array([picture[int(y * height), int(x * width)] for x, y in points])


def test_rules_are_drawn_with_their_counts(make_show, look) -> None:
    """A white line with its label, a tinted zone; new counts change the label; the key c hides them."""
    show = make_show()
    still = bare(show.frames[0])
    counted = [GATE, YARD]
    show.change = lambda _: replace(still, counts=tuple(counted))
    with show.on():
        page = look(show.url)
        wait_next(page)
        drawn = settled(page)
        assert places(drawn, [(0.15, 0.8), (0.4, 0.8), (0.8, 0.8), (0.6, 0.2), (0.9, 0.2)]).min() > 150
        inside, outside = places(drawn, [(0.75, 0.25), (0.3, 0.2)])
        assert 15 < inside.mean() < 60
        assert outside.mean() < 5
        counted[0] = replace(GATE, forward=13)
        wait_next(page, 2)
        changed = np.nonzero(np.abs(settled(page) - drawn).max(axis=2) > 60)
        height = len(drawn)
        assert 0.6 * height < changed[0].min() < changed[0].max() < 0.8 * height, "only the label of the line"
        page.keyboard.press("c")
        expect(page.locator("[name=counts]")).not_to_be_checked()
        assert settled(page).mean() < 1
        page.close()


def test_a_predicted_box_is_dashed_and_has_its_track(make_show, look) -> None:
    """Along its edge colour and ground take turns; of the box that was seen the edge is whole."""
    show = make_show()
    still = bare(show.frames[0])
    found = replace(
        show.frames[0].detections[0], box_xyxy=(60.0, 60.0, 260.0, 200.0), mask_rle=None, track_id=41
    )
    shares = {}
    with_id = {}
    for predicted in (False, True):
        show.change = lambda _, p=predicted: replace(still, detections=(replace(found, is_predicted=p),))
        with show.on():
            page = look(show.url)
            wait_next(page)
            picture = settled(page)
            height, width = picture.shape[:2]
            edge = picture[int(200 / 240 * height), int(0.25 * width) : int(0.75 * width)]
            shares[predicted] = (edge.max(axis=1) > 120).mean()
            page.locator(".overlays label:has([name=tracks])").click()
            with_id[predicted] = np.abs(settled(page) - picture).max()
            page.close()
    assert shares[False] > 0.95
    assert 0.4 < shares[True] < 0.75
    assert min(with_id.values()) > 60, "the number of the track goes with the trails"


def test_areas_are_tinted_with_the_masks(make_show, look) -> None:
    """The pixels of a class have a colour; the key m takes it away."""
    show = make_show()
    still = bare(show.frames[0])
    width, height = still.image.spec.size_wh
    mask = np.zeros((height, width), bool)
    mask[height // 2 :] = True
    area = ClassArea(class_name="curve", share=0.5, mask_rle=encode_mask(mask))
    show.change = lambda _: replace(still, areas=(area,))
    with show.on():
        page = look(show.url)
        wait_next(page)
        above, below = places(settled(page), [(0.5, 0.25), (0.5, 0.75)])
        assert above.max() < 5
        assert below.max() > 40
        page.keyboard.press("m")
        assert settled(page).max() < 5
        page.close()
