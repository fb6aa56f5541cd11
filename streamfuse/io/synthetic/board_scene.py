"""The two pictures of a board that somebody moves through a room."""

from __future__ import annotations

import hashlib
import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfuse.core.thermal import agc_percentile
from streamfuse.frames import StreamName
from streamfuse.io.synthetic.arrays import Floats, floats
from streamfuse.io.synthetic.board_paint import paint_board
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth
from streamfuse.io.synthetic.noise import GRAIN_MARGIN, fractal, sensor_grain

__all__ = ["BoardCamera"]

_COUNTS_PER_K: Final = 100.0
_ROOM_K: Final = 295.0
_BOARD_K: Final = 306.0
_PAPER: Final = floats([228, 224, 212])
_INK: Final = floats([26, 27, 32])
_PIXEL_VARIANCE: Final = 1 / 12
"""Of a pixel's own width, in pixels squared."""


class BoardCamera:
    """One of the two cameras.

    Args:
        spec: of the scene.
        stream: which of them.
    """

    def __init__(self, spec: BoardSpec, stream: StreamName) -> None:
        self._spec = spec
        self._stream = stream
        self._truth = BoardTruth(spec)
        self._lens = self._truth.lens(stream)
        self._rays = self._lens.rays()
        blur_px = spec.blur_px if stream is StreamName.VISIBLE else spec.infrared_blur_px
        self._blur = math.sqrt(blur_px**2 + _PIXEL_VARIANCE) / self._lens.fx
        rng = np.random.default_rng(self._number("room"))
        self._room = self._furnish(rng)
        self._grain = sensor_grain(rng, self._lens.size_wh, 1, blur_px=0.0)

    def visible(self, t_s: float) -> NDArray[np.uint8]:
        """RGB, HxWx3."""
        light, share, place = self._look(t_s)
        lit = 0.88 + 0.1 * place[..., 0] - 0.06 * place[..., 1]
        level = (share * lit)[..., None] * (_INK + (_PAPER - _INK) * light[..., None])
        noise = self._noise(t_s, self._spec.grain)[..., None]
        picture = level + (1 - share[..., None]) * self._room + noise
        codes: NDArray[np.uint8] = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
        return codes

    def infrared(self, t_s: float) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """HxW: uint8 after AGC, or with ``gray16`` uint16 in hundredths of a kelvin."""
        spec = self._spec
        light, share, place = self._look(t_s)
        warm = (1 - light if spec.inverted else light) - 0.5
        x, y = place[..., 0], place[..., 1]
        # The hair dryer was at the upper right for longest; the board has cooled from its ends.
        heat = 0.38 * x - 0.24 * y - 0.12 * (x * x + y * y)
        kelvin = _BOARD_K + spec.gradient_k * heat + spec.contrast_k * warm
        seen = share * kelvin + (1 - share) * self._room[..., 0] + self._noise(t_s, spec.noise_k)
        raw = np.clip(seen * _COUNTS_PER_K + 0.5, 0, 65535).astype(np.uint16)
        return raw if spec.gray16 else agc_percentile(raw)

    def _look(self, t_s: float) -> tuple[Floats, Floats, Floats]:
        pose = self._truth.T_camera_from_board(t_s, self._stream)
        ray_from_board = np.column_stack((pose.rotation[:, 0], pose.rotation[:, 1], pose.translation_m))
        board_from_ray = np.linalg.inv(ray_from_board.astype(np.float64))
        return paint_board(self._truth.pattern, board_from_ray, self._rays, blur=self._blur)

    def _furnish(self, rng: np.random.Generator) -> Floats:
        """What is behind the board: HxWx3 in grey levels, or HxWx1 in kelvin."""
        size_wh = self._lens.size_wh
        if self._stream is StreamName.INFRARED:
            warm = _ROOM_K + 5.0 * fractal(rng, 2)
            return floats(cv2.resize(warm, size_wh, interpolation=cv2.INTER_CUBIC))[..., None]
        tiles = [60.0 + 90.0 * fractal(rng, 4) for _ in range(3)]
        grey = sum(tiles[1:], start=tiles[0]) / 3
        coloured = np.stack([0.7 * grey + 0.3 * tile for tile in tiles], axis=-1)
        return floats(cv2.resize(coloured, size_wh, interpolation=cv2.INTER_CUBIC))

    def _noise(self, t_s: float, deviation: float) -> Floats:
        """Another piece of the grain for each time."""
        number = self._number(str(round(t_s * 1e6)))
        row, column = number % GRAIN_MARGIN, number // GRAIN_MARGIN % GRAIN_MARGIN
        width, height = self._lens.size_wh
        piece = self._grain[row : row + height, column : column + width]
        return floats(piece) * np.float32(deviation / 32.0)

    def _number(self, of: str) -> int:
        text = f"{self._spec.seed}/{self._stream}/{of}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
