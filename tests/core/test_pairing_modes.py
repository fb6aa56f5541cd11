"""The modes of pairing, told as stories; ``base`` has its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from streamfuse.core.pairing import OnMissing, Outcome, Paired, Pairer, PairingMode, PairingPolicy, Unpaired
from streamfuse.frames import PairState, StreamName

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
MS = 1_000_000


def pairer_of(mode: PairingMode, **changes: Any) -> Pairer[str]:
    """A pairer for 30 and 25 fps: a skew limit of 25 ms, where the mode has no other."""
    return Pairer(PairingPolicy(**{"visible_fps": 30.0, "infrared_fps": 25.0, "mode": mode, **changes}))


def play(pairer: Pairer[str], story: str, *, until_ms: int | None = None) -> list[str]:
    """Frames arrive as they are captured: ``v0 i10`` is visible at 0 ms, infrared at 10 ms."""
    outcomes: list[Outcome[str]] = []
    at_ms = 0
    for item in story.split():
        stream, at_ms = (VISIBLE if item[0] == "v" else INFRARED), int(item[1:])
        pairer.push(stream, item, capture_ns=at_ms * MS, now_ns=at_ms * MS)
        outcomes += pairer.poll(at_ms * MS)
    outcomes += pairer.poll((at_ms if until_ms is None else until_ms) * MS)
    return brief(outcomes)


def brief(outcomes: Iterable[Outcome[str]]) -> list[str]:
    """Outcomes in short words, such as ``v0+i0 matched`` or ``i40 unpaired``."""
    return [
        f"{outcome.item} {outcome.cause}"
        if isinstance(outcome, Unpaired)
        else f"{outcome.visible or ''}+{outcome.infrared or ''} {outcome.state}"
        for outcome in outcomes
    ]


# --- nearest ----------------------------------------------------------------------------------


def test_nearest_matches_a_frame_once_and_then_holds_it() -> None:
    """`base` would match i5 with both visible frames; here it is the match of the nearer one only."""
    assert play(pairer_of(PairingMode.NEAREST), "i5 v6 v20") == ["v6+i5 matched", "v20+i5 held"]
    assert play(pairer_of(PairingMode.BASE), "i5 v6 v20") == ["v6+i5 matched", "v20+i5 matched"]


def test_nearest_gives_a_frame_to_the_later_base_frame_if_that_is_nearer() -> None:
    """v0 waits for i18 and sees v20 come, which is nearer to it."""
    words = play(pairer_of(PairingMode.NEAREST, visible_fps=50.0), "i-30 v0 i18 v20", until_ms=40)
    assert words == ["v0+i-30 held", "v20+i18 matched"]


def test_nearest_leaves_a_frame_to_the_one_that_wants_it() -> None:
    """v20 is nearer to i12 than v0 is, but wants i21: i12 stays the match of v0."""
    pairer = pairer_of(PairingMode.NEAREST, every_frame=True)
    assert play(pairer, "v0 i12 v20 i21") == ["v0+i12 matched"]
    assert play(pairer, "v40") == ["v20+i21 matched"]


def test_nearest_does_not_wait_for_a_rival_that_comes_too_late() -> None:
    """At 30 fps the next visible frame is due after max_wait_ms: who is there gets the frame."""
    assert play(pairer_of(PairingMode.NEAREST), "i-22 v0 i18") == ["v0+i18 matched"]


@pytest.mark.parametrize(
    ("on_missing", "word"),
    [
        (OnMissing.HOLD, "v20+i5 held"),
        (OnMissing.SINGLE, "v20+ visible_only"),
        (OnMissing.DROP, "v20 unpaired"),
    ],
)
def test_who_loses_its_nearest_goes_on_as_on_missing_says(on_missing: OnMissing, word: str) -> None:
    """A frame taken by a nearer one is a missing one."""
    assert play(pairer_of(PairingMode.NEAREST, on_missing=on_missing), "i5 v6 v20")[1:] == [word]


# --- exact ------------------------------------------------------------------------------------


def test_exact_matches_equal_times_only() -> None:
    """2 ms apart is a match, 3 ms apart is none; at once where no partner is due."""
    rules = {"infrared_fps": 30.0, "on_missing": OnMissing.SINGLE}
    assert play(pairer_of(PairingMode.EXACT, **rules), "v0 i2") == ["v0+i2 matched"]
    assert play(pairer_of(PairingMode.EXACT, **rules), "v0 i3") == ["v0+ visible_only"]


def test_exact_never_takes_the_neighbour_of_a_lost_frame() -> None:
    """i33 is lost: v33 waits for it, not longer than max_wait_ms, and goes alone."""
    pairer = pairer_of(PairingMode.EXACT, infrared_fps=30.0, on_missing=OnMissing.SINGLE)
    words = play(pairer, "v0 i0 v33", until_ms=52)
    assert words == ["v0+i0 matched"]
    assert pairer.deadline_ns() == 53 * MS
    assert brief(pairer.poll(53 * MS)) == ["v33+ visible_only"]
    assert play(pairer, "v67 i67") == ["v67+i67 matched"]


def test_exact_with_a_wide_limit_still_takes_no_neighbour() -> None:
    """A limit beyond half a period matches each frame with its own partner all the same."""
    pairer = pairer_of(PairingMode.EXACT, infrared_fps=30.0, max_skew_ms=30.0, on_missing=OnMissing.SINGLE)
    assert play(pairer, "v0 i4 v33 v67 i71", until_ms=100)[-3:] == [
        "v0+i4 matched",
        "v33+ visible_only",
        "v67+i71 matched",
    ]


# --- hold -------------------------------------------------------------------------------------


def test_hold_decides_every_base_frame_the_moment_it_comes() -> None:
    """`base` would wait for i40; here v30 takes what is there, and so does a frame during FFC."""
    pairer = pairer_of(PairingMode.HOLD)
    assert play(pairer, "i0 v30") == ["v30+i0 matched"]
    assert play(pairer, "v200") == ["v200+i0 held"]
    assert play(pairer, "v260") == ["v260+ visible_only"]


def test_hold_holds_whatever_on_missing_says() -> None:
    """It is its purpose; on_missing speaks of frames for which there is nothing to hold."""
    pairer = pairer_of(PairingMode.HOLD, on_missing=OnMissing.DROP)
    assert play(pairer, "i0 v200 v260") == ["v200+i0 held", "v260 unpaired"]


def test_hold_takes_the_nearer_frame_if_that_is_there_already() -> None:
    """An infrared camera that is quicker than the visible one gives no more skew than it must."""
    pairer = pairer_of(PairingMode.HOLD)
    for at_ms in (0, 40, 80):
        pairer.push(INFRARED, f"i{at_ms}", capture_ns=at_ms * MS, now_ns=at_ms * MS)
    pairer.push(VISIBLE, "v38", capture_ns=38 * MS, now_ns=90 * MS)
    assert brief(pairer.poll(90 * MS)) == ["v38+i40 matched"]


# --- slowest ----------------------------------------------------------------------------------


def test_the_slower_stream_sets_the_beat_from_the_start() -> None:
    """At 30 and 9 fps there is one pair for each infrared frame; the visible frames between are unpaired."""
    pairer = pairer_of(PairingMode.SLOWEST, infrared_fps=9.0)
    assert pairer.policy.base is INFRARED
    words = play(pairer, "v0 i0 v33 v67 v100 i111 v133")
    assert [word for word in words if "matched" in word] == ["v0+i0 matched", "v100+i111 matched"]
    assert {"v33 unpaired", "v67 unpaired"} <= set(words)


def test_a_camera_that_turns_out_to_be_the_slower_one_takes_over() -> None:
    """Infrared says 30 fps and gives 9: after 17 of its frames it is the base, and the pairs say so."""
    pairer = pairer_of(PairingMode.SLOWEST, infrared_fps=30.0)
    frames = sorted(
        [(ms, VISIBLE) for ms in range(0, 4000, 33)] + [(ms, INFRARED) for ms in range(0, 4000, 111)]
    )
    outcomes: list[Outcome[str]] = []
    for ms, stream in frames:
        pairer.push(stream, f"{stream[0]}{ms}", capture_ns=ms * MS, now_ns=ms * MS)
        outcomes += pairer.poll(ms * MS)
    pairs = [outcome for outcome in outcomes if isinstance(outcome, Paired)]
    reported = sum(len(outcome.fresh) if isinstance(outcome, Paired) else 1 for outcome in outcomes)
    assert len(frames) == reported + pairer.held(VISIBLE) + pairer.held(INFRARED)
    assert {pair.timed_by for pair in pairs[:50]} == {VISIBLE}
    assert {pair.timed_by for pair in pairs[-10:]} == {INFRARED}
    assert pairer.policy.base is INFRARED


def test_two_streams_of_one_rate_do_not_take_turns_at_being_the_base() -> None:
    """29.97 against 30 fps as measured is no reason to change."""
    pairer = pairer_of(PairingMode.SLOWEST, infrared_fps=30.0)
    for number in range(200):
        for stream, period_us in ((VISIBLE, 33_333), (INFRARED, 33_367)):
            at_ns = number * period_us * 1000
            pairer.push(stream, "", capture_ns=at_ns, now_ns=number * 33_367_000)
            pairer.poll(number * 33_367_000)
    assert pairer.policy.base is VISIBLE


# --- what holds in all of them ------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(PairingMode))
@pytest.mark.parametrize("silent", list(StreamName))
def test_a_silent_stream_stalls_no_mode(mode: PairingMode, silent: StreamName) -> None:
    """After it has been silent for a while, the frames of the other one come out alone within max_wait_ms."""
    pairer = pairer_of(mode)
    play(pairer, " ".join(f"v{ms} i{ms}" for ms in range(0, 400, 40)))
    letter = silent.other[0]
    for ms in range(1000, 5000, 40):
        at_ns = ms * MS
        pairer.push(silent.other, f"{letter}{ms}", capture_ns=at_ns, now_ns=at_ns)
        words = brief(pairer.poll(at_ns) + pairer.poll(at_ns + 20 * MS))
        assert words[-1:] == [f"v{ms}+ visible_only" if letter == "v" else f"+i{ms} infrared_only"]


@pytest.mark.fault
@pytest.mark.parametrize("mode", list(PairingMode))
@pytest.mark.parametrize("stepped", list(StreamName))
@pytest.mark.parametrize("step_h", [-1, 1])
def test_a_stepped_clock_of_one_camera_stalls_no_mode_and_is_forgotten_when_it_is_mended(
    mode: PairingMode, stepped: StreamName, step_h: int, record_property: Callable[[str, object], None]
) -> None:
    """For two seconds the times of one stream are an hour off; afterwards everything matches again."""
    pairer = pairer_of(mode, infrared_fps=30.0)
    pushed, reported, matched_ms = 0, 0, []
    for ms in range(0, 6000, 33):
        for stream in StreamName:
            off_h = step_h if stream is stepped and 2000 <= ms < 4000 else 0
            pairer.push(stream, "", capture_ns=(ms + off_h * 3_600_000) * MS, now_ns=ms * MS)
            pushed += 1
        for outcome in pairer.poll(ms * MS) + pairer.poll((ms + 20) * MS):
            if isinstance(outcome, Unpaired):
                reported += 1
                continue
            reported += len(outcome.fresh)
            if outcome.state is PairState.MATCHED:
                matched_ms.append(ms)
        assert pairer.held(pairer.policy.base) == 0, "a base frame waits longer than max_wait_ms"
    mended_ms = min(ms for ms in matched_ms if ms > 4000)
    record_property("fault", "clock of a camera set by +-1 h for 2 s: pairing, either stream, all modes")
    record_property("recovery_s", (mended_ms - 4000) / 1000)
    record_property("promise", "paired again within 0.6 s (17 frames) of the clock being right")
    assert mended_ms <= 4600
    assert [ms for ms in matched_ms if ms >= 4600] == list(range(4620, 6000, 33))
    assert pushed == reported + sum(map(pairer.held, StreamName))


def test_nobody_waits_for_a_camera_that_has_been_gone_for_seconds() -> None:
    """Longer than a shutter is ever closed: what comes is shown at once, until the camera is back."""
    pairer = pairer_of(PairingMode.BASE)
    play(pairer, "v0 i0")
    assert play(pairer, "v2995") == []
    assert play(pairer, "v3033") == ["v2995+ visible_only", "v3033+ visible_only"]
    assert play(pairer, "i3050 v3060") == ["v3060+i3050 matched"]


@pytest.mark.parametrize("mode", [PairingMode.BASE, PairingMode.NEAREST, PairingMode.SLOWEST])
def test_an_offset_set_later_counts_for_frames_that_wait_too(mode: PairingMode) -> None:
    """i100 waits for its partner when the offset is found to be -100 ms: it becomes that of v0."""
    pairer = pairer_of(mode, base=INFRARED)
    assert play(pairer, "i100") == []
    pairer.set_offset_ms(-100.0)
    assert pairer.offset_ms == -100.0
    pairer.push(VISIBLE, "v0", capture_ns=0, now_ns=101 * MS)
    assert brief(pairer.poll(101 * MS)) == ["v0+i100 matched"]


def test_after_a_new_offset_the_next_base_frame_is_not_late() -> None:
    """Infrared is the base; the next frame is moved to before the one shown last, and shown all the same."""
    pairer = pairer_of(PairingMode.BASE, base=INFRARED)
    assert play(pairer, "i100 v100") == ["v100+i100 matched"]
    pairer.set_offset_ms(-50.0)
    assert play(pairer, "i140", until_ms=160) == ["v100+i140 matched"]


def test_an_impossible_offset_is_refused() -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match="offset_ms must be a finite number, got nan"):
        pairer_of(PairingMode.BASE).set_offset_ms(float("nan"))
