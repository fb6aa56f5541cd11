"""The pose between the two cameras from views of one board, and with it the lenses that are not known yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamfuse.errors import CalibrationError
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import BoardView, Ids
from streamfuse.geometry.calibration.fit import Fit, fit_lens, place_views
from streamfuse.geometry.calibration.given import Deviations, shaken
from streamfuse.geometry.calibration.held_out import HeldOut, hold_out
from streamfuse.geometry.calibration.intrinsics import (
    WORST_RMS_PX,
    CameraCalibration,
    check_views,
    judge,
    summed_up,
)
from streamfuse.geometry.calibration.joint import Joint, Views, solve_jointly
from streamfuse.geometry.calibration.matching import match_poses
from streamfuse.geometry.calibration.posing import place_board
from streamfuse.geometry.calibration.sameness import copies_among
from streamfuse.geometry.calibration.sieve import rms
from streamfuse.geometry.camera import Camera, LensModel
from streamfuse.geometry.lenses import Lenses
from streamfuse.geometry.pose import Pose

__all__ = ["PairFit", "StereoCalibration", "ViewPair", "calibrate_stereo"]

ViewPair = tuple[BoardView | None, BoardView | None]
"""What the visible and the infrared picture of one moment show; None: no board was found."""

_FEWEST_PAIRS: Final = 3
_ONE_MOMENT: Final = (
    "both pictures of a pair must be of one moment (hold the board still), and the cameras must not move "
    "against each other"
)
_OPEN_DEG: Final = 1.5
"""A standard deviation of the rotation beyond this is no measurement. A few tenths may come from a principal
point that is as uncertain: then the two go together, and the pictures still fit onto each other."""
_OPEN_M: Final = 0.02
_OPEN_SHARE: Final = 0.2
"""As _OPEN_DEG, of the translation: so many metres, and this part of the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFit:
    """One pair of views."""

    name: str
    visible_rms_px: float
    """Of the board, placed by both views together, in the visible picture."""
    infrared_rms_px: float
    left_out: str = ""
    """Why it was not used; empty if it was."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StereoCalibration:
    """Both cameras and the pose between them."""

    visible: CameraCalibration
    """Without deviations where the camera was given."""
    infrared: CameraCalibration
    T_visible_from_infrared: Pose
    rotation_deviation_deg: float
    """Standard deviation, of the axis that is known worst."""
    translation_deviation_m: float
    """As ``rotation_deviation_deg``."""
    rms_px: float
    """Over the corners of both cameras in all pairs that were used, each in its own pixels."""
    pairs: tuple[PairFit, ...]
    """All pairs with the board in both pictures."""
    held_out: HeldOut | None = None
    """What it is worth on pairs that it has not seen; None with fewer than four."""

    @property
    def used(self) -> tuple[PairFit, ...]:
        """The pairs that the pose rests on."""
        return tuple(pair for pair in self.pairs if not pair.left_out)


def calibrate_stereo(
    pairs: Mapping[str, ViewPair],
    *,
    visible: Camera | None = None,
    infrared: Camera | None = None,
    model: LensModel = "pinhole",
    uncertainty: tuple[Deviations, Deviations] = ({}, {}),
) -> StereoCalibration:
    """Solve for the pose between the cameras.

    Args:
        pairs: What both pictures of each moment show, by its name. Where a camera is to be solved for, views
            without a partner count for it, too. Moments of one pose count once.
        visible: The camera, where it is known; it stays as it is.
        infrared: As ``visible``.
        model: Of the lenses that are not given.
        uncertainty: Standard deviations of the numbers of given lenses, visible and infrared: the deviations
            of the pose and of the registration hold what they add. Empty: such a lens counts as exact.

    Raises:
        CalibrationError: the views do not determine it, with what to do about it.
    """
    views = tuple(
        {name: view for name, pair in pairs.items() if (view := pair[side]) is not None} for side in (0, 1)
    )
    copies = copies_among(pairs)
    fits = tuple(
        _fit(stream, found, given, model, copies=copies)
        for stream, found, given in zip(StreamName, views, (visible, infrared), strict=True)
    )
    common = {name: (views[0][name], views[1][name]) for name in views[0] if name in views[1]}
    good = {name: pair for name, pair in common.items() if not _reason(name, fits)}
    _check_count(len(good), len(common), copies=sum(name in copies for name in common))
    match = match_poses(good, fits[0].camera, fits[1].camera)
    turned, infrared_fit = _turned(fits[1], views[1], match.orders)
    seen = (views[0], turned)
    joint = solve_jointly(
        seen, (fits[0], infrared_fit), start=match.T_visible_from_infrared, pairs=list(good)
    )
    _check_count(len(joint.pairs), len(common), copies=sum(name in copies for name in common))
    found = _judged(_summed_up(joint, seen, list(common), fits))
    moved = shaken(seen, joint, uncertainty)
    held = hold_out(seen, joint)
    return replace(_widened(found, moved), held_out=None if held is None else replace(held, shaken=moved))


def _turned(
    fit: Fit, views: Mapping[str, BoardView], orders: Mapping[str, Ids]
) -> tuple[dict[str, BoardView], Fit]:
    """The infrared views and their fit, with the corners of pairs in the order of the visible ones."""
    turned = {name: views[name].turned(order) for name, order in orders.items()}
    poses = {name: place_board(fit.camera, view)[0] for name, view in turned.items()}
    rows = {name: np.argsort(np.argsort(order)[views[name].ids]) for name, order in orders.items()}
    kept = {name: fit.kept[name][places] for name, places in rows.items()}  # ids of a view always rise
    return dict(views) | turned, replace(fit, poses=fit.poses | poses, kept=fit.kept | kept)


def _fit(
    stream: StreamName,
    views: Mapping[str, BoardView],
    given: Camera | None,
    model: LensModel,
    *,
    copies: Mapping[str, str],
) -> Fit:
    fresh = {name: view for name, view in views.items() if name not in copies}
    repeated = {name: copies[name] for name in views if name in copies}
    try:
        if given is None:
            check_views(fresh, copies=len(repeated))
            fit = fit_lens(fresh, model=model)
            judge(summed_up(fit, fresh))
        else:
            fit = place_views(fresh, given)
        return replace(fit, left_out=fit.left_out | repeated)
    except CalibrationError as error:
        raise CalibrationError(f"{stream}: {error}") from error


def _reason(name: str, fits: Sequence[Fit]) -> str:
    """Why a pair cannot be used, by what each camera says alone, or both."""
    reasons = {fit.left_out.get(name) for fit in fits}
    if len(reasons) == 1:
        return reasons.pop() or ""
    found = (
        f"{stream}: {fit.left_out[name]}"
        for stream, fit in zip(StreamName, fits, strict=True)
        if name in fit.left_out
    )
    return "; ".join(found)


def _check_count(good: int, count: int, *, copies: int) -> None:
    total = count - copies
    if total < _FEWEST_PAIRS:
        poses = f", but in only {total} different pose{'' if total == 1 else 's'}" if copies else ""
        raise CalibrationError(
            f"the board was found in both pictures of {count} pair{'' if count == 1 else 's'}{poses}, at "
            f"least {_FEWEST_PAIRS} are needed; take more, with the whole board in both pictures"
        )
    if good < _FEWEST_PAIRS or good <= total / 2:
        raise CalibrationError(
            f"only {good} of {total} pairs agree on one pose between the cameras; {_ONE_MOMENT}"
        )


def _summed_up(joint: Joint, views: Views, common: Sequence[str], alone: Sequence[Fit]) -> StereoCalibration:
    cameras = [summed_up(fit, found) for fit, found in zip(joint.fits, views, strict=True)]
    fits = [{view.name: view for view in camera.views} for camera in cameras]
    pairs = tuple(
        PairFit(
            name=name,
            visible_rms_px=fits[0][name].rms_px,
            infrared_rms_px=fits[1][name].rms_px,
            left_out=_reason(name, alone) or joint.left_out.get(name, ""),
        )
        for name in common
    )
    offs = [found[name].offs_px[found[name].kept] for found in fits for name in joint.pairs]
    return StereoCalibration(
        visible=cameras[0],
        infrared=cameras[1],
        T_visible_from_infrared=joint.T_visible_from_infrared,
        rotation_deviation_deg=math.degrees(joint.deviations[:3].max()),
        translation_deviation_m=float(joint.deviations[3:].max()),
        rms_px=rms(np.concatenate(offs)),
        pairs=pairs,
    )


def _widened(found: StereoCalibration, moved: Sequence[Lenses]) -> StereoCalibration:
    """With what given lenses add to the deviations of the pose."""
    whole = found.T_visible_from_infrared
    changes = [whole.inverse @ rig.T_visible_from_infrared for rig in moved]
    turned = [np.abs(change.rotation_vector).max() for change in changes]
    shifts = [np.subtract(rig.T_visible_from_infrared.translation_m, whole.translation_m) for rig in moved]
    return replace(
        found,
        rotation_deviation_deg=math.hypot(found.rotation_deviation_deg, *np.degrees(turned)),
        translation_deviation_m=math.hypot(
            found.translation_deviation_m, *(float(np.abs(shift).max()) for shift in shifts)
        ),
    )


def _judged(found: StereoCalibration) -> StereoCalibration:
    if found.rms_px > WORST_RMS_PX:
        raise CalibrationError(
            f"the pairs agree on a pose between the cameras only within {found.rms_px:.0f} px; {_ONE_MOMENT}"
        )
    angle_deg, shift_m = found.rotation_deviation_deg, found.translation_deviation_m
    if angle_deg <= _OPEN_DEG and shift_m <= _OPEN_M + _OPEN_SHARE * found.T_visible_from_infrared.distance_m:
        return found
    raise CalibrationError(
        f"the views leave the pose between the cameras open by {angle_deg:.2f} degrees and "
        f"{1e3 * shift_m:.0f} mm; take more pairs, with the board larger in both pictures and tilted"
    )
