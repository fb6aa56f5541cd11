"""Where small windows of two cameras' pictures look alike: edges by direction, whatever their sign.

What is bright in one camera may be dark in the other; where one has an edge, the other often has one too, of
the same direction. The descriptor is that of Ye et al., "Fast and robust matching for multimodal remote
sensing image registration", TGRS 2019: channels of oriented gradients, here divided by the local contrast.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["edges", "similarities"]

Gray = npt.NDArray[np.uint8]
Singles = npt.NDArray[np.float32]

_DIRECTIONS: Final = 6
_NOISE: Final = 0.5
"""Levels per pixel, and share of the contrast around, below which an edge counts for little."""
_AROUND_PX: Final = 12.0


def edges(gray: Gray) -> Singles:
    """How much of an edge there is along each of six directions; 6xHxW float32, at most 1.

    Args:
        gray: HxW uint8.
    """
    soft = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 0.8)
    across, down = (cv2.Scharr(soft, cv2.CV_32F, *order) / 32.0 for order in ((1, 0), (0, 1)))
    angles = np.arange(_DIRECTIONS) * (np.pi / _DIRECTIONS)
    channels = np.stack(
        [
            cv2.GaussianBlur(np.abs(np.cos(angle) * across + np.sin(angle) * down), (0, 0), 1.0)
            for angle in angles
        ]
    )
    strength = np.sqrt(np.square(channels).sum(axis=0))
    around = cv2.GaussianBlur(strength, (0, 0), _AROUND_PX)
    return np.asarray(channels / (strength + _NOISE * around + _NOISE), np.float32)


def similarities(
    visible: Singles, infrared: Singles, counted: Singles, *, windows: tuple[Singles, Singles], reach: int
) -> npt.NDArray[np.float64]:
    """Compare each window of the visible edges with the infrared edges ``reach`` pixels around.

    Args:
        visible: CxHxW edges.
        infrared: CxHxW edges; zero where that camera does not look.
        counted: HxW, 1 where visible pixels are compared, else 0.
        windows: RxH and CxW, the weights of the rows and columns of each window.
        reach: in pixels, at least 1.

    Returns:
        DxDxRxC, D = 2 reach + 1: cosine of the two descriptors of a window, when the infrared one is taken
        (row - reach, column - reach) pixels further; 0 where there is nothing to compare.
    """
    rows, columns = windows
    channels, height, width = visible.shape
    by_row = np.ascontiguousarray((visible * counted).transpose(1, 0, 2))
    padded = np.pad(infrared, ((0, 0), (reach, reach), (reach, reach))).transpose(1, 0, 2).copy()
    infrared_power = np.square(padded).sum(axis=1)
    visible_power = np.square(by_row).sum(axis=1)
    lags = 2 * reach + 1
    found = np.empty((lags, lags, len(rows), len(columns)))
    for lag in np.ndindex(lags, lags):
        down, across = (slice(shift, shift + side) for shift, side in zip(lag, (height, width), strict=True))
        products = (rows @ (by_row * padded[down, :, across]).reshape(height, -1)).reshape(
            -1, channels, width
        )
        powers = (
            rows @ (visible_power * (infrared_power[down, across] > 0)) @ columns.T,
            rows @ (infrared_power[down, across] * counted) @ columns.T,
        )
        found[lag] = products.sum(axis=1) @ columns.T / np.sqrt(powers[0] * powers[1] + 1e-6)
    return found
