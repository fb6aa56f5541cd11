"""What calibrations of one camera and of two have to say: for JSON, for the rig file, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from streamfuse.config.rig import MadeBy
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.intrinsics import CameraCalibration
from streamfuse.jobs.calibrating.provenance import made_by

__all__ = ["advice", "camera_dict", "lens_note"]

_FAIR_COVERAGE: Final = 0.6
"""Less of the picture covered, and the lens is a guess near its edges."""
_FAIR_TILT_DEG: Final = 30.0
_FAIR_COUNT: Final = 8


def lens_note(command: str, board: Board, found: CameraCalibration) -> MadeBy:
    """Where a lens is from."""
    return made_by(
        command,
        board=board.spec,
        used=[view.name for view in found.used],
        left_out={view.name: view.left_out for view in found.views if view.left_out},
        residuals={"rms_px": found.rms_px},
        uncertainty=found.deviations,
    )


def camera_dict(found: CameraCalibration) -> dict[str, Any]:
    """A calibration of one camera for JSON."""
    camera = found.camera
    return {
        "size_wh": list(camera.size_wh),
        "model": camera.model,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "distortion": list(camera.distortion),
        "uncertainty": dict(found.deviations),
        "rms_px": found.rms_px,
        "coverage": found.coverage,
        "missing": list(found.missing),
        "tilt_deg": found.tilt_deg,
        "views": [
            {
                "name": view.name,
                "corners": len(view.ids),
                "corners_left_out": [int(each) for each in view.ids[~view.kept]],
                "rms_px": view.rms_px,
                "residuals_px": [
                    [int(i), *map(float, off)] for i, off in zip(view.ids, view.offs_px, strict=True)
                ],
                "left_out": view.left_out or None,
            }
            for view in found.views
        ],
    }


def advice(found: CameraCalibration) -> Iterator[str]:
    """What would make a calibration better, a sentence each."""
    if found.coverage < _FAIR_COVERAGE:
        places = ", ".join(found.missing) or "edges"
        yield (
            f"Only {100 * found.coverage:.0f} % of the picture is covered; the lens becomes surer with the "
            f"board at its {places}."
        )
    if found.tilt_deg < _FAIR_TILT_DEG:
        yield (
            f"The poses of the board differ by {found.tilt_deg:.0f} degrees; tilt it by 20 to 45 to all "
            "sides, and the focal length becomes surer."
        )
    if len(found.used) < _FAIR_COUNT:
        yield f"{len(found.used)} pictures were used; ten or more make outliers easier to tell."
