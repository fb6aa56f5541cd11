"""The form in which images enter a network: scaled to its size, padded to whole strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["PADDING", "Letterbox"]

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

PADDING: Final = 114
"""The grey that YOLO networks are trained with around their images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """How images of one size fit a network; the arithmetic is that of Ultralytics' ``LetterBox``."""

    image_wh: tuple[int, int]
    scaled_wh: tuple[int, int]
    """Size of the image inside the network's input."""
    offset_xy: tuple[int, int]
    """Left and upper padding."""
    network_wh: tuple[int, int]
    """Size of the network's input, whole strides."""

    @classmethod
    def fit(cls, image_wh: tuple[int, int], *, side_px: int = 640, stride: int = 32) -> Letterbox:
        """Scale the longer side to ``side_px``, then pad both as little as the stride allows."""
        gain = side_px / max(image_wh)
        scaled = [max(round(side * gain), 1) for side in image_wh]
        padding = [(side_px - side) % stride for side in scaled]
        left, top = (round(missing / 2 - 0.1) for missing in padding)
        return cls(
            image_wh=image_wh,
            scaled_wh=(scaled[0], scaled[1]),
            offset_xy=(left, top),
            network_wh=(scaled[0] + padding[0], scaled[1] + padding[1]),
        )

    @property
    def is_identity(self) -> bool:
        """Whether images fit as they are."""
        return self.image_wh == self.network_wh

    def apply(self, image: Bytes) -> Bytes:
        """An HxWx3 image in the network's size; one that fits is passed on, not copied."""
        if self.is_identity:
            return image
        (width, height), (left, top) = self.scaled_wh, self.offset_xy
        scaled = image
        if self.scaled_wh != self.image_wh:
            scaled = np.asarray(cv2.resize(image, self.scaled_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
        boxed = np.full((self.network_wh[1], self.network_wh[0], 3), PADDING, np.uint8)
        boxed[top : top + height, left : left + width] = scaled
        return boxed

    def boxes_in_image(self, boxes: Floats) -> Floats:
        """(N, 4) left, top, right, bottom of the network's input in pixels of the image, within it."""
        width, height = self.image_wh
        gain = np.array([self.scaled_wh[0] / width, self.scaled_wh[1] / height] * 2, np.float32)
        moved = (boxes - np.array(self.offset_xy * 2, np.float32)) / gain
        inside: Floats = np.clip(moved, 0, np.array((width, height) * 2, np.float32))
        return inside
