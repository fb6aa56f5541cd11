"""Pictures that carry a running number, and how to read it; nothing but numpy, so that senders are small.

The number is burnt in as 16 squares of 16 pixels in the top left corner: a white one is a 1, most
significant first. ``rtsp_server.py``, which runs without numpy, draws the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BITS", "SQUARE", "number_of", "numbered"]

BITS = 16
SQUARE = 16


def numbered(number: int, size_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A grey 4:2:0 picture, (3 H / 2) x W, with a ramp that moves, so that frames lean on those before."""
    width, height = size_wh
    column = np.arange(width) + 4 * number
    luma = np.tile(np.abs(column % 320 - 160) + 40, (height, 1))
    bits = [number >> bit & 1 for bit in reversed(range(BITS))]
    luma[:SQUARE, : BITS * SQUARE] = np.repeat(np.where(bits, 0xE0, 0x20), SQUARE)
    return np.concatenate([luma, np.full((height // 2, width), 0x80)]).astype(np.uint8)


def number_of(luma: npt.NDArray[np.unsignedinteger[Any]]) -> int:
    """The number in a picture's luma plane.

    Raises:
        ValueError: a square is neither white nor black: the picture is damaged there.
    """
    squares = luma[:SQUARE, : BITS * SQUARE].reshape(SQUARE, BITS, SQUARE)
    inner = squares[4:12, :, 4:12].astype(int)
    means = inner.mean(axis=(0, 2))
    if np.abs(inner - means[None, :, None]).max() > 40 or not np.all((means < 0x40) | (means > 0xC0)):
        raise ValueError(f"the number is damaged: {means.round().tolist()}")
    return int("".join("1" if mean > 0x80 else "0" for mean in means), 2)
