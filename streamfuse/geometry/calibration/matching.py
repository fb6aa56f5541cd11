"""Which corner is which in both cameras, and roughly how these stand to each other.

A board that looks the same after half a turn gives each pair of views two meanings. But the cameras do not
move against each other: only the right meanings of differently held boards agree on one pose between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamfuse.geometry.boards.board import BoardView, Ids
from streamfuse.geometry.calibration.lens import project
from streamfuse.geometry.calibration.posing import numbers_of, place_board, pose_of
from streamfuse.geometry.calibration.sieve import rms
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.pose import Pose

__all__ = ["Match", "match_poses"]

_TRIED: Final = 12
"""Pairs, spread over all, whose own answers are held against all others."""
_WORST_PX: Final = 20.0
_UPRIGHT_PX: Final = 0.5
"""What half a turn between the cameras costs: it decides where nothing else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What the pairs agree on."""

    T_visible_from_infrared: Pose
    orders: dict[str, Ids]
    """Of each pair, the order (of ``board.turns``) in which the infrared corners are those of the visible "
    "view."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """An infrared view with its corners in one of the orders that the board allows."""

    order: Ids
    board_pose: Pose


def match_poses(pairs: Mapping[str, tuple[BoardView, BoardView]], visible: Camera, infrared: Camera) -> Match:
    """The pose and the orders of corners under which the most pairs agree."""
    meanings = {name: _meanings(infrared, view) for name, (_, view) in pairs.items()}
    names = list(pairs)
    tried = [names[round(place)] for place in np.linspace(0, len(names) - 1, min(_TRIED, len(names)))]

    def miss(pose: Pose, name: str, meaning: _Meaning) -> float:
        board = numbers_of(pose @ meaning.board_pose)
        view = pairs[name][0]
        return min(rms(view.pixels - project(visible, board, view.object_points)[0]), _WORST_PX)

    def cost(pose: Pose) -> float:
        agreed = sum(min(miss(pose, name, each) for each in meanings[name]) for name in names)
        return agreed + _UPRIGHT_PX * pose.angle_deg / 180

    candidates = [
        pose_of(place_board(visible, pairs[name][0])[0]) @ each.board_pose.inverse
        for name in tried
        for each in meanings[name]
    ]
    best = min(candidates, key=cost)
    return Match(
        T_visible_from_infrared=best,
        orders={
            name: min(found, key=lambda each, name=name: miss(best, name, each)).order  # type: ignore[misc]
            for name, found in meanings.items()
        },
    )


def _meanings(camera: Camera, view: BoardView) -> list[_Meaning]:
    return [
        _Meaning(order, pose_of(place_board(camera, view.turned(order))[0])) for order in view.board.turns
    ]
