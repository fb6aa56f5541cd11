"""What an infrared and a visible picture of a scene share: where edges are and how they run, not their sign.

A pixel becomes two complex numbers, ``n exp(2it)`` and ``n exp(4it)``, with t the direction of its gradient
and n the strength of its gradient relative to its surroundings. Turning the direction twice as fast drops the
sign of the contrast. These are the first two harmonics of the channels of oriented gradients of Ye, Bruzzone,
Shan, Bovolo, Zhu: "Fast and robust matching for multimodal remote sensing image registration", 2019 (CFOG).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["describe", "seen_part"]

Descriptor = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_SURROUNDINGS_PX = 8.0
"""Standard deviation of the window whose gradients are the measure of each one's strength."""
_FLOOR = 0.7
"""Levels per pixel: weaker gradients are noise and rounding."""
_MOST = 2.5
"""Times the surroundings: a lamp counts no more than that."""
_PREVAILING_PX = 4.0
"""Standard deviation of the window whose mean is taken off: what prevails there says nothing of the place."""
_BORDER_PX = 2
_LEAST_BORDER = 0.002
"""Share of the picture; a smaller patch of one value in a corner is the scene."""


def describe(gray: npt.NDArray[Any], seen: Mask | None = None) -> Descriptor:
    """Edges and their directions.

    Args:
        gray: HxW in levels of 8 bits.
        seen: HxW, which pixels are of the scene; None: all.

    Returns:
        HxWx4 float32: real and imaginary part of both harmonics; zero where nothing is seen.
    """
    inner = np.ones(gray.shape, np.float32) if seen is None else _inner(seen)
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 0.8)
    gx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32) * inner
    gy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32) * inner
    energy = gx * gx + gy * gy
    around = cv2.GaussianBlur(energy, (0, 0), _SURROUNDINGS_PX)
    around = around / np.maximum(cv2.GaussianBlur(inner, (0, 0), _SURROUNDINGS_PX), 0.05)
    strength = np.sqrt(energy)
    relative = np.minimum(strength / (np.sqrt(around) + _FLOOR), _MOST)
    once = np.asarray(gx + 1j * gy, np.complex64) / np.maximum(strength, np.float32(1e-6))
    twice = once * once
    harmonics = np.stack((relative * twice, relative * twice * twice), axis=-1)
    edges = np.asarray(cv2.GaussianBlur(harmonics.view(np.float32), (0, 0), 1.0), np.float32)
    prevailing = cv2.GaussianBlur(edges, (0, 0), _PREVAILING_PX)
    prevailing = prevailing / np.maximum(cv2.GaussianBlur(inner, (0, 0), _PREVAILING_PX), 0.05)[..., None]
    return np.asarray((edges - prevailing) * inner[..., None], np.float32)


def seen_part(gray: npt.NDArray[np.uint8]) -> Mask | None:
    """Which pixels are of the scene; None: all.

    Pictures that were warped before have corners of one value. They are left out, for their edges would be
    taken for edges of the scene.
    """
    flat = np.zeros(gray.shape, np.bool_)
    height, width = gray.shape
    for row, column in ((0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)):
        same = (gray == gray[row, column]).astype(np.uint8)
        _, labels = cv2.connectedComponents(same, connectivity=4)
        patch = labels == labels[row, column]
        if patch.mean() >= _LEAST_BORDER:
            flat |= patch
    return ~flat if flat.any() else None


def _inner(seen: Mask) -> npt.NDArray[np.float32]:
    """1 where the window of a gradient saw the scene only."""
    size = 2 * _BORDER_PX + 1
    return np.asarray(cv2.erode(seen.astype(np.uint8), np.ones((size, size), np.uint8)), np.float32)
