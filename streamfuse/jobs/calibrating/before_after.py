"""A picture to judge a registration by: squares of the two cameras alternate, and edges go on or break."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import RigConfig
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.geometry.rig import RigGeometry
from streamfuse.jobs.calibrating.pictures import PicturePair
from streamfuse.jobs.calibrating.report_pictures import Looks, checkerboard

__all__ = ["before_and_after", "most_telling"]

_GAP_PX: Final = 8
_WIDEST_PX: Final = 1920
_HATCH_PX: Final = 12
_HATCH_LEVEL: Final = 70


def most_telling(pairs: Sequence[PicturePair]) -> PicturePair:
    """The pair whose visible picture has the most edges: where there are none, nothing can break."""
    return max(pairs, key=lambda pair: _edges(pair.visible.gray))


def before_and_after(pair: PicturePair, rig: RigConfig, distance_m: float) -> Image:
    """Two chessboards side by side: the infrared picture merely stretched to the visible one, and registered.

    Where infrared does not look, its squares are hatched.

    Args:
        pair: of the sizes of the rig.
        rig: holds a plane for the distance.
        distance_m: of the plane.

    Returns:
        RGB24, twice as wide as the visible picture (or 1920 px, if that is less) and a gap.
    """
    looks = Looks.of(pair, RigGeometry.of(rig), distance_m, widest_px=_WIDEST_PX)
    registered = np.where(looks.seen, looks.registered, _hatching(looks.seen.shape))
    boards = [checkerboard(looks.visible, infrared) for infrared in (looks.stretched, registered)]
    gap = np.full((len(looks.visible), _GAP_PX, 3), 255, np.uint8)
    pixels = np.concatenate((boards[0], gap, boards[1]), axis=1)
    spec = ImageSpec(format=PixelFormat.RGB24, size_wh=(pixels.shape[1], pixels.shape[0]))
    return Image(spec, (pixels,))


def _hatching(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Dark stripes that no camera sees."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.where((rows + columns) % _HATCH_PX < 3, _HATCH_LEVEL, 0).astype(np.uint8)


def _edges(gray: npt.NDArray[np.uint8]) -> float:
    """Mean step of brightness between blocks of 4x4 pixels, which noise does not make."""
    height, width = (max(side // 4, 1) for side in gray.shape)
    if min(gray.shape) < 8:
        return 0.0
    blocks = gray[: height * 4, : width * 4].reshape(height, 4, width, 4).mean(axis=(1, 3))
    return float(np.abs(np.diff(blocks, axis=0)).mean() + np.abs(np.diff(blocks, axis=1)).mean())
