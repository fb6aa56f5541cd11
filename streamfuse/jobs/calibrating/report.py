"""How good a rig file is: what is in it, what is missing, and for which distances it will do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamfuse.config.rig import CameraConfig, MadeBy, RigConfig
from streamfuse.errors import StreamfuseError, UsageError
from streamfuse.geometry.rig import RigGeometry, common_field, parallax_px
from streamfuse.io.files import check_writable, write_text
from streamfuse.io.rig_file import read_rig_config
from streamfuse.jobs.calibrating.pictures import PicturePair, read_pairs

__all__ = ["Parallax", "Report", "ReportFacts", "facts_of", "write_report"]

GOOD_PX: Final = 3.0
"""Objects that lie so far from themselves still fuse to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be done.

    Raises:
        UsageError: pictures of one camera only, or a baseline that is not positive.
    """

    rig: Path
    out: Path
    """The HTML file."""
    visible: str | None = None
    """Location of pictures to show registered."""
    infrared: str | None = None
    baseline_m: float | None = None
    """Between the cameras, where the rig file has no pose."""

    def __post_init__(self) -> None:
        if (self.visible is None) != (self.infrared is None):
            raise UsageError("--visible and --infrared go together; give both, or none")
        if self.baseline_m is not None and not 0 < self.baseline_m < math.inf:
            raise UsageError(f"--baseline-m must be more than 0, got {self.baseline_m:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallax:
    """What registration error to expect of objects that are not at the distance of the plane."""

    baseline_m: float
    focal_px: float
    plane_distance_m: float
    near_m: float
    """From here …"""
    far_m: float
    """… to here the error is at most GOOD_PX."""

    @classmethod
    def of(cls, *, baseline_m: float, focal_px: float, plane_distance_m: float) -> Parallax:
        """Solve ``f b |1/Z - 1/Z_plane| = GOOD_PX`` for both distances."""
        bend = GOOD_PX / (focal_px * baseline_m)
        inverse = 1.0 / plane_distance_m
        return cls(
            baseline_m=baseline_m,
            focal_px=focal_px,
            plane_distance_m=plane_distance_m,
            near_m=1.0 / (inverse + bend),
            far_m=1.0 / (inverse - bend) if inverse > bend else math.inf,
        )

    def error_px(self, distance_m: float) -> float:
        """Visible pixels."""
        return parallax_px(
            distance_m,
            plane_distance_m=self.plane_distance_m,
            baseline_m=self.baseline_m,
            focal_px=self.focal_px,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the report says, before it is drawn."""

    rig: RigConfig
    missing: tuple[str, ...]
    """What the file does not hold, and the command that measures it, a sentence each."""
    verdict: tuple[str, ...]
    parallax: Parallax | None
    no_parallax: str
    """Why there is none; empty where there is."""
    field_xywh: tuple[int, int, int, int] | None
    """Of the visible picture, what both cameras see."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = self.parallax
        return {
            "missing": list(self.missing),
            "verdict": list(self.verdict),
            "residual_px": self.rig.residual_px,
            "confidence": self.rig.confidence,
            "time_offset_ms": self.rig.time_offset_ms,
            "field_xywh": None if self.field_xywh is None else list(self.field_xywh),
            "parallax": None
            if found is None
            else {
                "baseline_m": found.baseline_m,
                "focal_px": found.focal_px,
                "plane_distance_m": _number(found.plane_distance_m),
                "good_px": GOOD_PX,
                "near_m": found.near_m,
                "far_m": _number(found.far_m),
            },
        }


def facts_of(rig: RigConfig, *, baseline_m: float | None = None) -> ReportFacts:
    """Judge a rig file.

    Args:
        rig: as far as it has grown.
        baseline_m: between the cameras, where the file has no pose.
    """
    geometry = _geometry(rig)
    pose = rig.T_visible_from_infrared
    if pose is not None:
        baseline_m = math.hypot(*pose.translation_m)
    lens = None if rig.visible is None else rig.visible.intrinsics
    parallax, why = None, ""
    if not baseline_m:
        why = "The distance between the cameras is not known; measure it and give --baseline-m."
    elif lens is None:
        why = "The focal length of the visible camera is not known; run `streamfuse calibrate intrinsics`."
    else:
        plane_m = math.inf if geometry is None else geometry.usual_distance_m
        parallax = Parallax.of(
            baseline_m=baseline_m, focal_px=math.sqrt(lens.fx * lens.fy), plane_distance_m=plane_m
        )
    return ReportFacts(
        rig=rig,
        missing=tuple(_missing(rig)),
        verdict=tuple(_verdict(rig, geometry, parallax)),
        parallax=parallax,
        no_parallax=why,
        field_xywh=_field(geometry),
    )


def write_report(job: Report) -> ReportFacts:
    """Judge a rig file and write the page.

    Raises:
        UsageError: no such rig file, or pictures of other sizes than the rig's.
        ConfigError: mistakes in the rig file.
        SourceError: the pictures cannot be read.
        OutputError: the page cannot be written.
    """
    from streamfuse.jobs.calibrating.report_page import page  # noqa: PLC0415 - it takes half a second to plot

    rig = read_rig_config(job.rig)
    if rig is None:
        raise UsageError(f"{job.rig}: there is no rig file; `streamfuse calibrate align` makes one")
    check_writable(job.out.absolute().parent)
    facts = facts_of(rig, baseline_m=job.baseline_m)
    write_text(job.out, page(facts, name=job.rig.name, pairs=_pairs(job)))
    return facts


def _pairs(job: Report) -> list[PicturePair]:
    if job.visible is None or job.infrared is None:
        return []
    return list(read_pairs(job.visible, job.infrared, most=3))


def _geometry(rig: RigConfig) -> RigGeometry | None:
    has_sizes = rig.visible is not None and rig.infrared is not None
    return RigGeometry.of(rig) if has_sizes and (rig.planes or rig.has_lenses_and_pose) else None


def _field(geometry: RigGeometry | None) -> tuple[int, int, int, int] | None:
    if geometry is None:
        return None
    try:
        x, y, width, height = common_field(geometry)
    except StreamfuseError:  # the cameras have nothing in common: the verdict says so
        return None
    return x, y, width, height


def _missing(rig: RigConfig) -> Iterator[str]:
    for name in ("visible", "infrared"):
        camera: CameraConfig | None = getattr(rig, name)
        if camera is None or camera.intrinsics is None:
            yield f"The {name} lens: `streamfuse calibrate intrinsics --camera {name}`."
    if rig.T_visible_from_infrared is None:
        yield "The pose between the cameras: `streamfuse calibrate stereo`."
    if not rig.planes:
        yield "A plane of registration: `streamfuse calibrate align`, or `stereo`."
    if not _has_time(rig.made_by) and not rig.time_offset_ms:
        yield "The time offset: `streamfuse calibrate time`."


def _has_time(note: MadeBy | None) -> bool:
    return note is not None and "time_offset" in (note.model_extra or {})


def _verdict(rig: RigConfig, geometry: RigGeometry | None, parallax: Parallax | None) -> Iterator[str]:
    if geometry is None:
        yield "Not ready to run: nothing tells how one picture lies on the other."
        return
    field = _field(geometry)
    if field is None:
        yield "Not ready to run: the cameras see nothing in common."
        return
    width, height = geometry.visible_size_wh
    share = field[2] * field[3] / (width * height)
    yield f"Ready to run. Both cameras see {100 * share:.0f} % of the visible picture."
    if parallax is not None:
        far = "" if math.isinf(parallax.far_m) else f" and nearer than {parallax.far_m:.3g} m"
        near = f"Good to {GOOD_PX:g} px for objects farther than {parallax.near_m:.3g} m"
        yield f"{near}{far}, by their distance alone."
    if rig.residual_px is not None:
        word = (
            "good" if rig.residual_px <= 1 else "fair" if rig.residual_px <= GOOD_PX else "poor: do it again"
        )
        yield f"The calibration left {rig.residual_px:.2f} px, which is {word}."
    if rig.confidence is not None and rig.confidence < 0.5:
        yield f"It is not sure of itself (confidence {rig.confidence:.2f}): look at the pictures below."


def _number(value: float) -> float | str:
    return "inf" if math.isinf(value) else value
