"""Both cameras, the pose between them and the poses of the board, solved for together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import BoardView, Floats
from streamfuse.geometry.calibration.bundle import Bundle, Observation, Solution, adjust, residuals
from streamfuse.geometry.calibration.fit import Fit, deviations, observe
from streamfuse.geometry.calibration.posing import numbers_of, pose_of
from streamfuse.geometry.calibration.sieve import rms, sieve
from streamfuse.geometry.lenses import Lenses
from streamfuse.geometry.pose import Pose

__all__ = ["Joint", "Views", "solve_again", "solve_jointly"]

Fits = tuple[Fit, Fit]
Views = tuple[Mapping[str, BoardView], Mapping[str, BoardView]]
"""Of the visible and of the infrared camera, by the name of the moment."""

_ROUNDS: Final = 3
_ROBUST: Final = 3.0
"""In standard deviations of a corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """What both cameras agree on."""

    fits: Fits
    """Of the visible and the infrared camera, with their boards where both place them."""
    T_visible_from_infrared: Pose
    deviations: Floats
    """Standard deviations of the rotation vector (radians) and the translation (metres)."""
    pairs: tuple[str, ...]
    """The moments that were used."""
    left_out: dict[str, str]
    """Moments that contradict the others, with the reason."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """A pose of the board, and which cameras tell about it."""

    name: str
    cameras: tuple[int, ...]


def solve_jointly(views: Views, fits: Fits, *, start: Pose, pairs: Sequence[str]) -> Joint:
    """The best of all: lenses that were solved for may change again, those that were given stay.

    They stay in the search for wrong pairs, too: a lens that may bend hides what is wrong.

    Args:
        views: With the corners of a pair in one order.
        fits: Each camera on its own.
        start: ``T_visible_from_infrared``, roughly.
        pairs: Moments that both cameras have seen well.
    """
    used, left_out = list(pairs), dict[str, str]()
    for _ in range(_ROUNDS):
        moments = _moments(fits, used)
        seen = _observed(moments, views, fits)
        bundle = adjust(_begin(moments, fits, start), seen, free={}, robust_px=_ROBUST).bundle
        wrong, fits_now = _sieved(bundle, moments, views, fits)
        if not wrong or len(wrong) == len(used):
            break
        left_out |= wrong
        used = [name for name in used if name not in wrong]
    seen = _observed(moments, views, fits_now)
    solution = adjust(bundle, seen, free={camera: fit.free for camera, fit in enumerate(fits)})
    return _told(solution, moments, fits_now, left_out)


def solve_again(views: Views, joint: Joint, fits: Fits) -> Lenses:
    """The same pairs and corners with other lenses: what is solved for finds its new place."""
    moments = _moments(fits, joint.pairs)
    start = _begin(moments, fits, joint.T_visible_from_infrared)
    free = {camera: fit.free for camera, fit in enumerate(fits)}
    bundle = adjust(start, _observed(moments, views, fits), free=free).bundle
    assert bundle.offset is not None
    visible, infrared = bundle.cameras
    return Lenses(visible=visible, infrared=infrared, T_visible_from_infrared=pose_of(bundle.offset))


def _moments(fits: Fits, used: Sequence[str]) -> list[_Moment]:
    """The pairs, and for the sake of a lens that is solved for the views that only its camera has."""
    alone = (
        _Moment(name, (camera,))
        for camera, fit in enumerate(fits)
        if fit.free
        for name in fit.kept
        if name not in used
    )
    return [*(_Moment(name, (0, 1)) for name in used), *alone]


def _begin(moments: Sequence[_Moment], fits: Fits, start: Pose) -> Bundle:
    back = start.inverse
    poses = [
        fits[1].poses[moment.name]
        if 1 in moment.cameras
        else numbers_of(back @ pose_of(fits[0].poses[moment.name]))
        for moment in moments
    ]
    return Bundle(cameras=tuple(fit.camera for fit in fits), poses=np.array(poses), offset=numbers_of(start))


def _observed(moments: Sequence[_Moment], views: Views, fits: Fits) -> list[Observation]:
    return [
        observe(
            views[camera][moment.name],
            fits[camera].kept[moment.name],
            pose=index,
            camera=camera,
            sigma_px=fits[camera].sigma_px,
        )
        for index, moment in enumerate(moments)
        for camera in moment.cameras
    ]


def _sieved(
    bundle: Bundle, moments: Sequence[_Moment], views: Views, fits: Fits
) -> tuple[dict[str, str], Fits]:
    """The pairs in which the cameras contradict each other; the fits with the good corners of the others."""
    wrong: dict[str, str] = {}
    found = []
    for camera, (stream, fit) in enumerate(zip(StreamName, fits, strict=True)):
        offs = {
            moment.name: residuals(bundle, observe(views[camera][moment.name], pose=index, camera=camera))
            for index, moment in enumerate(moments)
            if len(moment.cameras) == 2
        }
        sieved = sieve(offs)
        usual = float(np.median([rms(off) for off in offs.values()]))
        wrong |= {
            name: f"the cameras put the board at different places (RMS in {stream} {rms(offs[name]):.1f} px, "
            f"usual {usual:.2f}): it moved between the two pictures, or was found wrongly in one"
            for name in sieved.left_out
        }
        found.append(replace(fit, kept=fit.kept | sieved.kept))
    return wrong, (found[0], found[1])


def _told(solution: Solution, moments: Sequence[_Moment], fits: Fits, left_out: dict[str, str]) -> Joint:
    bundle = solution.bundle
    assert bundle.offset is not None
    offset = pose_of(bundle.offset)
    offset = Pose.from_matrix(offset.rotation, offset.translation)  # half a turn at most
    corners = sum(int(fits[camera].kept[each.name].sum()) for each in moments for camera in each.cameras)
    spare = 2 * corners - 6 * len(moments) - len(solution.names)
    sigma = math.sqrt(solution.cost / max(spare, 1))
    ours = {each.name: pose for each, pose in zip(moments, bundle.poses, strict=True) if 1 in each.cameras}
    theirs = {
        each.name: numbers_of(offset @ pose_of(pose))
        for each, pose in zip(moments, bundle.poses, strict=True)
        if 0 in each.cameras
    }
    told = [
        replace(
            fit,
            camera=bundle.cameras[camera],
            deviations=deviations(solution, sigma=sigma, camera=camera),
            poses=fit.poses | poses,
        )
        for camera, (fit, poses) in enumerate(zip(fits, (theirs, ours), strict=True))
    ]
    return Joint(
        fits=(told[0], told[1]),
        T_visible_from_infrared=offset,
        deviations=sigma * np.sqrt(np.clip(np.diag(solution.covariance)[-6:], 0, None)),
        pairs=tuple(each.name for each in moments if len(each.cameras) == 2),
        left_out=left_out,
    )
