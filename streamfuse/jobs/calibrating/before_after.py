"""A picture to judge a registration by: fields of the two cameras alternate, and edges go on or break."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import RigConfig
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration
from streamfuse.jobs.calibrating.pictures import PicturePair

__all__ = ["before_and_after"]

Gray = npt.NDArray[np.uint8]

_FIELDS_ACROSS = 8
_GAP_PX = 8
_WARM = np.array((1.0, 0.82, 0.55))
"""R, G, B of the infrared fields, to tell them from the visible ones."""


def before_and_after(pair: PicturePair, rig: RigConfig, distance_m: float) -> Image:
    """Two chessboards side by side: the infrared picture merely stretched to the visible one, and registered.

    Args:
        pair: of the sizes of the rig.
        rig: holds a plane for the distance.
        distance_m: of the plane.

    Returns:
        RGB24, twice as wide as the visible picture and a gap.
    """
    visible, infrared = pair.visible, pair.infrared
    after = Registration.of(
        RigGeometry.of(rig),
        visible_size_wh=visible.size_wh,
        infrared_size_wh=infrared.size_wh,
        distance_m=distance_m,
    )
    x, y = (side / other for side, other in zip(visible.size_wh, infrared.size_wh, strict=True))
    stretch = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    before = Registration(stretch, visible_size_wh=visible.size_wh, infrared_size_wh=infrared.size_wh)
    shown = Image.from_gray(_stretched(infrared.gray))
    light = _stretched(visible.gray)
    boards = [
        _chessboard(light, way.apply(shown, Image.from_gray(light)).planes[0]) for way in (before, after)
    ]
    gap = np.full((visible.size_wh[1], _GAP_PX, 3), 255, np.uint8)
    pixels = np.concatenate((boards[0], gap, boards[1]), axis=1)
    spec = ImageSpec(format=PixelFormat.RGB24, size_wh=(pixels.shape[1], pixels.shape[0]))
    return Image(spec, (pixels,))


def _stretched(gray: Gray) -> Gray:
    """Full contrast, and dark scenes brightened: it is for looking."""
    low, high = np.percentile(gray, (1, 99))
    share = np.clip((gray - low) / max(float(high - low), 1.0), 0.0, 1.0)
    return np.asarray(np.sqrt(share) * 255 + 0.5, np.uint8)


def _chessboard(visible: Gray, infrared: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    side = max(1, max(visible.shape) // _FIELDS_ACROSS)
    rows, columns = (np.arange(length) // side for length in visible.shape)
    of_infrared = (rows[:, None] + columns[None, :]) % 2 == 1
    tinted = np.asarray(infrared, np.float64)[..., None] * _WARM
    return np.where(of_infrared[..., None], tinted, visible[..., None]).astype(np.uint8)
