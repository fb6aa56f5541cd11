"""From pairs of pictures of any scene to a plane in a rig file: how infrared pixels lie on visible ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from streamfuse.config.rig import DenseConfig, PlaneConfig, RigConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.geometry.alignment.dense import DenseWarp, refine_dense
from streamfuse.io.files import check_writable
from streamfuse.io.images import write_png
from streamfuse.io.rig_file import read_rig_config, write_rig_config
from streamfuse.io.sources import redact
from streamfuse.jobs.calibrating.align_finding import Found, Gray, Tell, from_clicks, from_file, from_pictures
from streamfuse.jobs.calibrating.align_pairs import check_texture, check_there, checked
from streamfuse.jobs.calibrating.align_words import describe
from streamfuse.jobs.calibrating.before_after import before_and_after, most_telling
from streamfuse.jobs.calibrating.pictures import PicturePair, is_camera, read_pairs
from streamfuse.jobs.calibrating.provenance import made_by

__all__ = ["Align", "AlignResult", "calibrate_align"]

Progress = Callable[[int, int | None, str], None]

_COMMAND: Final = "calibrate align"
_MOST: Final = 12
"""Pairs that are looked at: more make it slower, not better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Align:
    """What is to be done.

    Raises:
        UsageError: options that exclude each other.
    """

    visible: str
    """Location of the visible pictures."""
    infrared: str
    out: Path
    """The rig file, made or added to."""
    model: Literal["homography", "affine"] = "homography"
    dense: bool = False
    """Whether to look for a smooth correction on top."""
    distance_m: float | None = None
    """Of the scene; None: that of the first plane of the file, in a new one ``inf``."""
    points: Path | None = None
    """Point pairs in place of what the pictures say."""
    click: str | None = None
    """``HOST:PORT`` of a page on which a person clicks point pairs."""
    picture: Path | None = None
    """A PNG to look at: chessboards of both pictures before and after."""

    def __post_init__(self) -> None:
        if self.points is not None and self.click is not None:
            raise UsageError("--points and --click both give the points; use one of them")
        if self.distance_m is not None and not self.distance_m > 0:
            raise UsageError(f"--distance must be above 0 m, or inf, got {self.distance_m:g}")
        if self.picture is not None and self.picture.suffix.lower() != ".png":
            raise UsageError(f"--picture writes PNG, got {self.picture.name}; name it with .png")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignResult:
    """What came out, and is in the rig file."""

    plane: PlaneConfig
    rig: RigConfig
    out: Path
    confidence: float
    residual_px: float
    pairs: tuple[str, ...]
    """Names of the pairs that were looked at."""
    notes: tuple[str, ...]
    """What was found, a sentence each."""
    dense: DenseWarp | None = None
    wrong_points: tuple[str, ...] = ()
    """Point pairs that were left out, and by how much each is off."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        distance = self.plane.distance_m
        return {
            "H_visible_from_infrared": [list(row) for row in self.plane.H_visible_from_infrared],
            "distance_m": "inf" if math.isinf(distance) else distance,
            "confidence": self.confidence,
            "residual_px": self.residual_px,
            "pairs": list(self.pairs),
            "dense": None
            if self.dense is None
            else {
                "used": not self.dense.is_zero,
                "mean_px": self.dense.mean_px,
                "uncertainty_px": self.dense.uncertainty_px,
                "reliability": self.dense.reliability,
            },
            "wrong_points": list(self.wrong_points),
            "out": str(self.out),
            "notes": list(self.notes),
        }


def calibrate_align(
    job: Align, *, on_progress: Progress | None = None, tell: Tell | None = None
) -> AlignResult:
    """Register the two cameras from what they see, and write the plane into the rig file.

    Args:
        job: what to do.
        on_progress: told what is done at the moment: how much of it, of how much, and its words.
        tell: gets the address of the page for clicking.

    Raises:
        CalibrationError: the pictures or the points do not determine the registration; nothing is written.
        UsageError: the rig file is for pictures of other sizes, or the cameras are swapped.
        ConfigError: mistakes in the rig file or in the file of points.
        SourceError: pictures cannot be read.
        OutputError: a file cannot be written.
    """
    rig = read_rig_config(job.out) or RigConfig()
    for path in (job.out, *([job.picture] if job.picture else [])):
        check_writable(path.absolute().parent)
    pairs = _read(job, rig, on_progress)
    rig = rig.sized(visible_wh=pairs[0].visible.size_wh, infrared_wh=pairs[0].infrared.size_wh)
    grays = [(pair.visible.gray, pair.infrared.gray) for pair in pairs]
    doing = on_progress or _quiet
    if job.points is None and job.click is None:
        doing(0, None, f"aligning {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}")
    found = _find(job, pairs[0], grays, tell)
    if job.dense:
        doing(0, None, "looking for a smooth correction")
    dense = refine_dense(grays, found.H) if job.dense else None
    plane = _plane(job, rig, pairs, found, dense)
    grown = _with_plane(rig, plane, found)
    if job.picture is not None:
        write_png(job.picture, before_and_after(most_telling(pairs), grown, plane.distance_m))
    write_rig_config(job.out, grown)
    notes = (
        *found.notes,
        *describe(grown, plane, confidence=found.confidence, residual_px=found.residual_px),
    )
    return AlignResult(
        plane=plane,
        rig=grown,
        out=job.out,
        confidence=found.confidence,
        residual_px=found.residual_px,
        pairs=tuple(pair.name for pair in pairs),
        notes=(*notes, *_dense_notes(dense)),
        dense=dense,
        wrong_points=found.wrong_points,
    )


def _read(job: Align, rig: RigConfig, on_progress: Progress | None) -> list[PicturePair]:
    manual = job.points is not None or job.click is not None
    for stream, location in ((StreamName.VISIBLE, job.visible), (StreamName.INFRARED, job.infrared)):
        check_there(location, stream)
    most = 1 if manual and not job.dense else _MOST
    total = None if is_camera(job.visible, StreamName.VISIBLE) else most
    pairs = []
    for pair in checked(read_pairs(job.visible, job.infrared, most=most), rig):
        pairs.append(pair)
        if on_progress is not None:
            on_progress(len(pairs), total, "pairs read")
    if not pairs:
        raise SourceError(
            f"no pairs of pictures in {redact(job.visible)} and {redact(job.infrared)}; look what is there"
        )
    if not manual or job.dense:
        check_texture(pairs)
    return pairs


def _find(job: Align, pair: PicturePair, grays: Sequence[tuple[Gray, Gray]], tell: Tell | None) -> Found:
    """The registration by the way that was asked for."""
    if job.points is not None:
        return from_file(job.points, pair, model=job.model)
    if job.click is not None:
        return from_clicks(job.click, pair, model=job.model, tell=tell or _silent)
    return from_pictures(grays, model=job.model)


def _quiet(done: int, total: int | None, words: str) -> None:
    """Progress that nobody looks at."""


def _silent(_: str) -> None:
    """Tell nobody."""


def _plane(
    job: Align, rig: RigConfig, pairs: Sequence[PicturePair], found: Found, dense: DenseWarp | None
) -> PlaneConfig:
    usual = rig.planes[0].distance_m if rig.planes else math.inf
    used = [pair.name for pair in pairs] if job.points is None else [job.points.name]
    return PlaneConfig.model_validate(
        {
            "distance_m": usual if job.distance_m is None else job.distance_m,
            "H_visible_from_infrared": found.H.tolist(),
            "dense": None if dense is None or dense.is_zero else _dense_config(dense),
            "made_by": made_by(_COMMAND, used=used, residuals=found.residuals),
        }
    )


def _dense_config(dense: DenseWarp) -> DenseConfig:
    dx, dy = (np.round(dense.field[..., axis], 3).tolist() for axis in (0, 1))
    return DenseConfig.model_validate({"step_px": dense.grid.step_px, "dx_px": dx, "dy_px": dy})


def _with_plane(rig: RigConfig, plane: PlaneConfig, found: Found) -> RigConfig:
    """The rig with the plane, farthest first; its confidence is that of the first plane."""
    others = [each for each in rig.planes if each.distance_m != plane.distance_m]
    planes = sorted([*others, plane], key=lambda each: -each.distance_m)
    changes: dict[str, Any] = {"planes": tuple(planes)}
    if planes[0] is plane or rig.confidence is None:
        changes |= {"confidence": round(found.confidence, 3), "residual_px": round(found.residual_px, 3)}
    return rig.grown(**changes)


def _dense_notes(dense: DenseWarp | None) -> tuple[str, ...]:
    if dense is None:
        return ()
    if dense.is_zero:
        return ("Dense: none, as the pictures agree on no correction of the matrix; more pairs may.",)
    return (f"Dense: corrects by {dense.mean_px:.2f} px on average, known to {dense.uncertainty_px:.2f} px.",)
