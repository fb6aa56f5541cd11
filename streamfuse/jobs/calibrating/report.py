"""How good a rig file is: what is in it, what is missing, and for which distances it will do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamfuse.config.rig import RigConfig
from streamfuse.errors import CalibrationError, UsageError
from streamfuse.geometry.rig import RigGeometry, common_field
from streamfuse.io.files import check_writable, write_text
from streamfuse.io.rig_file import read_rig_config
from streamfuse.jobs.calibrating.pictures import PicturePair, read_pairs
from streamfuse.jobs.calibrating.report_measuring import Measured, measure
from streamfuse.jobs.calibrating.report_parallax import LIMITS_PX, Parallax, parallaxes_of
from streamfuse.jobs.calibrating.report_verdict import missing, next_step, verdict

__all__ = ["Report", "ReportFacts", "facts_of", "write_report"]

_MEASURED: Final = 6
"""Pairs that are aligned together; more take longer and tell no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be done.

    Raises:
        UsageError: pictures of one camera only, or a distance or baseline that is not positive.
    """

    rig: Path
    out: Path
    """The HTML file."""
    visible: str | None = None
    """Location of pictures to show registered."""
    infrared: str | None = None
    distance_m: float | None = None
    """At which the pictures are registered; None: that of the first plane."""
    baseline_m: float | None = None
    """Between the cameras, where the rig file has no pose."""

    def __post_init__(self) -> None:
        if (self.visible is None) != (self.infrared is None):
            raise UsageError("--visible and --infrared go together; give both, or none")
        if self.baseline_m is not None and not 0 < self.baseline_m < math.inf:
            raise UsageError(f"--baseline-m must be more than 0, got {self.baseline_m:g}")
        if self.distance_m is not None and not self.distance_m > 0:
            raise UsageError(f"--distance must be more than 0, or inf, got {self.distance_m:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the report says, before it is drawn."""

    rig: RigConfig
    missing: tuple[str, ...]
    """What the file does not hold, and the command that measures it, a sentence each."""
    verdict: tuple[str, ...]
    next_step: str
    """The one command to run now."""
    parallaxes: tuple[Parallax, ...]
    """Of the planes, the usual one first."""
    no_parallax: str
    """Why there is none; empty where there is."""
    field_xywh: tuple[int, int, int, int] | None
    """Of the visible picture, what both cameras see."""
    measured: Measured | None = None
    """On pictures."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "missing": list(self.missing),
            "verdict": list(self.verdict),
            "next": self.next_step,
            "residual_px": self.rig.residual_px,
            "confidence": self.rig.confidence,
            "time_offset_ms": self.rig.time_offset_ms,
            "field_xywh": None if self.field_xywh is None else list(self.field_xywh),
            "measured": None if self.measured is None else self.measured.as_dict(),
            "parallax": [_parallax_dict(each) for each in self.parallaxes],
        }


def facts_of(
    rig: RigConfig, *, baseline_m: float | None = None, measured: Measured | None = None
) -> ReportFacts:
    """Judge a rig file.

    Args:
        rig: as far as it has grown.
        baseline_m: between the cameras, where the file has no pose.
        measured: on pictures, where there are some.
    """
    parallaxes = parallaxes_of(rig, baseline_m=baseline_m)
    why = ""
    if rig.T_visible_from_infrared is None and baseline_m is None:
        why = "The distance between the cameras is not known; measure it and give --baseline-m."
    elif not parallaxes:
        why = "The focal length of the visible camera is not known; run `streamfuse calibrate intrinsics`."
    field = _field(rig)
    share = None
    if field is not None and rig.visible_size_wh is not None:
        share = field[2] * field[3] / math.prod(rig.visible_size_wh)
    return ReportFacts(
        rig=rig,
        missing=tuple(missing(rig)),
        verdict=tuple(verdict(rig, field_share=share, parallaxes=parallaxes, measured=measured)),
        next_step=next_step(rig, measured),
        parallaxes=parallaxes,
        no_parallax=why,
        field_xywh=field,
        measured=measured,
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
    pairs = _pairs(job)
    measured = measure(rig, pairs, distance_m=job.distance_m) if pairs and _field(rig) is not None else None
    facts = facts_of(rig, baseline_m=job.baseline_m, measured=measured)
    write_text(job.out, page(facts, name=job.rig.name, pairs=pairs))
    return facts


def _pairs(job: Report) -> list[PicturePair]:
    if job.visible is None or job.infrared is None:
        return []
    return list(read_pairs(job.visible, job.infrared, most=_MEASURED))


def _field(rig: RigConfig) -> tuple[int, int, int, int] | None:
    has_sizes = rig.visible is not None and rig.infrared is not None
    if not has_sizes or not (rig.planes or rig.has_lenses_and_pose):
        return None
    try:
        x, y, width, height = common_field(RigGeometry.of(rig))
    except (CalibrationError, UsageError):  # the cameras have nothing in common: the verdict says so
        return None
    return x, y, width, height


def _parallax_dict(found: Parallax) -> dict[str, Any]:
    return {
        "baseline_m": found.baseline_m,
        "focal_px": found.focal_px,
        "plane_distance_m": _number(found.plane_distance_m),
        "range_m": {f"{each:g} px": list(map(_number, found.range_m(each))) for each in LIMITS_PX},
    }


def _number(value: float) -> float | str:
    return "inf" if math.isinf(value) else value
