"""Pairing, told as stories of two cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from streamfuse.core.pairing import CAPACITY, OnMissing, Outcome, Paired, Pairer, PairingPolicy, Unpaired
from streamfuse.frames import PairState, StreamName

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
MS = 1_000_000


DEFAULT = PairingPolicy(visible_fps=30.0, infrared_fps=25.0)
"""With a skew limit of 25 ms."""


@dataclass
class Stage:
    """A pairer and its time, in milliseconds; a frame is known by its stream and capture time."""

    pairer: Pairer[str]
    now_ms: float = 0.0

    def see(self, stream: StreamName, capture_ms: float, at_ms: float | None = None) -> list[Outcome[str]]:
        """A frame arrives, by default the moment it was captured."""
        self.now_ms = capture_ms if at_ms is None else at_ms
        item = f"{stream[0]}{capture_ms:g}"
        self.pairer.push(stream, item, capture_ns=round(capture_ms * MS), now_ns=round(self.now_ms * MS))
        return self.poll()

    def wait_until(self, at_ms: float) -> list[Outcome[str]]:
        """Nothing arrives until then."""
        self.now_ms = at_ms
        return self.poll()

    def end(self, stream: StreamName) -> list[Outcome[str]]:
        """A stream ends."""
        self.pairer.end(stream)
        return self.poll()

    def poll(self) -> list[Outcome[str]]:
        """Ask what is decided by now."""
        return self.pairer.poll(round(self.now_ms * MS))


def stage(**changes: Any) -> Stage:
    """A stage with a changed policy."""
    return Stage(Pairer(replace(DEFAULT, **changes)))


def the_pair(outcomes: list[Outcome[str]]) -> Paired[str]:
    """The only outcome there is, a pair."""
    (outcome,) = outcomes
    assert isinstance(outcome, Paired)
    return outcome


def brief(outcomes: Iterable[Outcome[str]]) -> list[str]:
    """Outcomes in short words, such as ``v0+i0 matched`` or ``i40 unpaired``."""
    words = []
    for outcome in outcomes:
        if isinstance(outcome, Paired):
            words.append(f"{outcome.visible or ''}+{outcome.infrared or ''} {outcome.state}")
        else:
            words.append(f"{outcome.item} {outcome.cause}")
    return words


# --- matching ---------------------------------------------------------------------------------


def test_a_pair_is_matched_as_soon_as_both_frames_are_there() -> None:
    """Two frames of one moment make a pair at once, without any waiting."""
    scene = stage()
    assert scene.see(VISIBLE, 0) == []
    pair = the_pair(scene.see(INFRARED, 2))
    assert brief([pair]) == ["v0+i2 matched"]
    assert (pair.skew_ms, pair.infrared_age_ms) == (2.0, 0.0)
    assert pair.fresh == {VISIBLE, INFRARED}
    assert scene.pairer.held(VISIBLE) == scene.pairer.held(INFRARED) == 0


def test_the_nearest_infrared_frame_wins() -> None:
    """Of the frames before and after the base frame the nearer one is taken, the other one is not."""
    scene = stage(every_frame=True)
    scene.see(INFRARED, 0)
    scene.see(VISIBLE, 24)
    assert brief(scene.see(INFRARED, 40)) == ["v24+i40 matched"]
    assert brief(scene.see(VISIBLE, 45)) == ["i0 unpaired"]


def test_of_two_equally_near_frames_the_older_one_is_taken() -> None:
    """A tie has one fixed answer, so that results repeat."""
    scene = stage(every_frame=True)
    scene.see(INFRARED, 0)
    scene.see(VISIBLE, 20)
    assert brief(scene.see(INFRARED, 40)) == ["v20+i0 matched"]


def test_a_base_frame_waits_for_an_infrared_frame_that_will_be_nearer() -> None:
    """30 ms after the last infrared frame at 25 fps the next one is due in 10 ms: worth the wait."""
    scene = stage()
    scene.see(INFRARED, 0)
    assert scene.see(VISIBLE, 30) == []
    assert scene.pairer.deadline_ns() == 50 * MS
    assert brief(scene.see(INFRARED, 40)) == ["v30+i40 matched"]


def test_a_base_frame_does_not_wait_for_one_that_would_be_farther() -> None:
    """15 ms after the last infrared frame the next one, due in 25 ms, cannot be nearer."""
    scene = stage()
    scene.see(INFRARED, 0)
    assert brief(scene.see(VISIBLE, 15)) == ["v15+i0 matched"]


def test_a_base_frame_does_not_wait_for_one_that_cannot_come_in_time() -> None:
    """At 8.7 fps, 70 ms after the last frame, the next is 45 ms away and the wait is 20: decide now."""
    scene = stage(infrared_fps=8.7)
    scene.see(INFRARED, 0)
    assert brief(scene.see(VISIBLE, 70)) == ["v70+i0 held"]


def test_a_frame_a_little_after_its_nominal_time_is_waited_for_too() -> None:
    """The last infrared frame came 3 ms late; the next, due 2 ms after max_wait, may be on time."""
    scene = stage()
    scene.see(INFRARED, 0, at_ms=3)
    assert scene.see(VISIBLE, 21) == []
    assert brief(scene.see(INFRARED, 40)) == ["v21+i40 matched"]


def test_waiting_ends_at_max_wait_with_the_best_frame_there_is() -> None:
    """A base frame whose better partner does not come is paired after 20 ms all the same."""
    scene = stage()
    scene.see(INFRARED, 0)
    scene.see(VISIBLE, 24)
    assert scene.wait_until(43.9) == []
    pair = the_pair(scene.wait_until(44))
    assert brief([pair]) == ["v24+i0 matched"]
    assert (pair.skew_ms, pair.infrared_age_ms) == (-24.0, 24.0)


def test_a_slow_infrared_frame_serves_several_base_frames_and_counts_once() -> None:
    """With infrared at 8.7 fps one frame is shown in many pairs, but is fresh in the first only."""
    scene = stage(infrared_fps=8.7)
    scene.see(INFRARED, 0)
    pairs = [the_pair(scene.see(VISIBLE, ms)) for ms in (0, 33, 50)]
    assert brief(pairs) == ["v0+i0 matched", "v33+i0 matched", "v50+i0 matched"]
    assert [INFRARED in pair.fresh for pair in pairs] == [True, False, False]


def test_the_offset_is_added_to_infrared_times() -> None:
    """An infrared clock 100 ms behind is corrected before anything is compared."""
    scene = stage(offset_ms=100)
    scene.see(VISIBLE, 100)
    pair = the_pair(scene.see(INFRARED, 3, at_ms=101))
    assert (brief([pair]), pair.skew_ms) == (["v100+i3 matched"], 3.0)


def test_faster_infrared_frames_nobody_wants_are_unpaired() -> None:
    """Infrared at twice the base rate loses every other frame, and says so."""
    scene = stage(infrared_fps=60)
    outcomes = []
    for ms in range(0, 97, 16):
        outcomes += scene.see(INFRARED, ms) + (scene.see(VISIBLE, ms) if ms % 32 == 0 else [])
    assert brief(o for o in outcomes if isinstance(o, Unpaired)) == [
        "i16 unpaired",
        "i48 unpaired",
        "i80 unpaired",
    ]


# --- nothing near enough ----------------------------------------------------------------------


def ffc(on_missing: OnMissing) -> list[str]:
    """The shutter closes at 40 ms: what becomes of the visible frames after it."""
    scene = stage(on_missing=on_missing, max_hold_ms=100)
    outcomes = scene.see(INFRARED, 0) + scene.see(VISIBLE, 1) + scene.see(INFRARED, 40)
    for ms in (41, 74, 107, 140, 173):
        outcomes += scene.see(VISIBLE, ms) + scene.wait_until(ms + 20)
    return brief(outcomes)[2:]


def test_hold_shows_the_last_infrared_frame_until_it_is_too_old() -> None:
    """During FFC the last thermal image stays for max_hold_ms; then the visible stream goes on alone."""
    held = ["v74+i40 held", "v107+i40 held", "v140+i40 held"]
    assert ffc(OnMissing.HOLD) == [*held, "v173+ visible_only"]


def test_visible_only_does_not_hold() -> None:
    """Without holding, the visible stream goes on alone at once."""
    assert ffc(OnMissing.SINGLE) == [f"v{ms}+ visible_only" for ms in (74, 107, 140, 173)]


def test_drop_lets_only_whole_pairs_through() -> None:
    """With `drop` a visible frame without a partner is unpaired."""
    assert ffc(OnMissing.DROP) == [f"v{ms} unpaired" for ms in (74, 107, 140, 173)]


def test_a_held_pair_tells_the_age_of_its_infrared_frame() -> None:
    """The age and the skew of a held pair are those of the old frame."""
    scene = stage()
    scene.see(INFRARED, 0)
    scene.see(VISIBLE, 200)
    pair = the_pair(scene.wait_until(220))
    assert (pair.state, pair.skew_ms, pair.infrared_age_ms) == (PairState.HELD, -200.0, 200.0)


def test_an_infrared_frame_after_the_base_frame_is_never_held() -> None:
    """Holding is for the past: a frame of the future that is too far is not shown early."""
    scene = stage(infrared_fps=5, max_skew_ms=10)
    scene.see(INFRARED, 100, at_ms=0)
    assert brief(scene.see(VISIBLE, 0)) == ["v0+ visible_only"]


def test_after_the_infrared_stream_ended_nobody_waits() -> None:
    """The end of the other stream decides at once."""
    scene = stage()
    scene.see(VISIBLE, 0)
    assert brief(scene.end(INFRARED)) == ["v0+ visible_only"]
    assert brief(scene.see(VISIBLE, 33)) == ["v33+ visible_only"]


# --- the base stream falls silent ---------------------------------------------------------------


def test_infrared_goes_on_alone_while_the_visible_camera_is_silent() -> None:
    """After max_hold_ms without visible frames infrared waits no longer than max_wait_ms for one."""
    scene = stage()
    scene.see(VISIBLE, 0)
    assert brief(scene.see(INFRARED, 0)) == ["v0+i0 matched"]
    for ms in (40, 80, 120):
        assert scene.see(INFRARED, ms) == []
    assert scene.pairer.deadline_ns() == 250 * MS
    assert scene.wait_until(249) == []
    pairs = [outcome for outcome in scene.wait_until(250) if isinstance(outcome, Paired)]
    assert brief(pairs) == [f"+i{ms} infrared_only" for ms in (40, 80, 120)]
    assert (pairs[0].skew_ms, pairs[0].infrared_age_ms) == (None, 0.0)
    assert scene.see(INFRARED, 300) == []
    assert scene.pairer.deadline_ns() == 320 * MS
    assert brief(scene.wait_until(320)) == ["+i300 infrared_only"]
    assert brief(scene.see(VISIBLE, 340)) == []
    assert brief(scene.see(INFRARED, 345)) == ["v340+i345 matched"]


def test_a_visible_camera_that_is_absent_at_the_start_stops_nobody() -> None:
    """Infrared frames come out alone although no visible frame was ever seen."""
    scene = stage()
    scene.see(INFRARED, 0)
    assert brief(scene.wait_until(250)) == ["+i0 infrared_only"]
    assert scene.pairer.deadline_ns() is None


def test_with_drop_a_silent_base_brings_no_lonely_infrared_frames() -> None:
    """`drop` promises whole pairs only, also while the base is silent."""
    scene = stage(on_missing=OnMissing.DROP)
    scene.see(INFRARED, 0)
    assert brief(scene.wait_until(250)) == ["i0 unpaired"]


def test_a_visible_frame_of_a_time_already_shown_is_late() -> None:
    """Pairs never go back in time: a base frame older than an infrared-only pair is late."""
    scene = stage()
    scene.see(INFRARED, 100)
    scene.wait_until(350)
    assert brief(scene.see(VISIBLE, 90, at_ms=351)) == ["v90 late"]


def test_an_infrared_frame_that_missed_its_base_frame_is_not_shown_after_it() -> None:
    """Arriving after its base frame was decided, and with no base frame to follow, it is unpaired."""
    scene = stage()
    scene.see(VISIBLE, 100)
    assert brief(scene.wait_until(120)) == ["v100+ visible_only"]
    assert scene.see(INFRARED, 90, at_ms=130) == []
    assert brief(scene.wait_until(380)) == ["i90 unpaired"]


def test_a_slow_base_stream_is_not_taken_for_a_silent_one() -> None:
    """At 2 fps the base is silent only after two periods, whatever max_hold_ms says."""
    scene = stage(visible_fps=2)
    scene.see(VISIBLE, 0)
    scene.see(INFRARED, 0)
    scene.see(INFRARED, 300)
    assert scene.wait_until(999) == []


def test_an_infrared_frame_within_the_skew_limit_outlives_the_silence() -> None:
    """With a wide skew limit and no holding, the last infrared frame still matches after 300 ms."""
    scene = stage(max_skew_ms=400, max_hold_ms=0)
    scene.see(INFRARED, 0)
    scene.see(VISIBLE, 0)
    assert scene.wait_until(300) == []
    scene.see(VISIBLE, 310)
    assert brief(scene.wait_until(330)) == ["v310+i0 matched"]


def test_after_the_end_of_the_base_infrared_frames_are_unpaired() -> None:
    """An ended base is not silent, it is over: what infrared still brings is unpaired."""
    scene = stage()
    scene.see(VISIBLE, 0)
    scene.see(INFRARED, 1)
    scene.end(VISIBLE)
    assert brief(scene.see(INFRARED, 40)) == ["i40 unpaired"]


# --- infrared as the base -------------------------------------------------------------------------


def test_infrared_can_be_the_base() -> None:
    """Roles swap, words do not: skew stays infrared minus visible, states keep their names."""
    scene = stage(base=INFRARED)
    scene.see(INFRARED, 0)
    pair = the_pair(scene.see(VISIBLE, 4))
    assert (brief([pair]), pair.skew_ms, pair.infrared_age_ms) == (["v4+i0 matched"], -4.0, 0.0)
    scene.see(INFRARED, 200)
    assert brief(scene.wait_until(220)) == ["v4+i200 held"]
    scene.see(INFRARED, 300)
    assert brief(scene.wait_until(320)) == ["+i300 infrared_only"]
    scene.see(VISIBLE, 400)
    assert brief(scene.wait_until(650)) == ["v400+ visible_only"]


# --- time that misbehaves -----------------------------------------------------------------------


def test_a_frame_older_than_its_predecessor_is_late() -> None:
    """A stream runs forward; a frame out of order is reported at once and disturbs nothing."""
    scene = stage()
    scene.see(VISIBLE, 100)
    assert brief(scene.see(VISIBLE, 67, at_ms=101)) == ["v67 late"]
    scene.see(INFRARED, 100, at_ms=102)
    assert brief(scene.see(INFRARED, 60, at_ms=103)) == ["i60 late"]


def test_after_a_clock_was_set_back_frames_out_of_order_are_late_again() -> None:
    """The stream starts anew: frames are in order behind its new clock, and late behind each other."""
    scene = stage(max_wait_ms=1000)
    scene.see(VISIBLE, 3_600_000, at_ms=0)
    scene.wait_until(1000)
    outcomes = [outcome for ms in range(1010, 1180, 10) for outcome in scene.see(VISIBLE, ms)]
    assert [word.split()[1] for word in brief(outcomes)] == ["late"] * 16
    assert brief(scene.see(VISIBLE, 1160, at_ms=1171)) == ["v1160 late"]
    assert scene.see(VISIBLE, 1180) == []
    assert scene.pairer.held(VISIBLE) == 2


def test_two_infrared_frames_of_one_time_are_one_too_many() -> None:
    """With infrared not the base, the second of two frames of one time is late."""
    scene = stage(every_frame=True)
    scene.see(INFRARED, 0)
    assert brief(scene.see(INFRARED, 0)) == ["i0 late"]


def test_two_base_frames_of_one_time_both_come_out() -> None:
    """A file with a doubled timestamp loses no frame of its base stream."""
    scene = stage(every_frame=True)
    scene.see(VISIBLE, 0)
    scene.see(VISIBLE, 0)
    assert brief(scene.see(INFRARED, 0)) == ["v0+i0 matched"] * 2


def test_a_frame_after_the_end_of_its_stream_is_late() -> None:
    """The end is the end."""
    scene = stage()
    scene.end(INFRARED)
    assert brief(scene.see(INFRARED, 0)) == ["i0 late"]


@pytest.mark.parametrize("stream", list(StreamName))
def test_a_camera_clock_set_back_for_good_is_followed(stream: StreamName) -> None:
    """One frame from the far future makes its followers late, but not for ever."""
    scene = stage()
    scene.see(stream, 3_600_000, at_ms=0)
    states: Counter[str] = Counter()
    for ms in range(0, 2000, 40):
        for outcome in scene.see(VISIBLE, ms) + scene.see(INFRARED, ms):
            states[outcome.state if isinstance(outcome, Paired) else f"{outcome.stream} {outcome.cause}"] += 1
    assert states[f"{stream} late"] == 16
    assert states[PairState.MATCHED] >= 50 - 16 - 1


def test_a_full_base_buffer_decides_its_oldest_frame_instead_of_losing_it() -> None:
    """However long the wait allowed, no more than CAPACITY base frames wait, and none is dropped."""
    scene = stage(max_wait_ms=1e6)
    outcomes = [o for ms in range(CAPACITY + 2) for o in scene.see(VISIBLE, ms)]
    assert brief(outcomes) == ["v0+ visible_only", "v1+ visible_only"]
    assert scene.pairer.room(VISIBLE) == 0


def test_a_full_infrared_buffer_gives_up_its_oldest_frame() -> None:
    """Infrared far ahead of its base is bounded as well, and accounted."""
    scene = stage(every_frame=True)
    outcomes = [o for ms in range(CAPACITY + 1) for o in scene.see(INFRARED, ms)]
    assert brief(outcomes) == ["i0 unpaired"]
    assert scene.pairer.room(INFRARED) == 0
