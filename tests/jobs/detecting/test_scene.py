"""How a scene becomes what a detector learns from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.jobs.detecting.scene import Scene, Thing, outline_in_box, views_of

SIDE_PX = 64


def scene(size_wh: tuple[int, int], *boxes: tuple[float, float, float, float]) -> Scene:
    """A grey scene with full masks in its boxes."""
    width, height = size_wh
    things = []
    for left, top, right, bottom in boxes:
        mask = np.zeros((height, width), np.bool_)
        mask[int(top) : int(bottom), int(left) : int(right)] = True
        things.append(Thing(class_id=1, box_xyxy=(left, top, right, bottom), mask=mask))
    grey = np.full((height, width, 3), 99, np.uint8)
    return Scene(name="a", renderings={"visible": grey, "fused": grey + 1}, things=tuple(things))


def boxes_of(labels: str, size_wh: tuple[int, int]) -> list[tuple[int, ...]]:
    """The boxes that Ultralytics will take from outlines, in whole pixels."""
    found = []
    for line in labels.splitlines():
        points = np.array([float(word) for word in line.split()[1:]]).reshape(-1, 2) * size_wh
        found.append((*points.min(axis=0).round().astype(int), *points.max(axis=0).round().astype(int)))
    return found


def test_things_are_shown_at_their_size_smaller_and_larger() -> None:
    """A scene of twice the side: four squares as they are, all of it at half, one at twice its size."""
    views = list(views_of(scene((128, 128), (10, 20, 30, 60)), side_px=SIDE_PX))
    assert [view.name for view in views] == [
        *("a-0-0-64", "a-64-0-64", "a-0-64-64", "a-64-64-64", "a-0-0-128"),
        "a-0-32-32",
    ]
    assert {image.shape for view in views for image in view.renderings.values()} == {(64, 64, 3)}
    assert boxes_of(views[0].labels, (64, 64)) == [(10, 20, 30, 60)]
    assert [boxes_of(view.labels, (64, 64)) for view in views[1:4]] == [[], [], []]
    assert boxes_of(views[4].labels, (64, 64)) == [(5, 10, 15, 30)]
    assert boxes_of(views[5].labels, (64, 64)) == [(20, 0, 60, 56)]


def test_a_small_scene_is_shown_whole() -> None:
    """As it is, without padding; and closer."""
    view, *closer = views_of(scene((50, 40), (1, 1, 20, 20)), side_px=SIDE_PX)
    assert view.renderings["fused"].shape == (40, 50, 3)
    assert {each.renderings["fused"].shape for each in closer} == {(64, 64, 3)}


def test_what_a_square_shows_too_little_of_is_no_object_of_it() -> None:
    """Of a thing across the edge, the square with most of it has it, cut at the edge; the other has not."""
    views = list(views_of(scene((128, 64), (44, 10, 70, 30)), side_px=SIDE_PX))
    assert boxes_of(views[0].labels, (64, 64)) == [(44, 10, 64, 30)]
    assert views[1].labels == ""


def test_what_may_be_an_object_is_painted_over() -> None:
    """An unsure box has one colour afterwards, in every rendering; the scene itself keeps its pixels."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
    unsure = Scene(name="a", renderings={"fused": noise}, things=(), unsure=((8, 8, 24, 24),))
    (view,) = views_of(unsure, side_px=SIDE_PX)
    assert len(np.unique(view.renderings["fused"][8:24, 8:24].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(noise[8:24, 8:24].reshape(-1, 3), axis=0)) > 1
    assert (view.renderings["fused"][30:] == noise[30:]).all()


@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(5, 24),
    st.integers(5, 24),
    st.booleans(),
)
def test_the_box_of_an_outline_is_the_box_of_the_label(
    left: int, top: int, width: int, height: int, has_mask: bool
) -> None:
    """Whatever the mask is, even none: boxes are what annotators are sure of."""
    box = (float(left), float(top), float(left + width), float(top + height))
    mask = np.zeros((64, 64), np.bool_)
    if has_mask:
        mask[top + 1 : top + height - 1, left + 1 : left + width - 2] = True
    outline = outline_in_box(mask, box)
    assert np.allclose((*outline.min(axis=0), *outline.max(axis=0)), box, atol=0.02 * max(width, height))


def test_renderings_of_different_sizes_are_no_scene() -> None:
    """The message names the sizes."""
    with pytest.raises(ValueError, match="one size"):
        Scene(
            name="a",
            renderings={"visible": np.zeros((4, 4, 3), np.uint8), "fused": np.zeros((5, 4, 3), np.uint8)},
            things=(),
        )
