"""The crops that a step learns from.

Drawing is a pure function of (seed, step, index in the batch), so a resumed run sees exactly the crops that
an uninterrupted run would have seen, and they can be drawn ahead of time in another thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfuse.jobs.training.dataset import Pair, Plane

__all__ = ["Batch", "Cut", "draw_batch", "generator"]

_NO_COLOR = 128
_UNKNOWN = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How crops are drawn."""

    batch: int
    crop: int
    """Side in pixels."""
    labelled: bool = False
    """Chroma and labels come along, and crops are only mirrored: people stand upright. Otherwise each is
    turned by one of the eight symmetries of a square."""
    near_objects: float = 0.0
    """Share of the crops of labelled pairs that are drawn around a pixel of an object."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Crops as they lie in the images."""

    planes: npt.NDArray[np.uint8]
    """(batch, planes, crop, crop): luma and infrared; with labels also Cr, Cb and class ids."""
    places: tuple[str, ...]
    """Of each crop, the pair and the position."""


def draw_batch(pairs: Sequence[Pair], cut: Cut, *, seed: int, step: int, purpose: int = 0) -> Batch:
    """Cut random square crops; the same arguments give the same crops.

    Args:
        pairs: to draw from, each at least as large as a crop.
        cut: how.
        seed: of the run.
        step: number of the batch.
        purpose: keeps the draws of one purpose apart from those of another.
    """
    drawn = [
        _draw(pairs, cut, generator(seed, step, index=index, purpose=purpose)) for index in range(cut.batch)
    ]
    return Batch(planes=np.stack([planes for planes, _ in drawn]), places=tuple(place for _, place in drawn))


def generator(seed: int, step: int, *, index: int = 0, purpose: int = 0) -> np.random.Generator:
    """Random numbers that belong to one crop of one step."""
    return np.random.default_rng((seed, step, index, purpose))


def _draw(pairs: Sequence[Pair], cut: Cut, rng: np.random.Generator) -> tuple[Plane, str]:
    """The planes of one crop, (planes, crop, crop) uint8, and where it was."""
    pair = pairs[int(rng.integers(len(pairs)))]
    top, left = _corner(pair, cut, rng)
    window = np.s_[top : top + cut.crop, left : left + cut.crop]
    planes = _labelled_planes(pair, window) if cut.labelled else np.stack(_sources(pair, window))
    if not cut.labelled:
        planes = np.rot90(planes, int(rng.integers(4)), axes=(1, 2))
    if rng.integers(2):
        planes = np.flip(planes, axis=2)
    return planes, f"{pair.name} at x {left} y {top}"


def _corner(pair: Pair, cut: Cut, rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a crop: anywhere, or so that it holds a random pixel of an object."""
    height, width = pair.visible.shape
    highest = (height - cut.crop, width - cut.crop)
    if cut.near_objects and pair.labels is not None and rng.random() < cut.near_objects:
        objects = np.flatnonzero((pair.labels != 0) & (pair.labels != _UNKNOWN))
        if len(objects):
            pixel = divmod(int(objects[rng.integers(len(objects))]), width)
            top, left = (
                int(np.clip(at - rng.integers(cut.crop), 0, most))
                for at, most in zip(pixel, highest, strict=True)
            )
            return top, left
    return int(rng.integers(highest[0] + 1)), int(rng.integers(highest[1] + 1))


def _sources(pair: Pair, window: tuple[slice, slice]) -> list[Plane]:
    return [pair.visible[window], pair.infrared[window]]


def _labelled_planes(pair: Pair, window: tuple[slice, slice]) -> Plane:
    """All five planes; a pair without labels is without colour too, since nobody looks at it."""
    planes = _sources(pair, window)
    if pair.labels is None or pair.chroma is None:
        of_shape = planes[0].shape
        blank = [np.full(of_shape, level, np.uint8) for level in (_NO_COLOR, _NO_COLOR, _UNKNOWN)]
        return np.stack(planes + blank)
    return np.stack([*planes, *(plane[window] for plane in pair.chroma), pair.labels[window]])
