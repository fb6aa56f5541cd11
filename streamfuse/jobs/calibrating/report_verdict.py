"""What a rig file is good for, in words: at which distances, how surely, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from streamfuse.config.rig import CameraConfig, MadeBy, RigConfig
from streamfuse.jobs.calibrating.report_measuring import Measured
from streamfuse.jobs.calibrating.report_parallax import LIMITS_PX, Parallax

__all__ = ["has_time", "metres", "missing", "next_step", "span", "verdict"]

_GOOD_PX: Final = 1.5
_FAIR_PX: Final = 5.0
_SURE: Final = 0.5
_MOSTLY: Final = 0.7
"""Share of the error, from which the shift in the middle of the picture explains it."""
_CROSSING_S: Final = 2.0
"""How fast something moves in the example of what a time offset does: across the picture in so long."""


def missing(rig: RigConfig) -> Iterator[str]:
    """What the file does not hold, with the command that measures it."""
    for name in ("visible", "infrared"):
        camera: CameraConfig | None = getattr(rig, name)
        if camera is None or camera.intrinsics is None:
            yield f"The {name} lens: `streamfuse calibrate intrinsics --camera {name}`."
    if rig.T_visible_from_infrared is None:
        yield "The pose between the cameras: `streamfuse calibrate stereo`."
    if not rig.planes:
        yield "A plane of registration: `streamfuse calibrate align`, or `stereo`."
    if not has_time(rig):
        yield "The time offset: `streamfuse calibrate time`."


def has_time(rig: RigConfig) -> bool:
    """Whether the time offset was measured, or written by hand."""
    note = rig.made_by
    return bool(rig.time_offset_ms) or (note is not None and "time_offset" in (note.model_extra or {}))


def verdict(
    rig: RigConfig,
    *,
    field_share: float | None,
    parallaxes: Sequence[Parallax],
    measured: Measured | None,
) -> Iterator[str]:
    """Sentence after sentence, the most important first.

    Args:
        rig: as far as it has grown.
        field_share: of the visible picture, what both cameras see; None: nothing, or nothing tells.
        parallaxes: of the planes, the usual one first.
        measured: on pictures, where there are some.
    """
    if not rig.planes and not rig.has_lenses_and_pose:
        yield "Not ready to run: nothing tells how one picture lies on the other."
        return
    if field_share is None:
        yield "Not ready to run: the cameras see nothing in common."
        return
    worst_px = max(_registration_px(rig) or 0.0, 0.0 if measured is None else measured.known_px)
    ready = "Ready to run." if worst_px <= _FAIR_PX else "It can run, but not well yet: see why below."
    yield f"{ready} Both cameras see {100 * field_share:.0f} % of the visible picture."
    yield from _on_pictures(measured)
    yield from _sureness(rig)
    if parallaxes:
        yield _distances(parallaxes[0], choose=rig.has_lenses_and_pose or len(rig.planes) > 1)
    yield _lenses(rig)
    yield _time(rig)


def next_step(rig: RigConfig, measured: Measured | None) -> str:
    """The one command to run now."""
    if not rig.planes and not rig.has_lenses_and_pose:
        return "`streamfuse calibrate align` with pictures of the scene, or `stereo` with a board."
    wrong = measured is not None and measured.known_px > _FAIR_PX
    if wrong and measured is not None and measured.scene_m is not None and _is_elsewhere(measured):
        return f"this report with `--distance {measured.scene_m:.3g}`: there it may do."
    if wrong or (_registration_px(rig) or 0.0) > _FAIR_PX:
        return (
            "`streamfuse calibrate align --distance …` with pictures of the scene: it lays them on each "
            "other at the distance that matters."
        )
    if not has_time(rig):
        return "`streamfuse calibrate time` with a recording of something that moves."
    return "`streamfuse run` with a pipeline that names this file as its `rig`."


def metres(distance_m: float) -> str:
    """A distance as people say it."""
    return "infinity" if math.isinf(distance_m) else f"{distance_m:.3g} m"


def span(parallax: Parallax, limit_px: float) -> str:
    """The distances with at most this error."""
    near, far = parallax.range_m(limit_px)
    return f"farther than {metres(near)}" if math.isinf(far) else f"{metres(near)} to {metres(far)}"


def _on_pictures(measured: Measured | None) -> Iterator[str]:
    if measured is None:
        return
    where = f"On these pictures, registered for {metres(measured.distance_m)},"
    if measured.refused:
        yield f"{where} the error could not be measured: {measured.refused}."
        return
    right, down = measured.shift_px
    aside, along = "right" if right >= 0 else "left", "down" if down >= 0 else "up"
    yield (
        f"{where} the images lie {measured.off_px:.1f} px from each other (± {measured.uncertainty_px:.1f}), "
        f"which is {_word(measured.off_px)}; in the middle infrared belongs {abs(right):.1f} px further "
        f"{aside} and {abs(down):.1f} px further {along}. "
        "What lies at other distances counts, too."
    )
    if measured.scene_m is not None and measured.off_px > LIMITS_PX[0] and _is_elsewhere(measured):
        yield (
            f"This is as if the scene were {metres(measured.scene_m)} away: if it is, "
            f"`registration: {{distance_m: {measured.scene_m:.3g}}}` in the pipeline mends it."
        )


def _sureness(rig: RigConfig) -> Iterator[str]:
    open_px = _registration_px(rig)
    if open_px is not None:
        where = metres(rig.planes[0].distance_m)
        yield (
            f"For {where} the registration is known to ± {open_px:.2g} px, which is {_word(open_px)}: it "
            "moves as far when pairs of the calibration are left out."
        )
    if rig.residual_px is not None:
        held = _held_out_px(rig)
        if held is None:
            yield f"The calibration left {rig.residual_px:.2f} px."
        else:
            yield f"As near as the board was, pairs that were held out are predicted within {held:.2f} px."
    if rig.confidence is not None and rig.confidence < _SURE:
        yield f"It is not sure of itself (confidence {rig.confidence:.2f}): look at the pictures below."


def _is_elsewhere(measured: Measured) -> bool:
    """Whether most of the error is parallax: another distance would mend it."""
    return math.hypot(*measured.shift_px) > _MOSTLY * measured.off_px


def _registration_px(rig: RigConfig) -> float | None:
    note = rig.planes[0].made_by if rig.planes else None
    return None if note is None else note.uncertainty.get("registration_px")


def _held_out_px(rig: RigConfig) -> float | None:
    pose = rig.T_visible_from_infrared
    note: MadeBy | None = None if pose is None else pose.made_by
    return None if note is None else note.residuals.get("held_out_median_px")


def _distances(parallax: Parallax, *, choose: bool) -> str:
    sharp, fair = (span(parallax, each) for each in LIMITS_PX)
    sentence = (
        f"Parallax alone costs at most {LIMITS_PX[0]:g} px for objects {sharp}, and {LIMITS_PX[1]:g} px for "
        f"objects {fair}, with the plane at {metres(parallax.plane_distance_m)}"
    )
    return f"{sentence}; another plane is a word in the pipeline." if choose else f"{sentence}."


def _lenses(rig: RigConfig) -> str:
    lacking = [
        name for name in ("visible", "infrared") if (c := getattr(rig, name)) is None or c.intrinsics is None
    ]
    if not lacking:
        return (
            "Both lenses are known, so straight lines stay straight up to the edges that the board reached."
        )
    which = "neither lens is" if len(lacking) == 2 else f"the {lacking[0]} lens is not"
    return f"{which.capitalize()} known: towards the edges, where lenses bend, expect more error."


def _time(rig: RigConfig) -> str:
    if has_time(rig):
        return f"The time offset is known: {rig.time_offset_ms:+.1f} ms are added to infrared times."
    width = 640 if rig.visible_size_wh is None else rig.visible_size_wh[0]
    return (
        f"The time offset is not known: 10 ms move what crosses the picture in {_CROSSING_S:g} s by "
        f"{width / _CROSSING_S / 100:.0f} px."
    )


def _word(px: float) -> str:
    return "good" if px <= _GOOD_PX else "fair" if px <= _FAIR_PX else "poor"
