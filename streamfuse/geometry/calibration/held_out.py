"""What a calibration of two cameras is worth on pictures that it has not seen.

The corners of one picture err together (the warmth of the board spreads, its sheet bends), so deviations that
count them as independent are too small, and the RMS is of corners that were fitted to. Here the pair is the
unit: groups of pairs are held out in turn and all is solved again without them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamfuse.geometry.calibration.fit import Fit
from streamfuse.geometry.calibration.joint import Joint, Views, solve_jointly
from streamfuse.geometry.calibration.lens import project
from streamfuse.geometry.calibration.posing import numbers_of, place_board, pose_of
from streamfuse.geometry.calibration.sieve import rms
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.lenses import Lenses, within

__all__ = ["HeldOut", "hold_out"]

_MOST_GROUPS: Final = 10
"""Each costs a solution; up to so many pairs, each pair is a group of its own."""
_FEWEST_LEFT: Final = 3
"""Pairs that must be left to solve from."""
_GRID_WH: Final = (9, 7)
"""Infrared pixels at which registrations are compared."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Solutions that have not seen all pairs."""

    miss_px: dict[str, float]
    """Of each pair, the RMS between the visible corners and where the other pairs say they are: the board is
    placed by the infrared picture alone, and seen through the pose between the cameras. Visible pixels."""
    whole: Lenses
    """The solution of all pairs."""
    parts: tuple[Lenses, ...]
    """Those without one group each."""
    shaken: tuple[Lenses, ...] = ()
    """Those with a number of a given lens moved by its standard deviation."""

    @property
    def median_px(self) -> float:
        """Of :attr:`miss_px`: what to expect of a picture that was not calibrated with."""
        return float(np.median(list(self.miss_px.values())))

    def registration_px(self, distance_m: float) -> float | None:
        """Standard deviation of the registration for objects at a distance: RMS over the common field.

        Visible pixels, by the delete-a-group jackknife (Efron, Tibshirani: An Introduction to the Bootstrap,
        1993, ch. 11), with what the uncertainty of given lenses adds. It shows what an RMS cannot: how surely
        the pose reaches farther than the board was.
        None where the cameras see nothing in common.
        """
        width, height = self.whole.infrared.size_wh
        across, down = (
            np.linspace(0, side - 1, n) for side, n in zip((width, height), _GRID_WH, strict=True)
        )
        grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        common = within(self.whole.visible_from_infrared(grid, distance_m), self.whole.visible.size_wh)
        places, moved = (
            np.array([each.visible_from_infrared(grid[common], distance_m) for each in rigs])
            for rigs in (self.parts, (self.whole, *self.shaken))
        )
        if not common.any() or not (np.isfinite(places).all() and np.isfinite(moved).all()):
            return None
        groups = len(self.parts)
        spread = (groups - 1) / groups * np.sum((places - places.mean(axis=0)) ** 2, axis=0)
        spread = spread + np.sum((moved - moved[0]) ** 2, axis=0)
        return math.sqrt(float(spread.sum(axis=-1).mean()))


def hold_out(views: Views, joint: Joint) -> HeldOut | None:
    """Solve again without a group of pairs, for each group; None if there are too few pairs for that.

    Args:
        views: With the corners of a pair in one order.
        joint: The solution of all of them.
    """
    count = min(_MOST_GROUPS, len(joint.pairs))
    groups = [joint.pairs[first::count] for first in range(count)]
    if len(joint.pairs) - max(map(len, groups), default=0) < _FEWEST_LEFT:
        return None
    miss_px: dict[str, float] = {}
    parts = []
    for group in groups:
        part = _solved_without(group, views, joint)
        miss_px |= {name: _miss_px(name, views, joint.fits, part) for name in group}
        parts.append(part)
    return HeldOut(
        miss_px={name: miss_px[name] for name in joint.pairs},
        whole=_lenses([fit.camera for fit in joint.fits], joint),
        parts=tuple(parts),
    )


def _solved_without(group: Collection[str], views: Views, joint: Joint) -> Lenses:
    visible, infrared = (_without(fit, group) for fit in joint.fits)
    rest = [name for name in joint.pairs if name not in group]
    again = solve_jointly(views, (visible, infrared), start=joint.T_visible_from_infrared, pairs=rest)
    return _lenses([fit.camera for fit in again.fits], again)


def _lenses(cameras: Iterable[Camera], joint: Joint) -> Lenses:
    visible, infrared = cameras
    return Lenses(visible=visible, infrared=infrared, T_visible_from_infrared=joint.T_visible_from_infrared)


def _without(fit: Fit, group: Collection[str]) -> Fit:
    return replace(
        fit,
        poses={name: pose for name, pose in fit.poses.items() if name not in group},
        kept={name: kept for name, kept in fit.kept.items() if name not in group},
    )


def _miss_px(name: str, views: Views, fits: Sequence[Fit], part: Lenses) -> float:
    visible, infrared = (
        replace(found[name], ids=found[name].ids[good], pixels=found[name].pixels[good])
        for found, good in zip(views, (fit.kept[name] for fit in fits), strict=True)
    )
    board = part.T_visible_from_infrared @ pose_of(place_board(part.infrared, infrared)[0])
    expected = project(part.visible, numbers_of(board), visible.object_points)[0]
    return rms(visible.pixels - expected)
