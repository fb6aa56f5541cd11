"""What a calibration of two cameras has to say: to the rig file, and to a person."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from streamfuse.config.rig import MadeBy, PictureNote, PlaneConfig, RigConfig
from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.calibration.stereo import PairFit, StereoCalibration
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.lenses import plane_homography
from streamfuse.geometry.rig import camera_config, pose_config
from streamfuse.jobs.calibrating.findings import advice, lens_note
from streamfuse.jobs.calibrating.provenance import made_by

__all__ = ["held_out_dict", "notes_on", "with_cameras", "with_planes"]

Given = tuple[Camera | None, Camera | None]
Empty = Mapping[StreamName, Mapping[str, str]]

_COMMAND: Final = "calibrate stereo"
_FAIR_COUNT: Final = 6
_FAIR_PX: Final = 3.0
"""Of a registration: objects that lie so far from themselves still fuse to one."""
_WIDE_TURN_DEG: Final = 30.0
"""Cameras of a rig look the same way; more than this is worth a word."""


def with_cameras(
    rig: RigConfig, found: StereoCalibration, *, board: Board, given: Given, empty: Empty
) -> RigConfig:
    """The rig with the pose, and the lenses that it did not have.

    Args:
        rig: Of the same sizes.
        found: The calibration.
        board: That was looked for.
        given: The lenses that the rig had.
        empty: Pictures in which no board was found, or that cannot be read, with the reason.
    """
    lenses = zip(StreamName, (found.visible, found.infrared), given, strict=True)
    cameras = {
        str(stream): camera_config(
            solved.camera, made_by=lens_note(_COMMAND, board, solved, unused=empty[stream])
        )
        for stream, solved, lens in lenses
        if lens is None
    }
    pose = pose_config(found.T_visible_from_infrared, made_by=_pose_note(found, board, empty))
    residual_px = _visible_rms(found) if found.held_out is None else found.held_out.median_px
    return rig.grown(**cameras, T_visible_from_infrared=pose, residual_px=round(residual_px, 3))


def with_planes(
    rig: RigConfig, found: StereoCalibration, distances_m: Iterable[float], *, board: Board
) -> RigConfig:
    """The rig with the registration at some distances, each with how surely it is known."""
    pose = found.T_visible_from_infrared
    for distance_m in distances_m:
        matrix = plane_homography(found.visible.camera, found.infrared.camera, pose, distance_m)
        spread_px = None if found.held_out is None else found.held_out.registration_px(distance_m)
        note = made_by(
            _COMMAND,
            board=board.spec,
            uncertainty={} if spread_px is None else {"registration_px": spread_px},
        )
        plane = PlaneConfig(distance_m=distance_m, H_visible_from_infrared=matrix.tolist(), made_by=note)
        rig = rig.with_plane(plane)
    return rig


def held_out_dict(found: StereoCalibration, distances_m: Iterable[float]) -> dict[str, Any] | None:
    """For JSON: what the calibration is worth on pairs that it has not seen; None where that is not known."""
    held = found.held_out
    if held is None:
        return None
    return {
        "median_px": held.median_px,
        "groups": len(held.parts),
        "registration_px": {f"{each:g}": held.registration_px(each) for each in distances_m},
    }


def notes_on(found: StereoCalibration, *, given: Given, planes: Iterable[float]) -> Iterator[str]:
    """What a person should know, a sentence each."""
    pose = found.T_visible_from_infrared
    yield from _held_out(found, planes)
    yield f"The cameras are {100 * pose.distance_m:.1f} cm apart by this; does a ruler agree?"
    if pose.angle_deg > _WIDE_TURN_DEG:
        yield (
            f"They are turned against each other by {pose.angle_deg:.0f} degrees; if they look the same way, "
            "the corners were taken for each other: use a board that does not look the same after half a "
            "turn."
        )
    if len(found.used) < _FAIR_COUNT:
        yield f"{len(found.used)} pairs were used; ten or more make outliers easier to tell."
    for stream, solved, lens in zip(StreamName, (found.visible, found.infrared), given, strict=True):
        if lens is None:
            yield from (f"{stream.capitalize()}: {sentence}" for sentence in advice(solved))


def _held_out(found: StereoCalibration, planes: Iterable[float]) -> Iterator[str]:
    held = found.held_out
    if held is None:
        return
    yield (
        f"A pair that was held out is predicted within {held.median_px:.2f} visible px (median of "
        f"{len(held.miss_px)}, each held out once): near the board's distance, judge the rig by this and not "
        "by the RMS."
    )
    spreads = {each: spread for each in planes if (spread := held.registration_px(each)) is not None}
    if not spreads:
        return
    told = ", ".join(f"{_place(each)} ± {spread:.2g} px" for each, spread in spreads.items())
    farthest = max(view.board_pose.translation_m[2] for view in found.visible.used)
    sentence = f"So surely the pictures lie on each other: {told}."
    if max(spreads.values()) > _FAIR_PX:
        sentence += (
            f" The board was {farthest:.1f} m away at most; take pairs farther away, too, or run `streamfuse "
            "calibrate align --distance …` on pictures of your scene."
        )
    yield sentence


def _place(distance_m: float) -> str:
    return "far away" if math.isinf(distance_m) else f"at {distance_m:g} m"


def _pose_note(found: StereoCalibration, board: Board, empty: Empty) -> MadeBy:
    held = found.held_out
    note = made_by(
        _COMMAND,
        board=board.spec,
        used=[pair.name for pair in found.used],
        left_out={pair.name: pair.left_out for pair in found.pairs if pair.left_out} | _half_seen(empty),
        residuals={
            "rms_px": found.rms_px,
            "visible_rms_px": _visible_rms(found),
            **({} if held is None else {"held_out_median_px": held.median_px}),
        },
        uncertainty={
            "rotation_deg": found.rotation_deviation_deg,
            "translation_m": found.translation_deviation_m,
        },
    )
    misses = {} if held is None else held.miss_px
    return note.model_copy(update={"pictures": tuple(_pair_note(each, misses) for each in found.pairs)})


def _half_seen(empty: Empty) -> dict[str, str]:
    reasons: dict[str, dict[str, list[str]]] = {}
    for stream, pictures in empty.items():
        for name, reason in pictures.items():
            reasons.setdefault(name, {}).setdefault(reason, []).append(str(stream))
    return {
        name: "; ".join(f"{reason} in {' and '.join(streams)}" for reason, streams in found.items())
        for name, found in reasons.items()
    }


def _pair_note(pair: PairFit, misses: Mapping[str, float]) -> PictureNote:
    miss_px = misses.get(pair.name)
    return PictureNote(
        name=pair.name,
        visible_rms_px=round(pair.visible_rms_px, 3),
        infrared_rms_px=round(pair.infrared_rms_px, 3),
        held_out_px=None if miss_px is None else round(miss_px, 3),
    )


def _visible_rms(found: StereoCalibration) -> float:
    used = found.used
    return math.sqrt(sum(pair.visible_rms_px**2 for pair in used) / len(used))
