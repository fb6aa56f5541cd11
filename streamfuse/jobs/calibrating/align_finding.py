"""The three ways to a registration: by the pictures, by points in a file, by points that are clicked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from streamfuse.errors import SourceError
from streamfuse.geometry.alignment.aligner import align
from streamfuse.geometry.alignment.points import PointFit, fit_points, parse_points
from streamfuse.jobs.calibrating.clicks import click_points
from streamfuse.jobs.calibrating.pictures import PicturePair

__all__ = ["Found", "Gray", "Model", "Tell", "from_clicks", "from_file", "from_pictures"]

Floats = npt.NDArray[np.float64]
Gray = npt.NDArray[np.uint8]
Model = Literal["homography", "affine"]
Tell = Callable[[str], None]

_SURE_POINTS: Final = 0.01
"""Share of the diagonal: points whose leave-one-out error is that large give half the confidence."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A registration in visible pixels, and how far to trust it."""

    H: Floats
    confidence: float
    residual_px: float
    notes: tuple[str, ...] = ()
    wrong_points: tuple[str, ...] = ()
    residuals: dict[str, float]


def from_pictures(grays: Sequence[tuple[Gray, Gray]], *, model: Model) -> Found:
    """What the pictures themselves say.

    Raises:
        CalibrationError: they cannot be aligned.
    """
    found = align(grays, model=model)
    residual_px, confidence = float(found.residual_px), float(found.confidence)
    return Found(
        H=np.asarray(found.H_visible_from_infrared, np.float64),
        confidence=confidence,
        residual_px=residual_px,
        residuals={"residual_px": residual_px, "confidence": confidence},
    )


def from_file(path: Path, pair: PicturePair, *, model: Model) -> Found:
    """What the point pairs in a CSV file say.

    Raises:
        SourceError: the file cannot be read.
        ConfigError: mistakes in it, a line each.
        CalibrationError: the points determine nothing.
    """
    visible_wh, infrared_wh = pair.visible.size_wh, pair.infrared.size_wh
    points, lines = parse_points(
        _text(path), name=str(path), visible_size_wh=visible_wh, infrared_size_wh=infrared_wh
    )
    names = [f"{path.name}:{line}" for line in lines]
    fit = fit_points(points, visible_size_wh=visible_wh, model=model, names=names)
    return _judged(fit, names, diagonal_px=math.hypot(*visible_wh))


def from_clicks(page: str, pair: PicturePair, *, model: Model, tell: Tell) -> Found:
    """What the point pairs say that somebody clicks on a page.

    Raises:
        CalibrationError: nothing was saved, or the points determine nothing.
        OutputError: the page cannot be served.
        UsageError: its address is none.
    """
    visible_wh = pair.visible.size_wh

    def fit(points: Floats) -> PointFit:
        return fit_points(points, visible_size_wh=visible_wh, model=model)

    points = click_points(
        pair.visible,
        pair.infrared,
        solve=lambda clicked: fit(clicked).H_visible_from_infrared,
        page=page,
        tell=tell,
    )
    names = [f"pair {number}" for number in range(1, len(points) + 1)]
    return _judged(fit(points), names, diagonal_px=math.hypot(*visible_wh))


def _judged(fit: PointFit, names: Sequence[str], *, diagonal_px: float) -> Found:
    wrong = tuple(
        f"{name}: left out, {off:.1f} px off"
        for name, off, is_wrong in zip(names, fit.residuals_px, fit.wrong, strict=True)
        if is_wrong
    )
    used = len(names) - len(wrong)
    note = (
        f"{used} of {len(names)} point pairs agree to {fit.rms_px:.1f} px RMS; the others tell each to "
        f"{fit.leave_one_out_px:.1f} px."
    )
    return Found(
        H=fit.H_visible_from_infrared,
        confidence=1.0 / (1.0 + fit.leave_one_out_px / (_SURE_POINTS * diagonal_px)),
        residual_px=fit.rms_px,
        notes=(note, *wrong),
        wrong_points=wrong,
        residuals={"rms_px": fit.rms_px, "leave_one_out_px": fit.leave_one_out_px},
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not text in UTF-8; save it as CSV") from error
