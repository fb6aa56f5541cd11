"""The rig of a run: what it registers at which distance, what both cameras see, and what it lacks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from streamfuse.config.pipeline import RegistrationConfig
from streamfuse.config.rig import Rig, RigConfig, check_sizes
from streamfuse.core.bracket import Misfit
from streamfuse.errors import UsageError
from streamfuse.geometry.field import Field
from streamfuse.geometry.rig import RigGeometry
from streamfuse.geometry.warp import Registration

__all__ = [
    "MENDED",
    "bumped",
    "check_distance",
    "check_streams",
    "correction_ends",
    "describe_rig",
    "registration_of",
]

SizeWH = tuple[int, int]

MENDED: Final = "the cameras sit as the rig says again"

_ALIGN: Final = "`streamfuse calibrate align --visible … --infrared … --out RIG`"
_LEAST_SIDE_PX: Final = 64
"""A common field smaller than this is a wrong rig rather than a small picture."""


def registration_of(
    rig: Rig,
    wanted: RegistrationConfig,
    *,
    visible_size_wh: SizeWH,
    infrared_size_wh: SizeWH,
    field: Field | None = None,
    moved: Misfit | None = None,
) -> Registration:
    """The way from infrared to visible pixels at the distance that a pipeline asks for.

    Args:
        rig: of the pipeline.
        wanted: its block.
        visible_size_wh: of the visible images.
        infrared_size_wh: of the infrared ones.
        field: what is to be shown of the visible images; None: what the pipeline asks for.
        moved: by how much more than the rig says the infrared image is to be moved.

    Raises:
        UsageError: sizes or distance are not what the rig is good for; or the cameras have hardly anything in
            common.
    """
    check_distance(rig, wanted)
    known: Rig | RigGeometry = rig
    if moved is not None:
        move = [[1.0, 0.0, moved.x_px], [0.0, 1.0, moved.y_px], [0.0, 0.0, 1.0]]
        known = RigGeometry.of(rig).corrected(move)
    registration = Registration.of(
        known,
        visible_size_wh=visible_size_wh,
        infrared_size_wh=infrared_size_wh,
        distance_m=wanted.plane_m,
        crop=wanted.crop if field is None else field,
    )
    width, height = registration.size_wh
    if min(width, height) < min(_LEAST_SIDE_PX, *visible_size_wh):
        raise UsageError(
            f"registration.crop: both cameras see only {width}x{height} pixels of the visible image; the rig "
            "cannot be right, run `streamfuse calibrate align`"
        )
    return registration


def check_streams(rig: Rig, visible_wh: SizeWH, infrared_wh: SizeWH) -> None:
    """Refuse sizes that the rig was not made for, or that differ without a rig.

    Raises:
        UsageError: with the sizes, got and expected.
    """
    if rig.is_identity and visible_wh != infrared_wh:
        raise UsageError(
            f"rig: visible is {_pixels(visible_wh)} and infrared is {_pixels(infrared_wh)}; streams of "
            "different size need a rig file (`rig: my-rig.yaml`), `identity` is for registered streams"
        )
    check_sizes(
        rig,
        visible_wh=visible_wh,
        infrared_wh=infrared_wh,
        mend="use a rig made for these cameras, or `rig: identity` if the streams are already registered",
    )


def check_distance(rig: Rig, wanted: RegistrationConfig) -> None:
    """Make sure that the rig knows how the cameras see another distance than its own.

    Raises:
        UsageError: it does not.
    """
    config, distance_m = rig.config, wanted.plane_m
    if distance_m is None or config is None or config.has_lenses_and_pose or len(config.planes) > 1:
        return
    known_m = config.planes[0].distance_m
    if distance_m != known_m:
        raise UsageError(
            f"registration.distance_m: the rig knows one plane only, at {_metres(known_m)}; leave the key "
            f"out, or measure another plane with `streamfuse calibrate align --distance {distance_m:g}`"
        )


def describe_rig(name: str, rig: Rig, wanted: RegistrationConfig) -> str:
    """A rig in one line: what it knows, what is used of it, and what it lacks."""
    config = rig.config
    if config is None or config.visible is None or config.infrared is None:
        return f"{name}: the streams are taken as registered already"
    check_distance(rig, wanted)
    registration = registration_of(
        rig, wanted, visible_size_wh=config.visible.size_wh, infrared_size_wh=config.infrared.size_wh
    )
    distance_m = RigGeometry.of(rig).usual_distance_m if wanted.plane_m is None else wanted.plane_m
    x, y, width, height = registration.field_xywh
    seen = (
        f"cropped to {width}x{height} at {x}, {y}, which both cameras see"
        if wanted.crop
        else f"infrared sees {float(registration.seen.mean()):.0%} of the visible picture"
    )
    known = _known(config, distance_m)
    lacking = "; ".join(_lacking(config))
    words = f"{name}: registered at {_metres(distance_m)}{known}, {seen}"
    return words + (f"; lacks {lacking}" if lacking else "")


def bumped(misfit: Misfit) -> str:
    """What people are told of a bumped bracket."""
    return (
        f"the cameras do not sit as the rig says: the infrared image has to move {misfit} to fit; "
        f"mount them as they were, or measure anew: {_ALIGN}"
    )


def correction_ends(applied: Misfit) -> str:
    """What people are told when a run with a correction is over."""
    return (
        f"the infrared image was moved {applied} beyond the rig, which stays as it is; to keep that, "
        f"measure anew: {_ALIGN}"
    )


def _known(config: RigConfig, distance_m: float) -> str:
    """How surely the registration is known there, where the calibration has told it."""
    notes = [plane.made_by for plane in config.planes if plane.distance_m == distance_m]
    told = [
        note.uncertainty["registration_px"]
        for note in notes
        if note and "registration_px" in note.uncertainty
    ]
    return f" (known to ± {told[0]:.1g} px)" if told else ""


def _lacking(config: RigConfig) -> Iterator[str]:
    """What more a rig file could hold, with the command that measures it."""
    if not config.has_lenses_and_pose:
        yield "lenses and pose (`streamfuse calibrate stereo`): other distances are only known from planes"
        if len(config.planes) == 1:
            yield "a second plane (`streamfuse calibrate align --distance …`): elsewhere objects are off"
    if config.residual_px is None and config.confidence is None:
        yield "a measure of its error (`streamfuse calibrate report`)"


def _pixels(size_wh: SizeWH) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"


def _metres(distance_m: float) -> str:
    return "infinity" if math.isinf(distance_m) else f"{distance_m:g} m"
