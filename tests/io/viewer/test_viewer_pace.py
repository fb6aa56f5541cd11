"""Who gets the next picture when: decisions, without sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.io.viewer.pace import Pace, Taker
from streamfuse.io.viewer.pictures import Look


@given(fps=st.floats(0.5, 240), steps_ms=st.lists(st.floats(0.1, 200), min_size=1, max_size=200))
def test_a_pace_is_never_exceeded(fps: float, steps_ms: list[float]) -> None:
    """Over any span no more go than its length allows, but for one at each end and some jitter."""
    pace, now_ns, went = Pace(fps), 0, []
    for step_ms in steps_ms:
        now_ns += round(step_ms * NS_PER_MS)
        if pace.wait_ns(now_ns) == 0:
            pace.went(now_ns)
            went.append(now_ns)
    for first in range(0, len(went), 7):
        span_s = (went[-1] - went[first]) / NS_PER_S
        assert len(went) - first <= span_s * fps + 2.3


def test_a_camera_with_jitter_keeps_its_rate() -> None:
    """At a limit of 30 a camera of 30 pictures a second loses none, though some come early."""
    pace, went = Pace(30), 0
    for number in range(300):
        now_ns = round((number + 0.2 * (-1) ** number) * NS_PER_S / 30) + NS_PER_S
        if pace.wait_ns(now_ns) == 0:
            pace.went(now_ns)
            went += 1
    assert went >= 299


def test_after_a_pause_nothing_is_made_up_for() -> None:
    """A pause does not let a burst through."""
    pace = Pace(10)
    pace.went(0)
    now_ns = 60 * NS_PER_S
    assert pace.wait_ns(now_ns) == 0
    pace.went(now_ns)
    pace.went(now_ns)
    assert pace.wait_ns(now_ns) > 0


@given(st.lists(st.one_of(st.just("take"), st.integers(-1, 60)), max_size=100))
def test_never_more_on_the_way_than_the_window(acts: list[str | int]) -> None:
    """Whatever a browser acknowledges, in whatever order, two pictures are on the way at most."""
    taker, number, on_the_way = Taker(max_fps=1000, window=2), 0, set[int]()
    taker.hear('{"want": {"layers": ["fused"]}}')
    for act in acts:
        if act == "take":
            if taker.wait_ns(number * NS_PER_S) == 0:
                number += 1
                taker.took(number, number * NS_PER_S)
                on_the_way.add(number)
        else:
            taker.hear(f'{{"ready": {act}}}')
            on_the_way = {one for one in on_the_way if one > int(act)}
        assert len(on_the_way) <= 2
        assert (taker.wait_ns(number * NS_PER_S + NS_PER_S) is None) == (len(on_the_way) == 2)


def test_wishes_are_kept_until_others_come() -> None:
    """A wish for layers leaves the rate, a wish for a rate leaves the layers, and the order is one's own."""
    taker = Taker(max_fps=30)
    taker.hear('{"want": {"layers": ["infrared", "fused", "fused"]}}')
    assert taker.looks == (Look.FUSED, Look.INFRARED)
    taker.hear('{"want": {"fps": 1}, "ready": 3}')
    assert taker.looks == (Look.FUSED, Look.INFRARED)
    taker.took(4, 0)
    assert taker.wait_ns(NS_PER_S // 2) == pytest.approx(NS_PER_S // 4)
    taker.hear('{"want": {"layers": []}}')
    assert taker.wait_ns(10 * NS_PER_S) is None
