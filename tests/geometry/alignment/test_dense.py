from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfuse.geometry.alignment.dense import DenseWarp, refine_dense
from streamfuse.geometry.alignment.dense_grid import NodeGrid

SIZE_WH = (256, 192)


def pixels(size_wh: tuple[int, int]) -> np.ndarray:
    """HxWx2: x and y of every pixel."""
    return np.stack(np.meshgrid(*(np.arange(side, dtype=np.float64) for side in size_wh)), axis=-1)


def scene(seed: int) -> np.ndarray:
    """Patches of all sizes: edges of all directions."""
    rng = np.random.default_rng(seed)
    image = np.full(SIZE_WH[::-1], 128, np.uint8)
    for _ in range(250):
        center, axes = rng.uniform((0, 0), SIZE_WH), rng.uniform(3, 22, 2)
        cv2.ellipse(image, (tuple(center), tuple(axes), rng.uniform(0, 180)), int(rng.integers(20, 235)), -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8))


def bent(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The picture whose pixel x shows what ``image`` shows at x + shift(x)."""
    maps = (pixels(SIZE_WH) + shift).astype(np.float32)
    return np.asarray(
        cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def wave(size_px: float) -> np.ndarray:
    """A smooth shift of every pixel."""
    x, y = np.moveaxis(pixels(SIZE_WH), -1, 0)
    return size_px * np.stack((np.sin(y / 40 + 1), np.cos(x / 45)), axis=-1)


def mean_error(warp: DenseWarp, shift: np.ndarray) -> float:
    """What is left between visible pixels and where the infrared pixels that they show belong."""
    place = pixels(SIZE_WH)
    source = warp.infrared_from_visible(place, np.eye(3))
    x, y = (source[..., axis].astype(np.float32) for axis in (0, 1))
    moved = [
        cv2.remap(
            shift[..., axis].astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for axis in (0, 1)
    ]
    inner = np.s_[16:-16, 16:-16]
    return float(np.linalg.norm(source + np.stack(moved, axis=-1) - place, axis=-1)[inner].mean())


@pytest.fixture(scope="module")
def found() -> DenseWarp:
    """Of one pair, the infrared picture with the opposite contrast."""
    return refine_dense([(scene(1), 255 - bent(scene(1), wave(2.0)))], np.eye(3))


def test_a_smooth_bend_is_found_through_opposite_contrast(found: DenseWarp) -> None:
    """Of a bend of 2 px less than a third is left, though what was bright is dark."""
    before = float(np.linalg.norm(wave(2.0), axis=-1).mean())
    assert mean_error(found, wave(2.0)) < before / 3
    assert found.reliability > 0.8
    assert found.uncertainty_px < 0.5


def test_the_field_never_folds(found: DenseWarp) -> None:
    """Neighbours stay neighbours."""
    assert found.grid.least_area(found.field) > 0.25


def test_what_is_registered_stays_so() -> None:
    """Where nothing is off the correction is close to none."""
    warp = refine_dense([(scene(2), 255 - scene(2))], np.eye(3))
    assert mean_error(warp, wave(0.0)) < 0.1


def test_pictures_that_share_nothing_are_not_corrected() -> None:
    """Two scenes that have nothing to do with each other give zero, with the doubt that it deserves."""
    warp = refine_dense([(scene(3), scene(4))], np.eye(3))
    assert warp.is_zero
    assert warp.reliability < 0.5


def test_a_flat_picture_is_not_corrected() -> None:
    """No edges, no evidence."""
    assert refine_dense([(scene(3), np.full(SIZE_WH[::-1], 90, np.uint8))], np.eye(3)).is_zero


def test_the_homography_below_is_respected() -> None:
    """The correction is on top: a picture half as large is corrected in visible pixels."""
    large = 255 - bent(scene(1), wave(2.0))
    small = np.asarray(cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    doubled = np.array([[2.0, 0, 0.5], [0, 2.0, 0.5], [0, 0, 1]])
    warp = refine_dense([(scene(1), small)], doubled)
    plain = refine_dense([(scene(1), large)], np.eye(3))
    assert np.abs(warp.field - plain.field)[1:-1, 1:-1].mean() < 0.4


def test_pairs_of_different_sizes_are_refused() -> None:
    """One correction is for one pair of cameras."""
    with pytest.raises(ValueError, match="of one size"):
        refine_dense([(scene(1), scene(1)), (scene(1)[:100], scene(1))], np.eye(3))
    with pytest.raises(ValueError, match="must be some"):
        refine_dense([], np.eye(3))


def test_the_grid_covers_the_visible_picture(found: DenseWarp) -> None:
    """A step is a twentieth of the longer side."""
    assert found.grid == NodeGrid(size_wh=SIZE_WH, step_px=13)


@pytest.mark.slow
def test_a_bent_infrared_picture_of_a_real_scene(data_dir: Path) -> None:
    """With the best homography below, one camera's picture bent elastically is straight again."""
    folder = data_dir / "warp" / "roadscene"
    bent_one, straight = (
        np.asarray(cv2.imread(str(folder / name / "24.png"), cv2.IMREAD_GRAYSCALE))
        for name in ("infrared_warped", "infrared")
    )
    height, width = straight.shape
    flow = np.load(folder / "flow" / "24.png.npz")["flow"][0].astype(np.float64)
    place = pixels((width, height))
    sides = np.array((width, height))
    target = (flow + 1) * sides / 2 - 0.5
    matrix, _ = cv2.findHomography(place[::8, ::8].reshape(-1, 2), target[::8, ::8].reshape(-1, 2), 0)

    def error(source: np.ndarray) -> float:
        maps = source.astype(np.float32)
        belongs = [
            cv2.remap(target[..., axis].astype(np.float32), maps[..., 0], maps[..., 1], cv2.INTER_LINEAR)
            for axis in (0, 1)
        ]
        inside = ((source >= 0) & (source <= sides - 1)).all(axis=-1)
        return float(np.linalg.norm(np.stack(belongs, axis=-1) - place, axis=-1)[inside].mean())

    warp = refine_dense([(straight, bent_one)], np.asarray(matrix))
    nothing = DenseWarp(grid=warp.grid, field=np.zeros_like(warp.field), reliability=0.0, uncertainty_px=0.0)
    assert error(warp.infrared_from_visible(place, matrix)) < 0.65 * error(
        nothing.infrared_from_visible(place, matrix)
    )
