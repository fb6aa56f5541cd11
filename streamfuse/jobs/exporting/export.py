"""Writes a network for another runtime into a folder: checked there first, whole or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.engine.backends.recipe import Recipe
from streamfuse.errors import OutputError, PromiseError, UsageError
from streamfuse.jobs.exporting.card import (
    CARD,
    EQUAL_DB,
    PAGE,
    digests,
    facts_of,
    is_same,
    made_with,
    page_of,
    read_card,
)
from streamfuse.jobs.exporting.formats import ExportFormat, run_written, write
from streamfuse.jobs.exporting.subject import DETECTOR, Arrays, Subject, detector_subject, fusion_subject

__all__ = ["ExportJob", "ExportReport", "export"]

PIXELS_MAX: Final = 4096 * 2304
"""Of all images of a batch together: to be checked, a file is run as it is, and torch beside it. The default
network takes 10.4 GiB of memory for so many (peak of the process, ONNX, on two cores)."""
FLOOR_DB: Final = 60.0
"""What a file must agree with torch by."""
_SIZES: Final = (
    {"batch": 1, "height": 120, "width": 160},
    {"batch": 2, "height": 61, "width": 97},
)
"""On which a file for any size is checked; the second with odd sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """What to export, and where to.

    Raises:
        UsageError: a batch or side below 1, or more pixels than can be checked.
    """

    out: Path
    """A folder."""
    form: ExportFormat
    model: str = "grdb"
    """Fusion network, or ``detector``."""
    weights: str = "default"
    recipe: Recipe = Recipe.RGB
    """Of a fusion network."""
    batch: int | None = None
    """None: any; 1 for a detector."""
    size_wh: tuple[int, int] | None = None
    """None: any; as it was trained for a detector."""
    force: bool = False
    """Replace another export in the folder."""

    def __post_init__(self) -> None:
        if min(self.batch or 1, *(self.size_wh or (1, 1))) < 1 or self.batch == 0:
            raise UsageError(f"batch and size must be at least 1, got {self.batch} and {self.size_wh}")
        width, height = self.size_wh or (1, 1)
        if (pixels := (self.batch or 1) * width * height) > PIXELS_MAX:
            raise UsageError(
                f"{width}x{height} in a batch of {self.batch or 1} has {pixels} pixels, and at most "
                f"{PIXELS_MAX} (4096x2304) can be run to check the file; give fewer, or no --size"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written."""

    file: Path
    """What a runtime opens."""
    psnr_db: float
    """Agreement with torch in float32; 120 where nothing differs."""
    was_there: bool
    """Whether the same lay there already, so that nothing was written."""


def export(job: ExportJob) -> ExportReport:
    """Write a network, the card and the page that describe it.

    Raises:
        UsageError: the folder holds something else, or a size that the network cannot take.
        WeightsError: the weights are missing, damaged or of another network.
        MachineError: a package is missing, or the network cannot be written in this form.
        OutputError: the folder cannot be written.
        PromiseError: the written file says something else than torch does; nothing is kept.
    """
    subject = _subject(job)
    facts = facts_of(subject, job.form)
    there = read_card(job.out)
    if there is not None and is_same(there, facts, job.out):
        file = job.out / f"{subject.stem}{job.form.ending}"
        return ExportReport(file=file, psnr_db=float(there["verified"]["psnr_db"]), was_there=True)
    _check_place(job, there)
    try:
        return _write_folder(job, subject, facts)
    except OSError as error:
        raise OutputError(
            f"{job.out}: cannot be written ({error.strerror}); choose another folder"
        ) from error


def _subject(job: ExportJob) -> Subject:
    if job.model == DETECTOR:
        return detector_subject(job.weights, batch=job.batch, size_wh=job.size_wh)
    return fusion_subject(job.model, job.weights, job.recipe, batch=job.batch, size_wh=job.size_wh)


def _check_place(job: ExportJob, there: Mapping[str, Any] | None) -> None:
    """Refuse to touch what is not ours, and what is ours without being told to."""
    if job.out.exists() and not job.out.is_dir():
        raise UsageError(f"{job.out} is a file; --out must be a folder")
    names = {path.name for path in job.out.iterdir()} if job.out.exists() else set()
    strangers = sorted(names - {CARD, PAGE, *(there["files"] if there else ())})
    if strangers or (names and there is None):
        some = ", ".join(strangers[:3] or sorted(names))
        raise UsageError(f"{job.out} holds other things than an export ({some}); choose a new folder")
    if names and not job.force:
        raise UsageError(
            f"{job.out} holds another export; add --force to replace it, or choose another folder"
        )


def _write_folder(job: ExportJob, subject: Subject, facts: Mapping[str, Any]) -> ExportReport:
    """All of it beside the folder, then in its place in one step."""
    place = job.out.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as beside:
        fresh = Path(beside) / "fresh"
        fresh.mkdir()
        weights = facts["weights"]
        notes = {f"weights_{key}": weights[key] for key in ("name", "sha256", "licence")}
        file = write(subject, job.form, fresh, notes=notes)
        psnr_db = _verify(subject, job.form, file)
        card = {
            **facts,
            "files": digests(fresh),
            "verified": {"against": "torch float32", "psnr_db": round(psnr_db, 1)},
            "versions": made_with(job.form),
        }
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        (fresh / CARD).write_text(text, encoding="utf-8")
        page = page_of(subject, job.form, file=file.name, psnr_db=psnr_db)
        (fresh / PAGE).write_text(page, encoding="utf-8")
        _exchange(fresh, place, Path(beside) / "old")
    return ExportReport(file=job.out / file.name, psnr_db=round(psnr_db, 1), was_there=False)


def _exchange(fresh: Path, place: Path, old: Path) -> None:
    """Put a folder in the place of another, which comes back if that fails."""
    if place.exists():
        place.rename(old)
    try:
        fresh.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise


def _verify(subject: Subject, form: ExportFormat, file: Path) -> float:
    """The lowest agreement of the written file with torch."""
    is_free = any(port.free for port in subject.inputs)
    worst = min(_agreement_db(subject, form, file, subject.example(size)) for size in _SIZES[: 1 + is_free])
    if worst < FLOOR_DB:
        raise PromiseError(
            f"{file.name} agrees with torch to {worst:.1f} dB, expected {FLOOR_DB:.0f} dB or more; nothing "
            f"was kept: report it with the version of {form.package}"
        )
    return worst


def _agreement_db(subject: Subject, form: ExportFormat, file: Path, arrays: Arrays) -> float:
    wanted, found = subject.run(arrays), run_written(subject, form, file, arrays)
    return min(_psnr_db(found[name], wanted[name]) for name in wanted)


def _psnr_db(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Peak signal-to-noise ratio; the peak is 255 of bytes, else the largest number there is."""
    if found.shape != wanted.shape:
        return 0.0
    peak = 255.0 if wanted.dtype == np.uint8 else float(np.abs(wanted).max()) or 1.0
    error = float(np.mean((found.astype(np.float64) - wanted) ** 2))
    return min(EQUAL_DB, 10 * float(np.log10(peak**2 / max(error, 1e-30))))
