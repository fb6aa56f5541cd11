"""Masks of objects from prototypes: computed inside their boxes only, straight to run lengths.

A network with masks gives a few dozen prototypes for the whole image and as many coefficients per object;
the object is where the sum of the prototypes so weighted, interpolated to the image's pixels, is above zero.
The result is that of Ultralytics' ``process_mask_native``, which computes it for the whole image and every
object and then cuts the boxes out; here the work grows with the area of the boxes.
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
        (down, y_cells), (across, x_cells) = rows.part(top, bottom), columns.part(left, right)
        part = prototypes[:, y_cells, x_cells]
        scores = (weights @ part.reshape(len(part), -1)).reshape(part.shape[1:])
        yield encode_window(down @ scores @ across.T > 0.0, (left, top), letterbox.image_wh)


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
    ys, xs = np.nonzero(padded[:, 1:] != padded[:, :-1])
    if not ys.size:
        return None
    edges = (ys + top) * width + (xs + left)
    # A row may end at the right border where the next one begins at the left: no edge at all.
    seams = np.flatnonzero(edges[1:] == edges[:-1])
    if seams.size:
        edges = np.delete(edges, np.concatenate((seams, seams + 1)))
    if edges[-1] != width * height:
        edges = np.append(edges, width * height)
    return tuple(np.diff(edges, prepend=0).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class _Sampling:
    """Linear interpolation along one axis, from prototype cells to pixels, as a matrix."""

    weights: Floats
    """(pixels, cells); two neighbouring cells of each row are not zero."""
    first: npt.NDArray[np.intp]
    """(pixels,) the first of these two."""

    def part(self, start: int, stop: int) -> tuple[Floats, slice]:
        """The weights of pixels ``start`` to ``stop``, and of which cells they are."""
        cells = slice(int(self.first[start]), int(self.first[stop - 1]) + 2)
        return self.weights[start:stop, cells], cells


@functools.lru_cache(16)
def _sampling(letterbox: Letterbox, axis: int, cells: int) -> _Sampling:
    """Where the centres of an axis' pixels are, through the letterbox, among those of the cells."""
    pixels, scaled = letterbox.image_wh[axis], letterbox.scaled_wh[axis]
    offset, network = letterbox.offset_xy[axis], letterbox.network_wh[axis]
    centres = ((np.arange(pixels) + 0.5) * scaled / pixels + offset) * cells / network - 0.5
    centres = np.clip(centres, 0, cells - 1)
    first = np.minimum(centres.astype(np.intp), max(cells - 2, 0))
    weights = np.zeros((pixels, max(cells, 2)), np.float32)
    index = np.arange(pixels)
    weights[index, first + 1] = centres - first
    weights[index, first] = 1.0 - (centres - first)
    return _Sampling(weights[:, :cells], first)
