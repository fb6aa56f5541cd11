"""A registered pair tells how far its registration is off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamfuse.errors import UsageError
from streamfuse.geometry.alignment.level import Gray
from streamfuse.geometry.alignment.watching import residual_shift, score

SIZE = (640, 480)


def scene() -> Gray:
    """Rectangles of many greys and directions."""
    rng = np.random.default_rng(7)
    picture = np.full(SIZE[::-1], 120, np.uint8)
    for _ in range(90):
        middle, sides = rng.uniform((0, 0), SIZE), rng.uniform(20, 120, 2)
        box = cv2.boxPoints((middle.tolist(), sides.tolist(), float(rng.uniform(0, 90))))
        cv2.fillPoly(picture, [np.rint(box).astype(np.int32)], int(rng.integers(20, 235)))
    return picture


def moved(picture: Gray, dx: float, dy: float, angle_deg: float = 0.0) -> Gray:
    """The picture with other greys, turned about its middle and shifted."""
    way = cv2.getRotationMatrix2D(((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2), angle_deg, 1.0)
    way[:, 2] += np.array([dx, dy])
    return np.asarray(cv2.warpAffine(255 - picture, way, SIZE, borderMode=cv2.BORDER_REPLICATE), np.uint8)


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (6.0, -3.0), (-9.0, 8.0)])
def test_a_shift_is_measured(dx: float, dy: float) -> None:
    """The shift that mends it is the opposite of the one that spoiled it."""
    found = residual_shift(scene(), moved(scene(), dx, dy))
    assert found.shift_px == pytest.approx((-dx, -dy), abs=0.8)
    assert found.confidence > 0.5


def test_a_turn_is_seen_at_the_corners() -> None:
    """One degree moves the corners by 7 px, and the middle not at all."""
    found = residual_shift(scene(), moved(scene(), 0, 0, 1.0))
    assert found.shift_px == pytest.approx((0, 0), abs=0.8)
    assert found.corner_px == pytest.approx(np.radians(1) * 400, abs=1.5)


def test_the_score_falls_when_the_bracket_is_bumped() -> None:
    """Well registered is far above bumped, and without a common scene it is about zero."""
    good, bumped = (score(scene(), moved(scene(), dx, 0)) for dx in (0, 12))
    assert good > 0.2 > bumped
    assert abs(score(scene(), moved(scene()[::-1, ::-1].copy(), 0, 0))) < 0.05


def test_nothing_in_common_gives_no_confidence() -> None:
    """Noise moves nothing that anybody should believe."""
    noise = np.random.default_rng(0).integers(0, 255, SIZE[::-1]).astype(np.uint8)
    assert residual_shift(scene(), noise).confidence < 0.5


def test_what_the_infrared_camera_does_not_see_is_left_out() -> None:
    """A part that another camera fills in cannot pull the answer."""
    picture = scene()
    other = moved(picture, 7, 0)
    seen = np.ones(picture.shape, np.bool_)
    seen[:, :200] = False
    other[:, :200] = picture[:, :200]
    assert residual_shift(picture, other, seen).shift_px[0] == pytest.approx(-7, abs=0.8)


def test_sizes_that_differ_are_said() -> None:
    """The registered picture is on the grid of the visible one."""
    with pytest.raises(UsageError, match="one size"):
        score(scene(), scene()[:100])
