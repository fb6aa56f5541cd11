"""Masks as run lengths: how the outline of an object travels in a :class:`streamfuse.frames.Detection`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["decode_mask", "decode_window", "encode_mask", "fill_outline"]


def encode_mask(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Run lengths over an HxW mask, row by row, starting with background (0 when it starts inside)."""
    flat = np.concatenate(([False], mask.ravel(), [not mask.flat[-1]]))
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return tuple(np.diff(ends, prepend=0).tolist())


def decode_mask(runs: Sequence[int], size_wh: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The HxW mask that :func:`encode_mask` wrote.

    Raises:
        ValueError: a run is negative, or the runs do not add up to the size.
    """
    width, height = size_wh
    return _inside(_checked(runs, size_wh)).reshape(height, width)


def decode_window(
    runs: Sequence[int], size_wh: tuple[int, int]
) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """The smallest window of a mask that holds all of the object, and its left and top in pixels.

    The effort grows with the object, not with the image. An object without pixels has a window of 0x0.

    Raises:
        ValueError: as :func:`decode_mask`.
    """
    checked, width = _checked(runs, size_wh), size_wh[0]
    ends = np.cumsum(checked)
    filled = np.flatnonzero(checked[1::2]) * 2 + 1
    if not filled.size:
        return np.zeros((0, 0), np.bool_), (0, 0)
    first, last = filled[0], filled[-1]
    top, bottom = int(ends[first - 1] // width), int(-(-ends[last] // width))
    rows = checked[: last + 2].copy()
    rows[:first] = 0
    rows[0] = ends[first - 1] - top * width
    rows[last + 1 :] = bottom * width - ends[last]
    whole = _inside(rows).reshape(bottom - top, width)
    columns = np.flatnonzero(whole.any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    return whole[:, left:right], (left, top)


def fill_outline(corners: Sequence[tuple[float, float]], size_wh: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The HxW mask of the pixels whose middles lie within a polygon; what it goes around twice is outside.

    Args:
        corners: x and y in pixels, whose edges are whole numbers (the first pixel spans 0 to 1).
        size_wh: of the mask; what lies outside is left out.
    """
    width, height = size_wh
    crossed = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, math.ceil(low - 0.5)), min(height, math.ceil(high - 0.5)))
        if rows.size:
            at = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            crossed[rows, np.clip(np.ceil(at - 0.5), 0, width).astype(int)] += 1
    odd: npt.NDArray[np.bool_] = np.cumsum(crossed, axis=1)[:, :width] % 2 == 1
    return odd


def _checked(runs: Sequence[int], size_wh: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The runs as an array that ends with background."""
    width, height = size_wh
    checked = np.array(runs, np.int64)
    if checked.min(initial=0) < 0 or checked.sum() != width * height:
        total = checked.sum()
        raise ValueError(f"runs of a {width}x{height} mask must add up to {width * height}, got {total}")
    return checked if len(checked) % 2 else np.append(checked, 0)


def _inside(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)
