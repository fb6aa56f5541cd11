"""What a person looks at to judge a registration: squares, outlines, and both pictures in turn, as JPEG."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.frames import Image
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration
from streamfuse.io.overlay import encode_jpeg
from streamfuse.jobs.calibrating.pictures import PicturePair

__all__ = ["Looks", "checkerboard", "edges_over", "picture"]

Gray = npt.NDArray[np.uint8]
Rgb = npt.NDArray[np.uint8]

_QUALITY: Final = 80
_SQUARES: Final = 8
"""Across a checkerboard picture."""
_EDGES: Final = 0.94
"""Quantile of the gradient from which a pixel is drawn as an edge."""
_SOFT: Final = 1 / 400
"""Of the width: finer structure of a thermal picture is noise, and no edge."""
_REACH: Final = 4
"""Standard deviations after which nothing is left of a blurred step."""
_ORANGE: Final = (255, 140, 0)
_WARM: Final = np.array((1.0, 0.8, 0.5))
"""R, G, B of infrared squares, to tell them from the visible ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """A pair in grey, HxW of the visible picture or smaller, with contrast for looking."""

    visible: Gray
    stretched: Gray
    """The infrared picture as it came, merely stretched to the visible one."""
    registered: Gray
    """Black where the infrared camera does not look."""
    seen: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        pair: PicturePair,
        geometry: RigGeometry,
        distance_m: float | None = None,
        *,
        widest_px: int = 960,
    ) -> Self:
        """Register a pair.

        Args:
            pair: of the sizes of the rig.
            geometry: the rig.
            distance_m: at which; None: that of the first plane.
            widest_px: wider pictures are shrunk to this.

        Raises:
            UsageError: pictures of other sizes than the rig's.
        """
        way = Registration.of(
            geometry,
            visible_size_wh=pair.visible.size_wh,
            infrared_size_wh=pair.infrared.size_wh,
            distance_m=distance_m,
        )
        visible, infrared = _bright(pair.visible.gray), _bright(pair.infrared.gray)
        warped = way.apply(Image.from_gray(infrared), Image.from_gray(visible)).planes[0]
        stretched = cv2.resize(infrared, pair.visible.size_wh, interpolation=cv2.INTER_LINEAR)
        return cls(
            visible=_shrunk(visible, widest_px),
            stretched=_shrunk(np.asarray(stretched, np.uint8), widest_px),
            registered=_shrunk(np.where(way.seen, warped, 0).astype(np.uint8), widest_px),
            seen=_shrunk(way.seen.astype(np.uint8) * 255, widest_px) == 255,
        )


def checkerboard(visible: Gray, infrared: Gray) -> Rgb:
    """Squares of one and, tinted, of the other in turn: lines go on across their edges, or break."""
    height, width = visible.shape
    side = max(width // _SQUARES, 1)
    rows, columns = np.arange(height) // side, np.arange(width) // side
    odd = (rows[:, None] + columns[None]) % 2 == 1
    return np.where(odd[..., None], infrared[..., None] * _WARM, visible[..., None]).astype(np.uint8)


def edges_over(looks: Looks) -> Rgb:
    """The visible picture, darkened, with the edges of the registered infrared one in orange."""
    soft_px = looks.visible.shape[1] * _SOFT
    soft = cv2.GaussianBlur(looks.registered.astype(np.float32), (0, 0), soft_px)
    strength = np.hypot(*np.gradient(soft))
    # The frame of what infrared sees is no edge of the scene, and its blur reaches some deviations inwards.
    reach_px = 2 * math.ceil(_REACH * soft_px) + 5
    inside = cv2.erode(looks.seen.astype(np.uint8), np.ones((reach_px, reach_px), np.uint8)).astype(np.bool_)
    shown = np.repeat((looks.visible * 0.6).astype(np.uint8)[..., None], 3, axis=2)
    if inside.any():
        strong = strength > max(float(np.quantile(strength[inside], _EDGES)), 1.0)
        shown[strong & inside] = _ORANGE
    return shown


def picture(pixels: Gray | Rgb) -> str:
    """A picture, HxW or HxWx3, as JPEG in a data URI."""
    rgb = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(rgb, _QUALITY)).decode('ascii')}"


def _bright(gray: Gray) -> Gray:
    """Full contrast, and dark scenes brightened: it is for looking."""
    low, high = np.percentile(gray, (1, 99))
    share = np.clip((gray - low) / max(float(high - low), 1.0), 0.0, 1.0)
    return np.asarray(share**0.7 * 255 + 0.5, np.uint8)


def _shrunk(gray: Gray, widest_px: int) -> Gray:
    height, width = gray.shape
    if width <= widest_px:
        return gray
    size_wh = widest_px, max(1, round(height * widest_px / width))
    return np.asarray(cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
