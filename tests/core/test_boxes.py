"""Boxes: overlap, pixels, and the union of several annotators."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.boxes import Box, Outline, box_iou, merge_boxes

GRID = 16


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """A box on a coarse grid, so that equal edges, overlaps and repeats are common."""
    x1, x2 = sorted(draw(st.lists(st.integers(0, GRID), min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(st.integers(0, GRID), min_size=2, max_size=2, unique=True)))
    return Box(draw(st.integers(0, 1)), x1 / GRID, y1 / GRID, x2 / GRID, y2 / GRID)


ANNOTATORS = st.lists(st.lists(boxes(), max_size=5), max_size=4)


def painted(box: Box) -> set[tuple[int, int]]:
    """The cells of the grid inside a box."""
    left, top, right, bottom = map(round, box.to_pixels((GRID, GRID)))
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


@given(boxes(), boxes())
def test_iou_is_shared_over_joint_area(first: Box, second: Box) -> None:
    """IoU equals the count of cells, in either order, and is 1 only for one and the same place."""
    shared, joint = painted(first) & painted(second), painted(first) | painted(second)
    assert box_iou(first, second) == pytest.approx(len(shared) / len(joint), abs=1e-12)
    assert box_iou(first, second) == box_iou(second, first)
    assert (box_iou(first, second) == 1.0) == (first.corners == second.corners)
    assert first.area == pytest.approx(len(painted(first)) / GRID**2)


@given(boxes(), st.integers(1, 4000), st.integers(1, 4000))
def test_pixels_and_back(box: Box, width: int, height: int) -> None:
    """Shares become pixel edges of any image, and the box comes back from them."""
    left, top, right, bottom = box.to_pixels((width, height))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    back = Box.from_pixels(box.class_id, (left, top, right, bottom), size_wh=(width, height))
    assert back.class_id == box.class_id
    assert back.corners == pytest.approx(box.corners, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 0.1, 0.1, 0.2, 0.2), "class of a box must not be negative, got -1"),
        ((0, -0.1, 0.1, 0.2, 0.2), "within 0..1"),
        ((0, 0.1, 0.1, 0.2, 1.5), "within 0..1"),
        ((0, 0.1, math.nan, 0.2, 0.2), "within 0..1"),
        ((0, 0.3, 0.1, 0.2, 0.2), "left < right"),
        ((0, 0.1, 0.2, 0.2, 0.2), "top < bottom"),
    ],
)
def test_a_box_checks_itself(values: tuple[int, float, float, float, float], message: str) -> None:
    """A box outside the image, inside out or of no class is refused with what was got."""
    with pytest.raises(ValueError, match=message):
        Box(*values)


@given(ANNOTATORS, st.randoms(use_true_random=False))
def test_the_union_does_not_depend_on_who_came_first(sets: list[list[Box]], random: object) -> None:
    """Annotators, and the boxes of each, may come in any order."""
    shuffled = [list(own) for own in sets]
    for own in (shuffled, *shuffled):
        random.shuffle(own)  # type: ignore[attr-defined]
    assert merge_boxes(sets) == merge_boxes(shuffled)


@given(ANNOTATORS)
def test_every_box_is_part_of_the_union(sets: list[list[Box]]) -> None:
    """Of each class, it holds as many objects as the keenest annotator drew, at most those of all; sorted."""
    union = merge_boxes(sets)
    distinct = [set(own) for own in sets]
    for class_id in (0, 1):
        counts = [sum(box.class_id == class_id for box in own) for own in distinct]
        objects = sum(box.class_id == class_id for box in union)
        assert max(counts, default=0) <= objects <= sum(counts)
    assert list(union) == sorted(union)


@given(st.lists(boxes(), max_size=6))
def test_agreement_changes_nothing(own: list[Box]) -> None:
    """One annotator, or the same one twice, gives the boxes as they were drawn."""
    assert merge_boxes([own]) == merge_boxes([own, own]) == tuple(sorted(set(own)))


def test_what_two_saw_is_their_mean() -> None:
    """Close boxes of one class become the box between them; others stay."""
    first, second = Box(0, 0.25, 0.25, 0.5, 0.75), Box(0, 0.25, 0.25, 0.5, 0.625)
    elsewhere, other_class = Box(0, 0.75, 0.25, 1.0, 0.75), Box(1, 0.25, 0.25, 0.5, 0.75)
    assert merge_boxes([[first, other_class], [second, elsewhere]]) == (
        Box(0, 0.25, 0.25, 0.5, 0.6875),
        elsewhere,
        other_class,
    )


def test_the_threshold_itself_does_not_merge() -> None:
    """IoU must be larger than ``min_iou``, as "> 0.4" says."""
    first, second = Box(0, 0.0, 0.0, 0.5, 1.0), Box(0, 0.25, 0.0, 0.5, 1.0)
    assert box_iou(first, second) == 0.5
    assert len(merge_boxes([[first], [second]], min_iou=0.5)) == 2
    assert len(merge_boxes([[first], [second]], min_iou=0.49)) == 1


def test_the_closest_pair_is_one_object() -> None:
    """Two people close together stay two when the other camera's annotator saw only one of them."""
    left, right = Box(0, 0.0, 0.0, 0.5, 1.0), Box(0, 0.125, 0.0, 0.625, 1.0)
    again = Box(0, 0.15625, 0.0, 0.65625, 1.0)
    assert box_iou(left, right) > 0.4
    assert merge_boxes([[left, right], [again]]) == (left, Box(0, 0.140625, 0.0, 0.640625, 1.0))


def test_a_threshold_outside_0_to_1_is_refused() -> None:
    """IoU is a share."""
    with pytest.raises(ValueError, match=r"within 0\.\.1, got 40"):
        merge_boxes([], min_iou=40)


def test_an_outline_has_a_box_and_checks_its_corners() -> None:
    """Three corners at least, all within the image, and not in one line along a side."""
    outline = Outline(class_id=2, corners=((0.25, 0.5), (0.75, 0.25), (0.5, 1.0)))
    assert outline.box == Box(2, 0.25, 0.25, 0.75, 1.0)
    assert outline.to_pixels((80, 40)) == [(20.0, 20.0), (60.0, 10.0), (40.0, 40.0)]
    for corners in (
        ((0.1, 0.1), (0.2, 0.2)),
        ((0.1, 0.1), (0.2, 0.1), (0.3, 0.1)),
        ((0, 0), (1, 0), (0, 1.1)),
    ):
        with pytest.raises(ValueError, match=r"corners|left < right"):
            Outline(class_id=0, corners=corners)
