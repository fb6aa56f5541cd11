"""Drawing what was found into a picture, and the picture as a JPEG. This file is the only one to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.core.masks import decode_mask
from streamfuse.errors import OutputError
from streamfuse.frames import Detection

__all__ = ["draw_overlay", "encode_jpeg"]

Rgb = npt.NDArray[np.uint8]

# One colour per class, told apart on grey and by most colour-blind eyes (Okabe and Ito, 2008), as R, G, B.
_COLORS: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_TINT: Final = 0.4
"""How much of a mask's colour lies over the picture."""
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_LINES_PER_SCALE: Final = 960
"""Height in pixels at which text has OpenCV's scale 1."""


def draw_overlay(rgb: Rgb, detections: Sequence[Detection], caption: str = "") -> Rgb:
    """A copy of a picture with tinted masks, boxes with class and confidence, and a caption at the top.

    Args:
        rgb: HxWx3 uint8 in the order R, G, B.
        detections: boxes in pixels of ``rgb``; masks of its size.
        caption: one line of ASCII text.

    Raises:
        ValueError: a mask is not of the picture's size.
    """
    drawn = np.array(rgb, order="C")
    height, width = drawn.shape[:2]
    for detection in detections:
        if detection.mask_rle is not None:
            _tint(drawn, decode_mask(detection.mask_rle, (width, height)), _color(detection))
    for detection in detections:
        left, top, right, bottom = (round(side) for side in detection.box_xyxy)
        cv2.rectangle(drawn, (left, top), (right, bottom), _color(detection), _thickness(drawn))
        _label(drawn, _caption(detection), (left, top), _color(detection))
    if caption:
        _label(drawn, caption, (0, 0), (255, 255, 255))
    return drawn


def encode_jpeg(rgb: Rgb, quality: int = 80) -> bytes:
    """A picture as a JPEG file.

    Args:
        rgb: HxWx3 uint8 in the order R, G, B.
        quality: 1 (small) to 100 (exact but for rounding).

    Raises:
        ValueError: ``quality`` is outside its range.
        OutputError: the picture has no pixels, or more than JPEG can hold (65535 a side).
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be within 1..100, got {quality}")
    try:
        done, buffer = cv2.imencode(
            ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
    except cv2.error as error:
        raise OutputError(f"a picture of shape {rgb.shape} cannot be a JPEG: {error.err}") from error
    if not done:
        raise OutputError(f"a picture of shape {rgb.shape} cannot be a JPEG")
    return buffer.tobytes()


def _caption(detection: Detection) -> str:
    """Class, confidence, and where it is known the temperature of the hottest pixel."""
    words = f"{detection.class_name} {detection.confidence:.2f}"
    heat = detection.temperature_c
    return words if heat is None else f"{words} {heat.max_c:.1f} °C"


def _color(detection: Detection) -> tuple[int, int, int]:
    return _COLORS[detection.class_id % len(_COLORS)]


def _thickness(rgb: Rgb) -> int:
    return max(1, len(rgb) // 480)


def _tint(rgb: Rgb, mask: npt.NDArray[np.bool_], color: tuple[int, int, int]) -> None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size:
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        tinted = cv2.addWeighted(rgb[window], 1 - _TINT, np.full_like(rgb[window], color), _TINT, 0)
        np.copyto(rgb[window], tinted, where=mask[window][..., None])


def _label(rgb: Rgb, text: str, corner_xy: tuple[int, int], color: tuple[int, int, int]) -> None:
    """Text on a filled plate that stands on ``corner_xy``, moved so that it lies inside the picture."""
    scale, thickness = max(0.4, rgb.shape[0] / _LINES_PER_SCALE), _thickness(rgb)
    (width, height), baseline = cv2.getTextSize(text, _FONT, scale, thickness)
    left = max(0, min(corner_xy[0], rgb.shape[1] - width))
    bottom = min(max(corner_xy[1], height + 2 * baseline), rgb.shape[0])
    cv2.rectangle(rgb, (left, bottom - height - 2 * baseline), (left + width, bottom), color, cv2.FILLED)
    ink = (0, 0, 0) if sum(color) > 380 else (255, 255, 255)
    cv2.putText(rgb, text, (left, bottom - baseline), _FONT, scale, ink, thickness, cv2.LINE_AA)
