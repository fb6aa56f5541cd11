"""Masks from boxes: against exact truth in made scenes, and in bounds on real pairs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.boxes import IGNORE, Box
from streamfuse.errors import UsageError
from streamfuse.geometry.boxmask import boxes_to_mask
from streamfuse.io.images import read_gray, read_image
from streamfuse.io.labels import read_box_union
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

Plane = npt.NDArray[np.uint8]

PERSON, BICYCLE, CAR = 1, 2, 3
SIZE_WH = (160, 120)
CLASSES = {"person": 0, "bicycle": 1, "car": 2}


def scene(*, levels: float, seed: int) -> Plane:
    """A rough wall, and an ellipse that is brighter by ``levels``; noise like a small camera's."""
    rng = np.random.default_rng(seed)
    wall = cv2.GaussianBlur(rng.normal(0, 60, SIZE_WH[::-1]), (0, 0), 4) + 70
    wall[truth()] += levels
    return np.clip(wall + rng.normal(0, 3, wall.shape), 0, 255).astype(np.uint8)


def truth(box: tuple[int, int, int, int] = (60, 20, 100, 100)) -> npt.NDArray[np.bool_]:
    """The pixels of the ellipse in a box."""
    left, top, right, bottom = box
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]] + 0.5
    across = (x - (left + right) / 2) / ((right - left) / 2)
    return across**2 + ((y - (top + bottom) / 2) / ((bottom - top) / 2)) ** 2 <= 1


def color(gray: Plane) -> Plane:
    """Grey as RGB."""
    return np.ascontiguousarray(np.repeat(gray[..., None], 3, axis=-1))


def iou(labels: Plane, label: int, exact: npt.NDArray[np.bool_]) -> float:
    """Of one class, where the labels are not 255."""
    found, clear = labels == label, labels != IGNORE
    return float((found & exact).sum() / ((found | exact) & clear).sum())


BOX = Box.from_pixels(0, (60, 20, 100, 100), size_wh=SIZE_WH)


@pytest.mark.parametrize(("visible", "infrared"), [(60, 80), (0, 80), (60, 0)])
def test_an_object_is_found_that_one_view_shows(visible: float, infrared: float) -> None:
    """The ellipse comes out of its box, whether both views show it or only one (night; a cold object).

    Measured over eight scenes each: IoU at least 0.957, at most 5 % of the object unclear; the box alone has
    IoU 0.79.
    """
    for seed in range(3):
        views = color(scene(levels=visible, seed=seed)), scene(levels=infrared, seed=seed + 100)
        labels = boxes_to_mask(*views, [BOX])
        assert iou(labels, PERSON, truth()) > 0.9
        assert (labels == IGNORE).sum() < 0.1 * truth().sum()


def test_views_that_differ_leave_doubt() -> None:
    """Where one view shows more of the object than the other, the rest of it is 255."""
    visible, infrared = scene(levels=70, seed=1), scene(levels=70, seed=2)
    head = truth() & (np.arange(SIZE_WH[1])[:, None] < 40)
    infrared[head] = scene(levels=0, seed=2)[head]  # a cold hat
    labels = boxes_to_mask(color(visible), infrared, [BOX])
    assert np.mean(labels[head] == IGNORE) > 0.7
    assert np.mean(labels[truth() & ~head] == PERSON) > 0.85


def test_a_faint_view_keeps_silent() -> None:
    """At night a shade in the visible view does not cast doubt on what infrared shows clearly."""
    shade = np.full(SIZE_WH[::-1], 10, np.uint8)
    shade[24:96, 62:98] += 20
    clear = np.full(SIZE_WH[::-1], 40, np.uint8)
    clear[truth()] = 160
    labels = boxes_to_mask(color(shade), clear, [BOX])
    corners = [27, 27, 92, 92], [65, 94, 65, 94]
    assert iou(labels, PERSON, truth()) > 0.95
    assert (labels[corners] == 0).all()
    alone = boxes_to_mask(color(shade), np.full_like(shade, 40), [BOX])
    assert (alone[corners] == PERSON).all(), "with nothing against it, the shade is believed"


def test_what_nobody_shows_is_an_ellipse_in_doubt() -> None:
    """In the dark for both, the middle of the box is the object, its rest 255, and all else background."""
    dark = np.full(SIZE_WH[::-1], 7, np.uint8)
    labels = boxes_to_mask(color(dark), dark, [BOX])
    inside = np.zeros_like(truth())
    inside[20:100, 60:100] = True
    assert (labels[~inside] == 0).all()
    assert set(np.unique(labels[inside])) == {PERSON, IGNORE}
    assert np.mean(labels[inside] == PERSON) == pytest.approx(np.pi / 4 * 0.8**2, abs=0.02)


def test_small_boxes_are_not_cut() -> None:
    """Below ``min_area_px`` the picture is not asked: the same ellipse whatever it shows."""
    box = Box.from_pixels(0, (80, 60, 88, 76), size_wh=SIZE_WH)
    results = [
        boxes_to_mask(color(gray), gray, [box])
        for gray in (scene(levels=99, seed=1), scene(levels=0, seed=2))
    ]
    np.testing.assert_array_equal(*results)
    assert results[0][68, 84] == PERSON
    assert results[0][60, 80] == IGNORE


def test_the_nearer_object_covers_the_farther() -> None:
    """Where boxes cross, the one that ends lower wins, but a rider covers the bicycle under her."""
    dark = np.zeros(SIZE_WH[::-1], np.uint8)
    car = Box.from_pixels(2, (20, 20, 100, 80), size_wh=SIZE_WH)
    person = Box.from_pixels(0, (50, 30, 70, 100), size_wh=SIZE_WH)
    bicycle = Box.from_pixels(1, (40, 60, 80, 110), size_wh=SIZE_WH)
    assert boxes_to_mask(color(dark), dark, [person, car])[60, 60] == PERSON
    behind = Box.from_pixels(0, (50, 10, 70, 60), size_wh=SIZE_WH)
    assert boxes_to_mask(color(dark), dark, [behind, car])[50, 60] == CAR
    riding = boxes_to_mask(color(dark), dark, [person, bicycle])
    assert riding[80, 60] == PERSON
    assert riding[100, 60] == BICYCLE


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 60), st.integers(0, 40), st.integers(1, 64), st.integers(1, 48)
        ),
        max_size=4,
    ),
    st.integers(0, 9),
)
def test_labels_stay_in_their_boxes(made: list[tuple[int, int, int, int, int]], seed: int) -> None:
    """Any boxes, any pictures: known labels, background outside, the same in any order, inputs untouched."""
    rng = np.random.default_rng(seed)
    gray = cv2.GaussianBlur(rng.integers(0, 256, (48, 64), np.uint8), (0, 0), 1 + seed / 3).astype(np.uint8)
    rgb = color(gray)
    places = [(kind, x, y, min(64, x + width), min(48, y + height)) for kind, x, y, width, height in made]
    boxes = [Box.from_pixels(place[0], place[1:], size_wh=(64, 48)) for place in places]
    before = rgb.copy(), gray.copy()
    labels = boxes_to_mask(rgb, gray, boxes)
    allowed = np.zeros((48, 64, 256), np.bool_)
    allowed[..., 0] = True
    for kind, left, top, right, bottom in places:
        allowed[top:bottom, left:right, [kind + 1, IGNORE]] = True
        assert (labels[top:bottom, left:right] > 0).any()
    assert np.take_along_axis(allowed, labels[..., None].astype(np.intp), axis=-1).all()
    np.testing.assert_array_equal(labels, boxes_to_mask(rgb, gray, boxes[::-1]))
    np.testing.assert_array_equal(rgb, before[0])
    np.testing.assert_array_equal(gray, before[1])


@pytest.mark.parametrize(
    ("visible", "infrared", "message"),
    [
        (
            np.zeros((8, 9, 3), np.uint8),
            np.zeros((8, 8), np.uint8),
            r"got \(8, 9, 3\) uint8 and \(8, 8\) uint8",
        ),
        (np.zeros((8, 9), np.uint8), np.zeros((8, 9), np.uint8), "visible HxWx3"),
        (np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9), np.uint16), "uint16; register and convert"),
        (np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9, 3), np.uint8), "infrared HxW"),
    ],
)
def test_views_of_two_sizes_are_refused(visible: Plane, infrared: Plane, message: str) -> None:
    """What is not a registered 8-bit pair gives one sentence with what was got."""
    with pytest.raises(UsageError, match=message):
        boxes_to_mask(visible, infrared, [])


def test_other_classes_are_refused() -> None:
    """Only persons, bicycles and cars have a known shape."""
    gray = np.zeros((8, 9), np.uint8)
    with pytest.raises(UsageError, match="0 person, 1 bicycle, 2 car, got class 3"):
        boxes_to_mask(color(gray), gray, [Box(3, 0.1, 0.1, 0.9, 0.9)])


@pytest.mark.parametrize("light", ["day", "night"])
def test_masks_against_the_street(light: str) -> None:
    """On the synthetic street, whose masks are exact, persons and cars come out of their boxes.

    Measured over 4 instants (here 2): persons 0.78 (day) and 0.87 (night), cars 0.95; the boxes alone
    have 0.54 and 0.77. Bicycles (0.26) are not judged: the street's masks have holes between the spokes.
    """
    street = Street(StreetSpec.from_uri(f"synthetic://street?seed=7&light={light}"))
    size_wh = street.spec.size_wh
    made, exact, boxed = [], [], []
    for t_s in (3.0, 7.0):
        things = street.truth(t_s)
        boxes = [Box.from_pixels(CLASSES[o.class_name], o.box_xyxy, size_wh=size_wh) for o in things]
        infrared = cv2.warpPerspective(street.infrared(t_s), street.H_visible_from_infrared, size_wh)
        made.append(boxes_to_mask(street.visible(t_s), infrared.astype(np.uint8), boxes))
        exact.append(np.zeros_like(made[-1]))
        boxed.append(np.zeros_like(made[-1]))
        for thing, box in zip(things, boxes, strict=True):
            exact[-1][thing.mask] = box.class_id + 1
            left, top, right, bottom = map(round, thing.box_xyxy)
            boxed[-1][top:bottom, left:right] = box.class_id + 1
    labels, truths, rectangles = np.stack(made), np.stack(exact), np.stack(boxed)
    for label, least in ((PERSON, 0.72), (CAR, 0.9)):
        assert iou(labels, label, truths == label) > max(least, iou(rectangles, label, truths == label) + 0.1)
    assert (labels == IGNORE).sum() < 0.3 * (truths > 0).sum()


def test_real_pairs(data_dir: Path) -> None:
    """By day and by night: most of each large box gets labels, doubt stays rare, and twice gives the same."""
    msrs = data_dir / "msrs"
    folders = [msrs / f"labels_{name}" for name in ("fused", "infrared", "visible")]
    for stem in ("00555D", "00016N"):
        visible = read_image(next((msrs / "visible").glob(f"{stem}.*"))).planes[0].astype(np.uint8)
        infrared = read_gray(next((msrs / "infrared").glob(f"{stem}.*"))).planes[0].astype(np.uint8)
        boxes = read_box_union(folders, stem, classes=3)
        labels = boxes_to_mask(visible, infrared, boxes)
        np.testing.assert_array_equal(labels, boxes_to_mask(visible, infrared, boxes))
        assert (labels == IGNORE).sum() < 0.6 * ((labels > 0) & (labels != IGNORE)).sum()
        for box in boxes:
            left, top, right, bottom = map(round, box.to_pixels((640, 480)))
            if (right - left) * (bottom - top) > 1000:
                assert np.mean(labels[top:bottom, left:right] == box.class_id + 1) > 0.2
