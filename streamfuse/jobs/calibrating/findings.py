"""What calibrations of one camera and of two have to say: for JSON, for the rig file, for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamfuse.config.rig import MadeBy, PictureNote
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.intrinsics import CameraCalibration, ViewFit
from streamfuse.jobs.calibrating.provenance import made_by
from streamfuse.jobs.calibrating.residual_maps import map_of

__all__ = ["NO_BOARD", "advice", "camera_dict", "lens_note"]

NO_BOARD: Final = "no board was found"

_FAIR_COVERAGE: Final = 0.6
"""Less of the picture covered, and the lens is a guess near its edges."""
_FAIR_TILT_DEG: Final = 30.0
_FAIR_COUNT: Final = 8


def lens_note(command: str, board: Board, found: CameraCalibration, *, unused: Mapping[str, str]) -> MadeBy:
    """Where a lens is from.

    Args:
        command: Such as ``calibrate intrinsics``.
        board: That was looked for.
        found: The calibration.
        unused: Names of pictures in which no board was found, or that cannot be read, with the reason.
    """
    note = made_by(
        command,
        board=board.spec,
        used=[view.name for view in found.used],
        left_out={view.name: view.left_out for view in found.views if view.left_out} | dict(unused),
        residuals={"rms_px": found.rms_px},
        uncertainty=found.deviations,
    )
    measured: dict[str, Any] = {
        "coverage": round(found.coverage, 3),
        "pictures": tuple(map(_picture_note, found.views)),
        "residual_map": map_of(found, board),
    }
    return note.model_copy(update=measured)


def _picture_note(view: ViewFit) -> PictureNote:
    return PictureNote(
        name=view.name,
        corners=len(view.ids),
        rms_px=_finite(view.rms_px),
        worst_px=_finite(view.worst_px),
    )


def _finite(pixels: float) -> float | None:
    """To three digits; None of a view that the lens cannot have seen."""
    return round(pixels, 3) if math.isfinite(pixels) else None


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
