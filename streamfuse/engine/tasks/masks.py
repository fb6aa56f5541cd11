"""Masks of objects from prototypes: computed inside their boxes only, straight to run lengths.

A network with masks gives a few dozen prototypes for the whole image and as many coefficients per object;
the object is where the sum of the prototypes so weighted, interpolated to the image's pixels, is above zero.
The result is that of Ultralytics' ``process_mask_native``, which computes it for the whole image and every
object and then cuts the boxes out; here the work grows with the area of the boxes.

None of it is a product of matrices for BLAS: that would wake threads for a few thousand numbers, and they
would take the cores from the network that looks at the next image.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.engine.tasks.letterbox import Letterbox

__all__ = ["MOST_PICTURES", "encode_window", "object_masks"]

Floats = npt.NDArray[np.float32]

MOST_PICTURES: Final = 64
"""Masks are computed, the surest objects first, until their boxes together would cover the picture so many
times: some 0.1 s at 640x480. Sane scenes stay far below."""


def object_masks(
    prototypes: Floats, coefficients: Floats, boxes: Floats, letterbox: Letterbox
) -> Iterator[tuple[int, ...] | None]:
    """Run lengths of each object's mask; None where it is empty, or once the time is used up.

    Args:
        prototypes: (C, h, w) float32 for the whole input of the network.
        coefficients: (N, C) float32.
        boxes: (N, 4) float32 left, top, right, bottom in pixels of the image, the surest first.
        letterbox: how the image entered the network.
    """
    width, height = letterbox.image_wh
    _, cells_y, cells_x = prototypes.shape
    columns, rows = _sampling(letterbox, 0, cells_x), _sampling(letterbox, 1, cells_y)
    pixels_left = MOST_PICTURES * width * height
    for weights, box in zip(coefficients, boxes.tolist(), strict=True):
        # A pixel belongs to the box when its index is within it.
        left, top, right, bottom = (math.ceil(edge) for edge in box)
        pixels_left -= (right - left) * (bottom - top)
        if pixels_left < 0 or right <= left or bottom <= top:
            yield None
            continue
        down, across = rows.part(top, bottom), columns.part(left, right)
        scores = np.einsum("c,cyx->yx", weights, prototypes[:, down.cells, across.cells])
        # Across first: what is stretched down then are whole rows, which lie together.
        window = _stretched(_stretched(scores, across, axis=1), down, axis=0) > 0.0
        yield encode_window(window, (left, top), letterbox.image_wh)


def encode_window(
    window: npt.NDArray[np.bool_], left_top: tuple[int, int], size_wh: tuple[int, int]
) -> tuple[int, ...] | None:
    """Run lengths, as of :func:`streamfuse.core.masks.encode_mask`, of a mask that is empty but for a window.

    Returns:
        None when the window is empty too.
    """
    left, top = left_top
    width, height = size_wh
    padded = np.zeros((window.shape[0], window.shape[1] + 2), np.bool_)
    padded[:, 1:-1] = window
    places = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    if not places.size:
        return None
    # A row has one place more than the window has columns: its right border.
    edges = places + places // (window.shape[1] + 1) * (width - window.shape[1] - 1) + (top * width + left)
    # A row may end at the right border where the next one begins at the left: no edge at all.
    seams = np.flatnonzero(edges[1:] == edges[:-1])
    if seams.size:
        edges = np.delete(edges, np.concatenate((seams, seams + 1)))
    if edges[-1] != width * height:
        edges = np.append(edges, width * height)
    edges[1:] -= edges[:-1].copy()
    return tuple(edges.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class _Sampling:
    """Linear interpolation along one axis, from prototype cells to pixels: each lies between two cells."""

    first: npt.NDArray[np.intp]
    """(pixels,) the one before; rising."""
    second: npt.NDArray[np.intp]
    """(pixels,) the one after."""
    share: Floats
    """(pixels,) of the one after, 0..1."""
    start: int = 0
    """The cell that is counted from."""

    def part(self, start: int, stop: int) -> _Sampling:
        """Of pixels ``start`` to ``stop``, from those cells alone that they need."""
        some, before = slice(start, stop), int(self.first[start])
        return _Sampling(self.first[some] - before, self.second[some] - before, self.share[some], before)

    @property
    def cells(self) -> slice:
        """The cells that it needs."""
        return slice(self.start, self.start + int(self.second[-1]) + 1)


def _stretched(values: Floats, sampling: _Sampling, *, axis: int) -> Floats:
    """Two-dimensional values, from cells to pixels along one axis."""
    near, far = values.take(sampling.first, axis), values.take(sampling.second, axis)
    far -= near
    far *= sampling.share if axis else sampling.share[:, None]
    far += near
    return far


@functools.lru_cache(16)
def _sampling(letterbox: Letterbox, axis: int, cells: int) -> _Sampling:
    """Where the centres of an axis' pixels are, through the letterbox, among those of the cells."""
    pixels, scaled = letterbox.image_wh[axis], letterbox.scaled_wh[axis]
    offset, network = letterbox.offset_xy[axis], letterbox.network_wh[axis]
    centres = ((np.arange(pixels) + 0.5) * scaled / pixels + offset) * cells / network - 0.5
    centres = np.clip(centres, 0, cells - 1)
    first = centres.astype(np.intp)
    return _Sampling(first, np.minimum(first + 1, cells - 1), (centres - first).astype(np.float32))
