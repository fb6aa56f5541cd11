"""Two cameras are laid over each other by what they see."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.errors import CalibrationError, UsageError
from streamfuse.geometry.alignment.aligner import align
from streamfuse.geometry.alignment.coarse import SearchRange
from streamfuse.geometry.alignment.level import Gray, corners_of, mapped

SIZE = (480, 360)
TURNED = np.array([[1.045, -0.05, 9.0], [0.055, 1.035, -14.0], [1.5e-5, -1e-5, 1.0]])
NEAR = SearchRange(scale=0.06, angle_deg=4)


def scene(seed: int = 3) -> Gray:
    """Rectangles of many greys and directions."""
    rng = np.random.default_rng(seed)
    picture = np.full(SIZE[::-1], 120, np.uint8)
    for _ in range(70):
        middle = rng.uniform((0, 0), SIZE)
        box = cv2.boxPoints((middle.tolist(), rng.uniform(15, 90, 2).tolist(), float(rng.uniform(0, 90))))
        cv2.fillPoly(picture, [np.rint(box).astype(np.int32)], int(rng.integers(20, 235)))
    return picture


def infrared(picture: Gray, H_visible_from_infrared: npt.NDArray[np.float64]) -> Gray:  # noqa: N803 - a homography
    """Other greys of the same places, blurred, noisy, and from another camera."""
    rng = np.random.default_rng(5)
    table = rng.integers(30, 225, 256).astype(np.uint8)
    moved = cv2.warpPerspective(table[picture], np.linalg.inv(H_visible_from_infrared), SIZE)
    noisy = cv2.GaussianBlur(moved, (0, 0), 1.2) + rng.normal(0, 2, moved.shape)
    return np.asarray(np.where(moved == 0, 0, np.clip(noisy, 1, 255)), np.uint8)


def corner_error_px(found: npt.NDArray[np.float64], true: npt.NDArray[np.float64]) -> float:
    """Mean over the four corners."""
    corners = corners_of(SIZE)
    return float(np.linalg.norm(mapped(found, corners) - mapped(true, corners), axis=1).mean())


def test_a_homography_between_unlike_pictures_is_found() -> None:
    """Greys may be of any order: only where edges are counts."""
    picture = scene()
    found = align([(picture, infrared(picture, TURNED))], search=NEAR)
    assert corner_error_px(found.H_visible_from_infrared, TURNED) < 1.5
    assert found.confidence > 0.9
    least_px = 3.5 * max(SIZE) / 640  # one scene alone is not trusted with less
    assert least_px < found.residual_px < least_px + 1


def test_the_affine_model_has_no_perspective() -> None:
    """What is returned is affine, and close."""
    picture = scene()
    found = align([(picture, infrared(picture, TURNED))], model="affine", search=NEAR)
    assert np.allclose(found.H_visible_from_infrared[2], (0, 0, 1), atol=1e-9)
    assert corner_error_px(found.H_visible_from_infrared, TURNED) < 4


def test_sizes_may_differ() -> None:
    """A smaller infrared camera with the same field of view needs no start."""
    picture = scene()
    half = np.asarray(cv2.resize(infrared(picture, TURNED), None, fx=0.5, fy=0.5), np.uint8)
    found = align([(picture, half)], search=NEAR)
    true = TURNED @ np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    corners = corners_of((SIZE[0] // 2, SIZE[1] // 2))
    apart = mapped(found.H_visible_from_infrared, corners) - mapped(true, corners)
    assert np.linalg.norm(apart, axis=1).mean() < 2.5


def test_a_start_moves_the_search() -> None:
    """Far from the same field of view, a start near the truth is what the search goes around."""
    picture = scene()
    far = np.array([[1.3, 0.0, -70.0], [0.0, 1.3, -50.0], [0.0, 0.0, 1.0]])
    start = far @ np.array([[1.02, 0.0, 5.0], [0.0, 1.02, -6.0], [0.0, 0.0, 1.0]])
    found = align([(picture, infrared(picture, far))], start=start, search=NEAR)
    assert corner_error_px(found.H_visible_from_infrared, far) < 2.5


@pytest.mark.parametrize("kind", ["other scene", "noise", "flat"])
def test_pictures_without_a_common_scene_are_refused(kind: str) -> None:
    """Nothing is returned when the two have nothing in common, and the message says what to do."""
    others = {
        "other scene": scene(11),
        "noise": np.random.default_rng(0).integers(0, 255, SIZE[::-1]).astype(np.uint8),
        "flat": np.full(SIZE[::-1], 80, np.uint8),
    }
    with pytest.raises(CalibrationError, match=r"do not determine the alignment.*--points"):
        align([(scene(), others[kind])], search=NEAR)


def test_pairs_that_say_little_alone_are_put_together() -> None:
    """Each pair sees a quarter of the scene; all together hold the whole homography."""
    picture, other = scene(), infrared(scene(), TURNED)
    pairs = []
    for rows in (slice(0, 180), slice(180, 360)):
        for columns in (slice(0, 240), slice(240, 480)):
            smoke = np.full_like(picture, 128)
            smoke[rows, columns] = picture[rows, columns]
            pairs.append((smoke, other))
    found = align(pairs, start=TURNED, search=SearchRange(scale=0.02, angle_deg=1, shift=0.05))
    assert found.pairs == 4
    assert corner_error_px(found.H_visible_from_infrared, TURNED) < 2.5


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "at least one pair"),
        ([(np.zeros((20, 20), np.uint8),) * 2], "or larger"),
        ([(np.zeros((99, 99), np.uint16),) * 2], "8 bits"),
        ([(np.zeros((99, 99), np.uint8),) * 2, (np.zeros((98, 99), np.uint8),) * 2], "one size"),
    ],
)
def test_what_cannot_be_aligned_is_said(pairs: list[tuple[Gray, Gray]], message: str) -> None:
    """A mistake of the caller is no refusal of the pictures."""
    with pytest.raises(UsageError, match=message):
        align(pairs)


def test_a_start_that_is_no_homography_is_said() -> None:
    """It could not be inverted."""
    picture = scene()
    with pytest.raises(UsageError, match="invertible"):
        align([(picture, picture)], start=np.zeros((3, 3)))


def test_a_real_pair_is_aligned(data_dir: Path) -> None:
    """A road by day, its infrared picture turned: found as far as the data set itself is registered."""
    stem = "FLIR_00594"
    visible, other = (
        np.asarray(cv2.imread(str(next((data_dir / "roadscene" / side).glob(f"{stem}.*"))), 0), np.uint8)
        for side in ("visible", "infrared")
    )
    height, width = visible.shape
    true = np.array([[1.03, -0.03, -8.0], [0.03, 1.03, 6.0], [0.0, 0.0, 1.0]])
    moved = np.asarray(cv2.warpPerspective(other, np.linalg.inv(true), (width, height)), np.uint8)
    found = align([(visible, moved)])
    corners = corners_of((width, height))
    apart = mapped(found.H_visible_from_infrared, corners) - mapped(true, corners)
    assert np.linalg.norm(apart, axis=1).mean() < 4
