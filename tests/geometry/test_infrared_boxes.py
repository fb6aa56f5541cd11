"""Boxes of the fused image, found again in the infrared one."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.frames import Detection, Image
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.infrared_boxes import on_infrared, with_infrared_boxes
from streamfuse.geometry.pose import Pose
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration

VISIBLE_WH, INFRARED_WH = (640, 480), (320, 240)
DOUBLE = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])
TURNED = np.array([[2.1, 0.04, -6.3], [-0.03, 1.9, 9.6], [8e-5, -5e-5, 1.0]])


def registration(H: npt.ArrayLike) -> Registration:  # noqa: N803 - a homography
    """A thermal camera of half the size."""
    return Registration(H, visible_size_wh=VISIBLE_WH, infrared_size_wh=INFRARED_WH)


@functools.cache
def turned() -> Registration:
    """One for all examples."""
    return registration(TURNED)


def found(*box: float) -> Detection:
    """A person in a box."""
    left, top, right, bottom = box
    return Detection(box_xyxy=(left, top, right, bottom), class_id=0, class_name="person", confidence=0.9)


def test_a_box_has_half_the_size_in_an_image_of_half_the_size() -> None:
    """Edges of pixels map to edges of pixels: with twice the pixels, to exactly half."""
    (person,) = with_infrared_boxes([found(100, 50, 140, 150)], registration(DOUBLE))
    assert person.box_infrared_xyxy == pytest.approx((50, 25, 70, 75))
    assert person.box_xyxy == (100, 50, 140, 150)


def test_registered_streams_keep_their_boxes() -> None:
    """The identity changes nothing, but what reaches beyond the image is cut off."""
    same = Registration(np.eye(3), visible_size_wh=VISIBLE_WH, infrared_size_wh=VISIBLE_WH)
    inside, beyond = with_infrared_boxes([found(1, 2, 3, 4), found(-9, 400, 50, 490)], same)
    assert inside.box_infrared_xyxy == pytest.approx((1, 2, 3, 4))
    assert beyond.box_infrared_xyxy == pytest.approx((0, 400, 50, 480))


def test_what_the_infrared_camera_does_not_see_has_no_box() -> None:
    """A box beside its image, one without area and one behind the horizon; nothing found gives nothing."""
    beside = registration(
        np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ np.diag([1, 1, 1.01])
    )
    for box in ((400, 10, 420, 30), (10, 300, 20, 400), (5, 5, 5, 9)):
        (person,) = with_infrared_boxes([found(*box)], beside)
        assert person.box_infrared_xyxy is None
    tilted = registration(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1 / 200, 1.5]]))
    assert np.isnan(on_infrared([[10, -900, 20, 400]], tilted)).all()
    assert with_infrared_boxes([], beside) == ()


def test_the_box_lies_where_the_object_is() -> None:
    """A warm rectangle, registered onto the visible image, is found again in its box."""
    rig = registration(TURNED)
    picture = np.zeros((240, 320), np.uint8)
    picture[90:150, 120:160] = 255
    black = Image.from_gray(np.zeros((480, 640), np.uint8))
    rows, columns = np.nonzero(rig.apply(Image.from_gray(picture), black).planes[0] > 127)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    ((left, top, right, bottom),) = on_infrared([box], rig)
    # Around a box that was drawn around a turned object there is room; the object lies in its middle.
    assert left == pytest.approx(120, abs=4)
    assert right == pytest.approx(160, abs=4)
    assert (left + right) / 2 == pytest.approx(140, abs=0.6)
    assert (top + bottom) / 2 == pytest.approx(120, abs=0.6)


@given(
    st.lists(st.tuples(st.floats(0, 600), st.floats(0, 440), st.floats(1, 40), st.floats(1, 40)), max_size=5)
)
def test_a_mapped_box_holds_all_mapped_points(boxes: list[tuple[float, float, float, float]]) -> None:
    """Every point of a box lies in the mapped box, as far as it lies in the infrared image."""
    rig = turned()
    edges = np.array([(x, y, x + width, y + height) for x, y, width, height in boxes]).reshape(-1, 4)
    for (left, top, right, bottom), mapped in zip(edges, on_infrared(edges, rig), strict=True):
        across, down = np.meshgrid(np.linspace(left, right, 5), np.linspace(top, bottom, 5))
        points = np.stack((across.ravel() - 0.5, down.ravel() - 0.5, np.ones(25)))
        x, y, w = np.linalg.solve(rig.H_visible_from_infrared, points)
        x, y = x / w + 0.5, y / w + 0.5
        seen = (x > 0) & (y > 0) & (x < INFRARED_WH[0]) & (y < INFRARED_WH[1])
        assert not (seen.any() and np.isnan(mapped).any())
        assert (x[seen] >= mapped[0] - 1e-6).all()
        assert (x[seen] <= mapped[2] + 1e-6).all()
        assert (y[seen] >= mapped[1] - 1e-6).all()
        assert (y[seen] <= mapped[3] + 1e-6).all()


def test_boxes_of_a_cut_picture() -> None:
    """Boxes count from the corner of the picture that was looked at."""
    moved = np.array([[1.0, 0.0, 21.0], [0.0, 1.0, 10.0], [0.0, 0.0, 1.0]])
    cut = Registration(moved, visible_size_wh=VISIBLE_WH, infrared_size_wh=INFRARED_WH, crop=True)
    assert cut.field_xywh[:2] == (22, 10)
    np.testing.assert_allclose(on_infrared([(5, 6, 15, 26)], cut), [(6, 6, 16, 26)], atol=1e-9)


def test_bent_lenses_bend_the_sides_of_boxes() -> None:
    """The box holds the bulging sides of what is straight in the visible image, not only its corners."""
    visible = Camera(size_wh=VISIBLE_WH, fx=500, fy=500, cx=320, cy=240)
    infrared = Camera(size_wh=INFRARED_WH, fx=200, fy=200, cx=160, cy=120, distortion=(-0.3, 0.0, 0.0, 0.0))
    rig = RigGeometry(
        visible_size_wh=VISIBLE_WH,
        infrared_size_wh=INFRARED_WH,
        visible=visible,
        infrared=infrared,
        T_visible_from_infrared=Pose(),
    )
    bent = Registration.of(rig, visible_size_wh=VISIBLE_WH, infrared_size_wh=INFRARED_WH)
    ((left, top, right, bottom),) = on_infrared([(20, 40, 620, 440)], bent)
    sides = bent.to_infrared([(320, 39.5), (320, 439.5), (19.5, 240), (619.5, 240)]) + 0.5
    np.testing.assert_allclose((top, bottom, left, right), (*sides[:2, 1], *sides[2:, 0]), atol=0.05)
    corners = bent.to_infrared([(19.5, 39.5)]) + 0.5
    assert corners[0, 0] > left + 2
