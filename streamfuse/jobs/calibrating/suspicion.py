"""Signs that the two cameras were exchanged on the command line."""

from __future__ import annotations

from typing import Final

from streamfuse.config.rig import RigConfig
from streamfuse.errors import CalibrationError, UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.calibration.fit import place_views
from streamfuse.geometry.camera import Camera
from streamfuse.jobs.calibrating.seeking import Sought

__all__ = ["check_lenses", "check_looks", "check_size", "check_visible", "doubt"]

_CLEARLY: Final = 0.5
"""Exchanged lenses must fit this much better to be the explanation."""


def check_looks(visible: Sought, infrared: Sought) -> None:
    """Refuse pictures that look like those of the other camera.

    Raises:
        UsageError: they do.
    """
    check_visible(visible)
    if visible.looks == {"gray"} and infrared.looks == {"colour"}:
        raise UsageError(
            "the visible pictures are grey and the infrared ones in colour: the cameras seem swapped; "
            "exchange --visible and --infrared (or, if the infrared camera paints, name its palette-in in a "
            "pipeline file and give that)"
        )


def check_visible(sought: Sought) -> None:
    """Refuse pictures that no visible camera gives; those of an infrared one pass.

    Raises:
        UsageError: they have 16 bits.
    """
    if sought.stream is StreamName.VISIBLE and "gray16" in sought.looks:
        raise UsageError(
            "the visible pictures have 16 bits, as those of a thermal camera: the cameras seem swapped; "
            "exchange visible and infrared"
        )


def doubt(sought: Sought) -> str:
    """What is odd about the pictures of one camera, for a note; empty if nothing is."""
    if sought.stream is StreamName.INFRARED and sought.looks == {"colour"}:
        return "The infrared pictures are in colour; if they are the visible camera's, use --camera visible."
    return ""


def check_size(rig: RigConfig, stream: StreamName, size_wh: tuple[int, int]) -> RigConfig:
    """The rig file with the size of the pictures of one camera, if it can have them.

    Raises:
        UsageError: it is for pictures of another size, perhaps those of the other camera.
    """
    sizes = {StreamName.VISIBLE: rig.visible_size_wh, StreamName.INFRARED: rig.infrared_size_wh}
    if size_wh == sizes[stream.other] and sizes[stream] not in {None, size_wh}:
        raise UsageError(
            f"the pictures are {size_wh[0]}x{size_wh[1]}, as those of the {stream.other} camera in the rig "
            f"file: the cameras seem swapped; use --camera {stream.other}"
        )
    return rig.sized(**{f"{stream}_wh": size_wh})


def check_lenses(visible: Sought, infrared: Sought, cameras: tuple[Camera | None, Camera | None]) -> None:
    """Refuse pictures that the lens of the other camera explains much better.

    Raises:
        UsageError: exchanged, the lenses of the rig file fit.
    """
    first, second = cameras
    if first is None or second is None or first.size_wh != second.size_wh:
        return
    straight = _misfit(visible, first) + _misfit(infrared, second)
    exchanged = _misfit(visible, second) + _misfit(infrared, first)
    if exchanged < _CLEARLY * straight:
        raise UsageError(
            f"the lenses in the rig file fit the pictures by {straight / 2:.2f} px, and by "
            f"{exchanged / 2:.2f} px when exchanged: the cameras seem swapped; exchange --visible and "
            "--infrared"
        )


def _misfit(sought: Sought, camera: Camera) -> float:
    """Typical distance of corners from where the lens puts them, pixels."""
    try:
        return place_views(sought.views, camera).sigma_px
    except CalibrationError:  # this lens makes most views contradict each other
        return 100.0
