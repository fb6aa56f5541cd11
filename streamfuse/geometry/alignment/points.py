"""Point pairs that a person gives: read, fitted against wrong ones, and judged pair by pair."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.errors import CalibrationError, ConfigError

__all__ = ["COLUMNS", "PointFit", "fit_points", "parse_points"]

Floats = npt.NDArray[np.float64]
SizeWH = tuple[int, int]
Model = Literal["homography", "affine"]

COLUMNS: Final = ("visible_x", "visible_y", "infrared_x", "infrared_y")

_LEAST: Final = {"homography": 5, "affine": 4}
"""One more than determines the model: otherwise no pair could be seen to be wrong."""
_TOLERANCE: Final = 0.01
"""How far a pair may be off, as a share of the diagonal of the visible picture: a person clicks that well."""
_LEAST_RIGHT: Final = 0.6
_LINE: Final = 0.03
"""Points whose second extent is a smaller share of the first lie on one line."""
_UNSTABLE: Final = 0.1
"""Share of the diagonal by which no pair may be predicted wrong by the others."""
_CLUSTER: Final = 0.15
"""Points whose extent is a smaller share of the diagonal leave the rest of the picture to guesses."""
_CLEARLY: Final = 2.0
"""By what factor one explanation must beat the next to be told."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointFit:
    """A transform that most point pairs agree on. Arrays have one entry for each pair that was given."""

    H_visible_from_infrared: Floats
    """3x3; the last row of an affine one is 0, 0, 1."""
    residuals_px: Floats
    """(N,): how far each infrared point comes to lie from its visible one, in visible pixels."""
    wrong: npt.NDArray[np.bool_]
    """(N,): pairs that were left out, as they contradict the others."""
    left_out_px: Floats
    """(N,): how far off each pair is for a fit of the others; the honest error of this fit at new places."""

    @property
    def rms_px(self) -> float:
        """Of the residuals of the pairs that were used."""
        return float(np.sqrt(np.square(self.residuals_px[~self.wrong]).mean()))

    @property
    def leave_one_out_px(self) -> float:
        """Root mean square of what each used pair is off for a fit of the others."""
        return float(np.sqrt(np.square(self.left_out_px[~self.wrong]).mean()))


def parse_points(
    text: str, *, name: str, visible_size_wh: SizeWH, infrared_size_wh: SizeWH
) -> tuple[Floats, list[int]]:
    """Point pairs from CSV: ``visible_x,visible_y,infrared_x,infrared_y`` in pixels, centres at integers.

    A first line with these names may order the columns anew; empty lines and those that begin with # are
    passed over.

    Args:
        text: content of the file.
        name: of the file, for messages.
        visible_size_wh: size of the visible pictures; points must be in them.
        infrared_size_wh: size of the infrared ones.

    Returns:
        Nx4 in the order above, and the line in the file of each.

    Raises:
        ConfigError: all mistakes, a line each.
    """
    limits = (*visible_size_wh, *infrared_size_wh)
    order: tuple[int, ...] = (0, 1, 2, 3)
    points: list[list[float]] = []
    lines: list[int] = []
    problems: list[str] = []
    for line, raw in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([raw]))]
        if raw.count(";") >= len(COLUMNS) - 1:
            raise ConfigError(
                [f"{name}:{line}: separate the numbers by commas, as 12.5,7,9,4; got semicolons"]
            )
        if not points and not problems and sorted(cells) == sorted(COLUMNS):
            order = tuple(cells.index(column) for column in COLUMNS)
            continue
        row, problem = _row(cells, order, limits)
        if problem:
            problems.append(f"{name}:{line}: {problem}")
        else:
            points.append(row)
            lines.append(line)
    if problems:
        raise ConfigError(problems)
    return np.array(points, np.float64).reshape(-1, 4), lines


def _row(cells: list[str], order: tuple[int, ...], limits: tuple[int, ...]) -> tuple[list[float], str]:
    """The numbers of a line, or what is wrong with it."""
    if len(cells) != len(COLUMNS):
        return [], f"expected four numbers ({', '.join(COLUMNS)}), got {len(cells)} values"
    numbers = []
    for column, place, side in zip(COLUMNS, order, limits, strict=True):
        try:
            number = float(cells[place])
        except ValueError:
            return [], f"{column}: expected a number, got {cells[place]!r}"
        if not math.isfinite(number):
            return [], f"{column}: expected a finite number, got {cells[place]}"
        if not -0.5 <= number <= side - 0.5:
            return [], f"{column}: {number:g} is outside of the picture, which has 0 to {side - 1}"
        numbers.append(number)
    return numbers, ""


def fit_points(
    points: Floats,
    *,
    visible_size_wh: SizeWH,
    model: Model = "homography",
    names: Sequence[str] | None = None,
) -> PointFit:
    """Find the transform that most of the pairs agree on, and which of them are wrong.

    RANSAC, then least squares over the pairs that agree to 1 % of the picture's diagonal.

    Args:
        points: Nx4, visible x, y and infrared x, y.
        visible_size_wh: size of the visible picture.
        model: ``homography`` (five pairs or more) or ``affine`` (four or more).
        names: of the pairs, for messages; None: ``pair 1`` and so on.

    Raises:
        CalibrationError: too few pairs, all on one line or in a small part of the picture, or pairs that
            contradict each other; where it is one, the message names it.
    """
    names = names or [f"pair {number}" for number in range(1, len(points) + 1)]
    least, diagonal_px = _LEAST[model], math.hypot(*visible_size_wh)
    if len(points) < least:
        raise CalibrationError(
            f"{len(points)} point pairs are too few: a {model} takes {least}; give some more, spread out"
        )
    _check_spread(points)
    _check_cluster(points, diagonal_px)
    tolerance_px = max(2.0, _TOLERANCE * diagonal_px)
    right = _agreeing(points, model, tolerance_px)
    if right.sum() < max(least, _LEAST_RIGHT * len(points)):
        _name_the_odd_one(points, model, tolerance_px, names)
        raise CalibrationError(
            f"the point pairs contradict each other, or lie on one line but for one: {right.sum()} of "
            f"{len(points)} agree within {tolerance_px:.0f} px; correct the worst, or give some more"
        )
    if right.sum() > least + 1 and (bent := _odd_one(points[right], model, tolerance_px)):
        right[np.flatnonzero(right)[bent.place]] = False  # the transform had bent to it, away from others
        right = _off(_least_squares(points[right], model), points) <= tolerance_px
    _check_spread(points[right])
    matrix = _least_squares(points[right], model)
    residuals = _off(matrix, points)
    left_out = residuals.copy()
    for index in np.flatnonzero(right):
        others = right.copy()
        others[index] = False
        left_out[index] = _off(_least_squares(points[others], model), points[index : index + 1])[0]
    if not (left_out[right] < max(_UNSTABLE * diagonal_px, 4 * tolerance_px)).all():
        _name_the_odd_one(points, model, tolerance_px, names)
        lever = names[int(np.argmax(np.where(right, left_out, -1.0)))]
        raise CalibrationError(
            f"the point pairs do not determine the registration: all depends on one of them, {lever}, which "
            "the others contradict or say nothing about; look at it, spread the points over the whole "
            "picture, or give some more"
        )
    return PointFit(
        H_visible_from_infrared=matrix, residuals_px=residuals, wrong=~right, left_out_px=left_out
    )


def _check_spread(points: Floats) -> None:
    for stream, place in (("visible", points[:, :2]), ("infrared", points[:, 2:])):
        extents = np.linalg.svd(place - place.mean(axis=0), compute_uv=False)
        if extents[1] <= _LINE * extents[0]:
            raise CalibrationError(
                f"all {stream} points lie on one line, or in one place; spread them over the whole picture"
            )


def _check_cluster(points: Floats, diagonal_px: float) -> None:
    extent_px = math.hypot(*np.ptp(points[:, :2], axis=0))
    if extent_px < _CLUSTER * diagonal_px:
        raise CalibrationError(
            f"all points lie within {extent_px:.0f} px of a visible picture of {diagonal_px:.0f} px from "
            "corner to corner, and say nothing about the rest of it; spread them over the whole picture"
        )


class _Odd(NamedTuple):
    """The one pair without which all others agree."""

    place: int
    off_px: float
    others_px: float
    """Root mean square of the residuals of the others."""


def _odd_one(points: Floats, model: Model, tolerance_px: float) -> _Odd | None:
    """What explains the pairs twice as well as any other explanation of this kind, if anything does."""
    if len(points) <= _LEAST[model]:
        return None
    rms_px, off_px = np.empty(len(points)), np.empty(len(points))
    for index in range(len(points)):
        off = _off(_least_squares(np.delete(points, index, axis=0), model), points)
        off_px[index] = off[index]
        rms_px[index] = math.sqrt(np.square(np.delete(off, index)).mean())
    odd, next_best = (int(index) for index in np.argsort(rms_px)[:2])
    others_agree = rms_px[odd] < min(tolerance_px, rms_px[next_best] / _CLEARLY)
    if others_agree and _CLEARLY * tolerance_px < off_px[odd] < math.inf:
        return _Odd(odd, float(off_px[odd]), float(rms_px[odd]))
    return None


def _name_the_odd_one(points: Floats, model: Model, tolerance_px: float, names: Sequence[str]) -> None:
    odd = _odd_one(points, model, tolerance_px)
    if odd is not None:
        raise CalibrationError(
            f"{names[odd.place]} seems wrong: the other {len(points) - 1} pairs agree to {odd.others_px:.1f} "
            f"px without it, and it is {odd.off_px:.0f} px off; correct it, or take it out and give some more"
        )


def _agreeing(points: Floats, model: Model, tolerance_px: float) -> npt.NDArray[np.bool_]:
    """Which pairs are within the tolerance of the transform that most are near; its draws never vary."""
    visible, infrared = points[:, :2].copy(), points[:, 2:].copy()
    if model == "affine":
        _, agrees = cv2.estimateAffine2D(infrared, visible, None, cv2.RANSAC, tolerance_px, 5000, 0.9999)
    else:
        _, agrees = cv2.findHomography(
            infrared, visible, cv2.RANSAC, tolerance_px, maxIters=5000, confidence=0.9999
        )
    return np.asarray(agrees, np.bool_).reshape(-1)


def _least_squares(points: Floats, model: Model) -> Floats:
    """The transform with the least squares of distances in the visible picture; NaN if there is none."""
    visible, infrared = points[:, :2], points[:, 2:]
    matrix = np.full((3, 3), np.nan)
    if model == "affine" and len(points) >= 3:
        solved = np.linalg.lstsq(np.column_stack((infrared, np.ones(len(points)))), visible)[0]
        matrix = np.vstack((solved.T, (0.0, 0.0, 1.0)))
    elif model == "homography" and len(points) >= 4:
        found, _ = cv2.findHomography(infrared, visible, 0)
        matrix = matrix if found is None else np.asarray(found, np.float64)
    return matrix


def _off(matrix: Floats, points: Floats) -> Floats:
    """(N,): distances in the visible picture; infinite where a point does not come to lie anywhere."""
    moved = np.column_stack((points[:, 2:], np.ones(len(points)))) @ matrix.T
    ahead = moved[:, 2] > 1e-9
    places = np.divide(
        moved[:, :2], moved[:, 2:], out=np.full((len(points), 2), np.inf), where=ahead[:, None]
    )
    return np.asarray(np.hypot(*(places - points[:, :2]).T), np.float64)
