"""Colour out of the mosaic of a Bayer sensor, by OpenCV."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["BayerOrder", "demosaic"]

BayerOrder = Literal["RG", "GR", "GB", "BG"]
"""The first two colours of the first row, as GenICam names the four mosaics."""

# OpenCV's old names go by the second row and second column, so that its BG is GenICam's RG.
_CODES: Final = MappingProxyType(
    {
        "RG": cv2.COLOR_BayerBG2RGB,
        "GR": cv2.COLOR_BayerGB2RGB,
        "GB": cv2.COLOR_BayerGR2RGB,
        "BG": cv2.COLOR_BayerRG2RGB,
    }
)


def demosaic(mosaic: npt.NDArray[np.uint8], order: BayerOrder) -> npt.NDArray[np.uint8]:
    """HxW uint8 samples of a mosaic to HxWx3 uint8 in the order R, G, B, by bilinear interpolation."""
    return cv2.cvtColor(mosaic, _CODES[order]).astype(np.uint8, copy=False)
