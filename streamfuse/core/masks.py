"""Masks as run lengths: how the outline of an object travels in a :class:`streamfuse.frames.Detection`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["decode_mask", "encode_mask"]


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
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"runs of a {width}x{height} mask must add up to {width * height}, got {sum(runs)}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(height, width)
