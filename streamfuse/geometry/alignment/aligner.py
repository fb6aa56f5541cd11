"""Registration from the scene: the homography between two cameras, how sure it is, and when to refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from streamfuse.errors import CalibrationError, UsageError
from streamfuse.geometry.alignment.coarse import SearchRange, guesses
from streamfuse.geometry.alignment.fine import PARAMETERS, Evidence, homography
from streamfuse.geometry.alignment.level import Floats, Gray, Level, SizeWH, corners_of, mapped

__all__ = ["Alignment", "AlignmentModel", "align"]

AlignmentModel = Literal["homography", "affine"]

_WORK_PX: Final = 640
"""Longer side of the visible picture at which it is aligned; units of the numbers below."""
_GUESSES: Final = 4
_PRIOR_PX: Final = 4.0
"""Standard deviation of what aspect, shear and perspective move: cameras on one bracket look alike."""
_BLOCK: Final = 16
_LEAST_SCORE: Final = 0.05
_LEAST_CONFIDENCE: Final = 0.5
_RIVAL_PX: Final = 12.0
"""Corner distance from which another solution is another one."""
_MOST_PAIRS: Final = 16
_LEAST_SIDE_PX: Final = 64
_SCENE_PX: Final = 3.5
"""Median corner error of single msrs pairs at the working size against other pairs of the same cameras
(benchmarks/alignment.py); halves of one picture share it, so they cannot see it. Pairs average it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """A registration that the pictures determine.

    Raises:
        ValueError: the confidence is not within 0…1.
    """

    H_visible_from_infrared: Floats
    """3x3, pixels to pixels, its last element 1."""
    confidence: float
    """0.5…1, below it is refused; from the score, the rival and the residual."""
    residual_px: float
    """Expected error at the corners, in visible pixels: fits to parts of the evidence, and what one scene
    is usually off, as its edges lie at other distances than the corners, and lenses bend."""
    score: float
    """Normalised correlation of the edges: 0 is chance, 1 two equal pictures."""
    rival: float
    """Score of the best other solution as a share of this one's."""
    pairs: int
    """That were used."""

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must be in 0…1, got {self.confidence}")


class _Solution(NamedTuple):
    H_infrared_from_visible: Floats
    spent: Floats
    """Parameters so far, in pixels of the full picture."""
    score: float


def align(
    pairs: Sequence[tuple[Gray, Gray]],
    *,
    model: AlignmentModel = "homography",
    start: npt.ArrayLike | None = None,
    search: SearchRange | None = None,
) -> Alignment:
    """The one homography that lays infrared pictures over visible ones.

    An exhaustive search over scale, angle and shift at a quarter of the size gives several guesses; each is
    refined with all its parameters, and the best is judged by itself, by its rivals and by its halves.

    Args:
        pairs: visible and infrared, HxW uint8 each, all of one size per camera, taken together at one moment
            by cameras that did not move between the pairs. Of more than 16, 16 spread evenly are used.
        model: ``affine`` leaves out the perspective.
        start: 3x3 ``H_visible_from_infrared`` to search around; None: both cameras see the same field.
        search: how far around it; None: 10 % in scale, 6 degrees, 14 % of the width.

    Raises:
        CalibrationError: the pictures do not determine it; the message says why and what to do.
        UsageError: no pairs, sizes that differ between pairs or are too small, a start that is no homography.
    """
    used = _spread(pairs)
    visible_wh, infrared_wh = _sizes(used)
    first = _inverse_start(start, visible_wh, infrared_wh)
    levels = _levels(used, first)
    solutions = _solve(levels, first, search or SearchRange(), _pull(model))
    best = solutions[0]
    rival = _rival(solutions, visible_wh)
    scale = max(visible_wh) / _WORK_PX
    apart_px = _disagreement_px(levels[1], best, _pull(model))
    confidence = _confidence(best.score, rival, apart_px / scale)
    _refuse(best.score, rival, apart_px / scale, confidence)
    way = np.linalg.inv(best.H_infrared_from_visible)
    return Alignment(
        H_visible_from_infrared=way / way[2, 2],
        confidence=confidence,
        residual_px=math.hypot(apart_px, _SCENE_PX * scale / math.sqrt(len(used))),
        score=best.score,
        rival=rival,
        pairs=len(used),
    )


def _spread(pairs: Sequence[tuple[Gray, Gray]]) -> list[tuple[Gray, Gray]]:
    if not pairs:
        raise UsageError("aligning needs at least one pair of pictures, got none")
    count = min(len(pairs), _MOST_PAIRS)
    return [pairs[round(at)] for at in np.linspace(0, len(pairs) - 1, count)]


def _sizes(pairs: Sequence[tuple[Gray, Gray]]) -> tuple[SizeWH, SizeWH]:
    sizes = []
    for index, stream in enumerate(("visible", "infrared")):
        found = {pair[index].shape for pair in pairs}
        kinds = {str(pair[index].dtype) for pair in pairs}
        if len(found) > 1 or kinds != {"uint8"} or len(next(iter(found))) != 2:
            raise UsageError(f"{stream} pictures must be grey, 8 bits and of one size, got {found} {kinds}")
        height, width = next(iter(found))
        if min(height, width) < _LEAST_SIDE_PX:
            raise UsageError(f"{stream} pictures must be {_LEAST_SIDE_PX} px or larger, got {width}x{height}")
        sizes.append((width, height))
    return sizes[0], sizes[1]


def _inverse_start(start: npt.ArrayLike | None, visible_wh: SizeWH, infrared_wh: SizeWH) -> Floats:
    """H_infrared_from_visible to search around."""
    if start is None:
        across, down = (i / v for i, v in zip(infrared_wh, visible_wh, strict=True))
        scale = math.sqrt(across * down)
        middle = [((i - 1) - scale * (v - 1)) / 2 for i, v in zip(infrared_wh, visible_wh, strict=True)]
        return np.array([[scale, 0, middle[0]], [0, scale, middle[1]], [0, 0, 1.0]])
    way = np.asarray(start, np.float64)
    if way.shape != (3, 3) or not np.isfinite(way).all() or abs(np.linalg.det(way)) < 1e-12:
        raise UsageError(f"start must be an invertible 3x3 homography, got {way.tolist()}")
    return np.asarray(np.linalg.inv(way))


def _levels(pairs: Sequence[tuple[Gray, Gray]], start: Floats) -> tuple[Level, Level]:
    """A quarter and half of the working size; the infrared picture as fine as the visible one."""
    height, width = pairs[0][0].shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    here, right, below = mapped(start, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    infrared_per_visible = math.sqrt(abs(float(np.linalg.det(np.stack((right - here, below - here))))))
    full = max(1.0, max(width, height) / _WORK_PX)
    quarter, half = (Level.of(pairs, step * full, step * full * infrared_per_visible) for step in (4, 2))
    return quarter, half


def _pull(model: AlignmentModel) -> Floats:
    """How aspect, shear and perspective are held back at the working size; see :meth:`Evidence.climb`."""
    pull = np.zeros(PARAMETERS)
    pull[4:] = 1 / _PRIOR_PX**2
    if model == "affine":
        pull[6:] = np.inf
    return pull


def _solve(levels: tuple[Level, Level], start: Floats, search: SearchRange, pull: Floats) -> list[_Solution]:
    """All distinct solutions, best first."""
    quarter, half = levels
    solutions = []
    for guess in guesses(quarter, quarter.down(start), search, most=_GUESSES):
        solution = _Solution(quarter.up(guess.H_infrared_from_visible), np.zeros(PARAMETERS), 0.0)
        solution = _refined(quarter, solution, 6, (2.0, 1.0), pull=pull)
        solutions.append(_refined(half, solution, 8, (2.5, 1.0), pull=pull))
    solutions.sort(key=lambda one: -one.score)
    polished = _refined(half, solutions[0], 6, (1.0,), pull=pull)
    return [polished, *solutions[1:]]


def _refined(
    level: Level, solution: _Solution, reach: int, blurs_px: tuple[float, ...], *, pull: Floats
) -> _Solution:
    step = level.to_visible[0, 0]
    way = level.down(solution.H_infrared_from_visible)
    evidence = Evidence.of(level, way, block=_BLOCK if level.size_wh[0] > 200 else _BLOCK // 2, reach=reach)
    fit = evidence.climb(blurs_px, pull=pull, before=solution.spent / step)
    return _Solution(
        level.up(way @ homography(fit.parameters, level.size_wh)),
        solution.spent + fit.parameters * step,
        fit.score,
    )


def _rival(solutions: Sequence[_Solution], visible_wh: SizeWH) -> float:
    """Score of the best solution that is another one, as a share of the best's."""
    corners = corners_of(visible_wh)
    best = mapped(solutions[0].H_infrared_from_visible, corners)
    apart = _RIVAL_PX * max(visible_wh) / _WORK_PX
    others = [
        one.score
        for one in solutions[1:]
        if np.linalg.norm(mapped(one.H_infrared_from_visible, corners) - best, axis=1).mean() > apart
    ]
    return max(0.0, *others, 0.0) / max(solutions[0].score, 1e-6)


def _disagreement_px(level: Level, best: _Solution, pull: Floats) -> float:
    """Half of what separates the corners of fits to two halves of the blocks, over three ways to halve."""
    step = level.to_visible[0, 0]
    evidence = Evidence.of(level, level.down(best.H_infrared_from_visible), block=_BLOCK, reach=8)
    columns, rows = evidence.grid_wh
    row, column = (one.ravel() // 2 for one in np.mgrid[:rows, :columns])
    corners = corners_of(level.size_wh)
    apart = []
    for halves in ((row + column) % 2, row % 2, column % 2):
        ends = []
        for side in (0, 1):
            fit = evidence.climb((2.0, 1.0), pull=pull, before=best.spent / step, blocks=halves == side)
            ends.append(mapped(homography(fit.parameters, level.size_wh), corners))
        apart.append(np.linalg.norm(ends[0] - ends[1], axis=1).mean())
    return float(np.sqrt(np.mean(np.square(apart))) / 2 * step)


def _confidence(score: float, rival: float, error_px: float) -> float:
    """How likely it is right.

    Set by hand on msrs/train and roadscene: pictures of two different scenes score 0.025 to 0.036, with
    halves 4 to 10 px apart and rivals as good; pairs that were aligned score 0.06 and more, mostly with
    halves below 4 px.
    """
    logit = 1.5 + min(3.0, (score - 0.055) * 150) - 1.2 * max(0.0, error_px - 2.5) - 8 * max(0.0, rival - 0.6)
    return float(1 / (1 + np.exp(-logit)))


def _refuse(score: float, rival: float, error_px: float, confidence: float) -> None:
    """Say why, when the pictures do not determine it."""
    if confidence >= _LEAST_CONFIDENCE:
        return
    advice = "take pictures with more edges that both cameras see, or several pairs, or give --points"
    if score < _LEAST_SCORE:
        reason = f"the pictures have too little in common (score {score:.3f})"
    elif rival > 0.75:
        reason = f"another alignment fits {100 * rival:.0f} % as well"
    else:
        reason = f"parts of the pictures disagree by {error_px:.1f} px"
    raise CalibrationError(f"the pictures do not determine the alignment: {reason}; {advice}")
