"""Smoke that drifts through the street in layers, opaque to visible light only."""

from __future__ import annotations

import cv2
import numpy as np

from streamfuse.io.synthetic import effects
from streamfuse.io.synthetic.arrays import Floats, floats
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.noise import TILE, fractal

__all__ = ["Smoke"]


_NEAR_M = (4.5, 9.0, 17.0)
"""Where each layer begins, in metres from the camera."""
_DRIFT = ((0.045, 0.006), (-0.028, 0.004), (0.018, 0.003))
"""Tiles per second sideways and upwards."""


class Smoke:
    """Layers of noise that move against each other."""

    def __init__(self, seed: int, size_wh: tuple[int, int], climate: Climate) -> None:
        self._tiles = [
            np.tile(fractal(np.random.default_rng((seed, 7, k)), 6, first=2, gain=0.62), (3, 3))
            for k in range(len(_NEAR_M))
        ]
        self._size_wh = size_wh
        self._colour = floats(climate.ambient) * floats((0.56, 0.58, 0.61))
        self._begins = floats([1 / near_m for near_m in _NEAR_M])
        self._puffs = np.empty((len(_NEAR_M), size_wh[1], size_wh[0]), np.float32)
        self._density = climate.smoke
        rows = np.linspace(-1, 1, size_wh[1] // 4, dtype=np.float32)
        self._profile = np.clip(1.15 - np.abs(rows - 0.05) * 0.95, 0.15, 1.0)[:, None]

    def draw(self, image: Floats, depth: Floats, t_s: float) -> None:
        """Veil a linear RGB image in place."""
        width, height = self._size_wh
        small = (width // 4, height // 4)
        for k, tile in enumerate(self._tiles):
            scale = (0.55, 0.8, 1.1)[k] * TILE / small[0]
            dx, dy = (t_s * speed % 1.0 * TILE for speed in _DRIFT[k])
            matrix = np.array([[scale, 0, TILE - dx], [0, scale, TILE // 2 + dy]], np.float32)
            puff = cv2.warpAffine(tile, matrix, small, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            swell = 0.85 + 0.25 * np.sin(0.23 * t_s + 2.1 * k)
            strength = np.float32(26.0 * self._density * swell)
            layer = np.clip(puff - 0.42, 0, None) * (self._profile * strength)
            cv2.resize(layer, (width, height), dst=self._puffs[k], interpolation=cv2.INTER_LINEAR)
        effects.draw_smoke(image.reshape(height, -1), depth, self._puffs, self._begins, self._colour)
