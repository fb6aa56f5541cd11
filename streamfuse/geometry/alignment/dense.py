"""What a homography leaves: a smooth correction, found where both cameras see the same edges.

From coarse to fine, windows around the nodes of a grid are compared for all small displacements
(:mod:`~streamfuse.geometry.alignment.dense_matching`). The displacements are then chosen together: each node
takes the best match near the consensus, and the consensus is the smoothest field near the matches, each of
which counts as much as its similarity is peaked, along the direction in which it is (an edge says nothing
of the way along it). The scheme is that of Heinrich et al., "Non-parametric discrete registration with
convex optimisation", WBIR 2014, with bending energy in place of Gaussian smoothing.

The picture is judged twice, on the two halves of a chessboard of small blocks: what the two fields do not
have in common is noise, and a correction that is mostly noise is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.alignment.dense_grid import NodeGrid
from streamfuse.geometry.alignment.dense_matching import edges, similarities

__all__ = ["DenseWarp", "refine_dense"]

Gray = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Pairs = Sequence[tuple[Gray, Gray]]

_LEVELS: Final = ((4, 3), (2, 3), (1, 3), (1, 2))
"""Pixels per pixel of the level, and how far it looks in its own pixels."""
_NODES_ACROSS: Final = 20
_FULL_SIDE_PX: Final = 960
"""Larger pictures are not compared at their full resolution: infrared has none to give."""
_WINDOW: Final = 0.5
"""Standard deviation of a window, as a share of the step."""
_STIFFNESS: Final = 0.005
_PULL: Final = 0.002
"""To no correction, where there is no evidence. Both in units of the curvature of a similarity, per pair."""
_ROUNDS: Final = 8
_NEARNESS: Final = 0.002
"""Similarity that a match gives up for each squared pixel off the consensus, in the first round."""
_OUTLIER: Final = 0.02
_BLOCK_PX: Final = 16
_LEAST_RELIABILITY: Final = 0.5
_LEAST_AREA: Final = 0.25
_EDGE: Final = cv2.getStructuringElement(cv2.MORPH_RECT, (5, 5))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseWarp:
    """A correction d on top of a homography H: visible pixel p shows infrared pixel H^-1(p + d(p))."""

    grid: NodeGrid
    field: Floats
    """RxCx2: d at the nodes (x, y) in visible pixels; all zero where nothing better was found."""
    reliability: float
    """0 to 1: share of the correction that both halves of the picture agree on."""
    uncertainty_px: float
    """Standard deviation of the correction by that comparison."""

    @property
    def is_zero(self) -> bool:
        """Whether the homography stays as it is."""
        return not self.field.any()

    @property
    def mean_px(self) -> float:
        """Mean length of the correction."""
        return float(np.linalg.norm(self.field, axis=-1).mean())

    def infrared_from_visible(self, pixels: Floats, H_visible_from_infrared: Floats) -> Floats:  # noqa: N803 - field's name
        """Infrared pixels that visible pixels …x2 show."""
        moved = (pixels + self.grid.at(self.field, pixels)).reshape(-1, 1, 2)
        back = cv2.perspectiveTransform(moved, np.linalg.inv(H_visible_from_infrared))
        return np.asarray(back.reshape(pixels.shape), np.float64)


def refine_dense(pairs: Pairs, H_visible_from_infrared: Floats, *, step_px: int | None = None) -> DenseWarp:  # noqa: N803 - field's name
    """Find the smooth correction that a homography lacks, from all pairs together.

    Args:
        pairs: visible HxW and infrared hxw, uint8; all of one size per camera, at least one pair.
        H_visible_from_infrared: 3x3, right to some ten pixels.
        step_px: between two nodes, in visible pixels; otherwise a twentieth of the longer side.

    Returns:
        A field that never folds; zero if the pictures do not agree on any.

    Raises:
        ValueError: no pair, or sizes that differ.
    """
    sizes = {(visible.shape, infrared.shape) for visible, infrared in pairs}
    if len(sizes) != 1:
        raise ValueError(f"pairs must be some, of one size, got {sorted(sizes)}")
    height, width = pairs[0][0].shape
    grid = NodeGrid(
        size_wh=(width, height), step_px=step_px or max(8, -(-max(width, height) // _NODES_ACROSS))
    )
    halves = [_fit(pairs, H_visible_from_infrared, grid, half) for half in (0, 1)]
    field = (halves[0] + halves[1]) / 2
    noise, signal = (float(np.square(each).mean()) for each in ((halves[0] - halves[1]) / 2, field))
    reliability = max(0.0, 1.0 - noise / signal) if signal else 0.0
    return DenseWarp(
        grid=grid,
        field=_unfolded(grid, field) if reliability >= _LEAST_RELIABILITY else np.zeros_like(field),
        reliability=reliability,
        uncertainty_px=float(np.sqrt(2 * noise)),
    )


def _unfolded(grid: NodeGrid, field: Floats) -> Floats:
    """The field, weakened until it keeps the order of all points."""
    weakened = (field * share for share in (1.0, 0.75, 0.5, 0.25))
    return next((each for each in weakened if grid.least_area(each) >= _LEAST_AREA), np.zeros_like(field))


def _fit(pairs: Pairs, homography: Floats, grid: NodeGrid, half: int) -> Floats:
    """The field by one half of the blocks."""
    field = np.zeros((*grid.shape, 2))
    shrink = max(1, round(max(grid.size_wh) / _FULL_SIDE_PX))
    for factor, reach in ((each * shrink, reach) for each, reach in _LEVELS):
        volume = sum(_compare(pair, homography, grid, field, _Level(factor, reach, half)) for pair in pairs)
        smooth = _STIFFNESS * grid.bending + _PULL * np.eye(len(grid.bending))
        shift = _consensus(np.asarray(volume), field / factor, len(pairs) * smooth) * factor
        # What lies ``shift`` further in the warped picture was brought there by the field of that place.
        field = shift + grid.at(field, grid.nodes + shift)
    return field


@dataclass(frozen=True, slots=True)
class _Level:
    factor: int
    reach: int
    half: int


def _compare(
    pair: tuple[Gray, Gray], homography: Floats, grid: NodeGrid, field: Floats, level: _Level
) -> Floats:
    """DxDxRxC: the similarities of one pair around a field."""
    visible, infrared = (_softened(image, level.factor) for image in pair)
    width, height = (-(-side // level.factor) for side in grid.size_wh)
    middle = (level.factor - 1) / 2
    x, y = (np.arange(side, dtype=np.float64) * level.factor + middle for side in (width, height))
    pixels = np.stack(np.meshgrid(x, y), axis=-1)
    moved = (pixels + grid.at(field, pixels)).reshape(-1, 1, 2)
    source = np.asarray(cv2.perspectiveTransform(moved, np.linalg.inv(homography)), np.float64)
    source = source.reshape(pixels.shape)
    limits = np.array(infrared.shape[::-1]) - 1
    inside = ((source >= 0) & (source <= limits)).all(axis=-1)
    looked = np.asarray(inside, np.uint8)
    seen = cv2.erode(looked, _EDGE, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    blocks = (pixels // _BLOCK_PX).sum(axis=-1) % 2 == level.half
    rows = _weights(y, grid.shape[0], grid.step_px)
    columns = _weights(x, grid.shape[1], grid.step_px)
    return similarities(
        edges(_sampled(visible, pixels)),
        edges(_sampled(infrared, source)) * np.asarray(seen, np.float32),
        blocks.astype(np.float32),
        windows=(rows, columns),
        reach=level.reach,
    )


def _softened(image: Gray, factor: int) -> Gray:
    """Without what the pixels of a level cannot show."""
    return image if factor == 1 else np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * factor), np.uint8)


def _sampled(image: Gray, pixels: Floats) -> Gray:
    x, y = np.moveaxis(np.asarray(pixels, np.float32), -1, 0)
    sampled = cv2.remap(image, x.copy(), y.copy(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.uint8)


def _weights(positions: Floats, nodes: int, step_px: int) -> Singles:
    """Gaussian windows around nodes, one a row, over pixel positions."""
    distances = (positions[None, :] - np.arange(nodes)[:, None] * step_px) / (_WINDOW * step_px)
    return np.asarray(np.exp(-0.5 * np.square(distances)), np.float32)


def _consensus(volume: Floats, before: Floats, smooth: Floats) -> Floats:
    """RxCx2: shifts that match well and make ``before + shift`` smooth, in pixels of the level."""
    lags, _, *shape = volume.shape
    values = volume.reshape(lags, lags, -1)
    count, reach = values.shape[2], lags // 2
    base = before.reshape(count, 2)
    offsets = np.arange(lags) - reach
    places = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 1, 2)
    shift = np.zeros((count, 2))
    for turn in range(_ROUNDS):
        away = np.square(places - shift).sum(axis=-1) * _NEARNESS * 1.5**turn
        best = (values.reshape(-1, count) - away).argmax(axis=0)
        match, peak, similarity = _peaks(values, best)
        off = np.einsum("ni,nij,nj->n", match - shift, peak, match - shift) if turn else np.zeros(count)
        trust = np.maximum(similarity, 0.0) / (1.0 + off / _OUTLIER)
        shift = _smoothest(match, peak * trust[:, None, None], base, smooth)
    return shift.reshape(*shape, 2)


def _peaks(values: Floats, best: npt.NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Fit a parabola around the chosen lag of each node: its top Nx2, its curvature Nx2x2, its value N."""
    lags, _, count = values.shape
    row, column = (np.clip(index, 1, lags - 2) for index in np.divmod(best, lags))
    node = np.arange(count)

    def at(down: int, across: int) -> Floats:
        return np.asarray(values[row + down, column + across, node], np.float64)

    value = at(0, 0)
    slope = np.stack((at(0, 1) - at(0, -1), at(1, 0) - at(-1, 0)), axis=-1) / 2
    mixed = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    along_x, along_y = (at(0, 1) - 2 * value + at(0, -1), at(1, 0) - 2 * value + at(-1, 0))
    curvature = -np.stack((along_x, mixed, mixed, along_y), axis=-1).reshape(count, 2, 2)
    sizes, axes = np.linalg.eigh(curvature)
    curvature = (axes * np.maximum(sizes, 1e-4)[:, None, :]) @ axes.transpose(0, 2, 1)
    step = np.linalg.solve(curvature, slope[..., None])[..., 0]
    step /= np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))
    return np.stack((column, row), axis=-1) - lags // 2 + step, curvature, value


def _smoothest(match: Floats, weight: Floats, base: Floats, smooth: Floats) -> Floats:
    """Nx2: minimise the weighted squares of ``shift - match`` plus ``smooth`` of ``base + shift``."""
    count = len(match)
    system = np.zeros((2, count, 2, count))
    node = np.arange(count)
    for first, second in np.ndindex(2, 2):
        system[first, node, second, node] = weight[:, first, second]
    system[0, :, 0, :] += smooth
    system[1, :, 1, :] += smooth
    wanted = np.einsum("nij,nj->in", weight, match) - (smooth @ base).T
    return np.asarray(np.linalg.solve(system.reshape(2 * count, -1), wanted.reshape(-1)).reshape(2, count).T)
