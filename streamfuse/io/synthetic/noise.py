"""Seeded noise: the texture of everything in the street, and the grain of both sensors."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Floats, floats
from streamfuse.io.synthetic.compiled import kernel

__all__ = ["GRAIN_MARGIN", "TILE", "fractal", "fractal_at", "sensor_grain"]


TILE = 256
"""Side of a noise tile in texels; tiles repeat without a seam."""
GRAIN_MARGIN = 256
"""A grain tile is larger than the image by this much, so that 65536 different crops exist."""


def fractal(rng: np.random.Generator, octaves: int = 6, *, first: int = 2, gain: float = 0.55) -> Floats:
    """A seamless TILExTILE tile of fractal value noise with mean 0.5 and standard deviation 0.17.

    ``first`` is the number of lattice cells across the tile in the coarsest octave, a power of two;
    ``gain`` is the weight of each octave relative to the one before.
    """
    total = np.zeros((TILE, TILE), np.float32)
    for octave in range(octaves):
        cells = min(first << octave, TILE)
        lattice = np.pad(rng.random((cells, cells), np.float32), 2, mode="wrap")
        step = TILE // cells
        smooth = cv2.resize(lattice, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += gain**octave * smooth[2 * step : 2 * step + TILE, 2 * step : 2 * step + TILE]
    total -= total.mean()
    return floats(np.clip(0.5 + total * (0.17 / max(float(total.std()), 1e-6)), 0.0, 1.0))


def fractal_at(tile: Floats, u: Floats, v: Floats) -> Floats:
    """Values of a tile at points (any shape), in units of whole tiles, bilinear and repeating."""
    return _lookup(tile, floats(u).ravel(), floats(v).ravel()).reshape(u.shape)


@kernel()
def _lookup(tile: Floats, u: Floats, v: Floats) -> Floats:
    side = tile.shape[0]
    out = np.empty(u.size, np.float32)
    for i in range(u.size):
        x = (u[i] - np.floor(u[i])) * side
        y = (v[i] - np.floor(v[i])) * side
        x0, y0 = int(x), int(y)
        fx, fy = x - x0, y - y0
        x0, y0 = x0 % side, y0 % side
        x1, y1 = (x0 + 1) % side, (y0 + 1) % side
        top = tile[y0, x0] * (1 - fx) + tile[y0, x1] * fx
        bottom = tile[y1, x0] * (1 - fx) + tile[y1, x1] * fx
        out[i] = top * (1 - fy) + bottom * fy
    return out


def sensor_grain(
    rng: np.random.Generator, size_wh: tuple[int, int], channels: int, *, blur_px: float
) -> NDArray[np.int8]:
    """Noise of unit deviation times 32: int8, (H + margin) rows of (W + margin) x channels.

    ``blur_px`` is what demosaicing (or a detector's readout) spreads it by.
    """
    shape = (size_wh[1] + GRAIN_MARGIN, size_wh[0] + GRAIN_MARGIN, channels)
    grain = rng.standard_normal(shape, np.float32)
    if channels == 3:
        grain = 0.75 * grain[:, :, :1] + 0.66 * grain  # most of the noise is common: it sits in luma
    if blur_px:
        grain = floats(cv2.GaussianBlur(grain, (0, 0), blur_px)).reshape(shape)
        grain /= grain.std()
    return np.asarray(np.clip(grain * 32.0, -127, 127).reshape(shape[0], -1), np.int8)
