"""Times of live streams as they are in the wild: wraps, jumps and gaps."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.clockfit import TimeSource
from streamfuse.io.cameras.av_times import StreamTimes

TICKS = 90_000
PERIOD_NS = 40_000_000


def times() -> StreamTimes:
    """Of a stream of 25 fps in ticks of 1/90000 s, in which 5 s without a frame are a time-out."""
    return StreamTimes(time_base=Fraction(1, TICKS), fps=25, max_gap_s=5)


def picture(pts: int | None) -> av.VideoFrame:
    """A picture with a time stamp."""
    frame = av.VideoFrame(16, 16, "gray")
    frame.pts = pts
    return frame


@given(st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1, max_size=30))
def test_times_rise_whatever_comes(stamps: list[int | None]) -> None:
    """No stamp, a wrap, a jump: times begin at 0 and rise by at most what can be real."""
    stream = times()
    taken = [stream.of(picture(pts))[0] for pts in stamps]
    assert taken[0] == 0
    assert all(0 < after - before <= 5_000_000_000 for before, after in pairwise(taken))


@pytest.mark.parametrize("start", [0, -500, 7_654_321, 2**33 - 10_800])
@pytest.mark.parametrize("then", [-(2**33), 0, 2**35])
def test_after_a_jump_times_go_on_one_period_later(start: int, then: int) -> None:
    """A counter that wraps and a sender that starts again leave no trace."""
    stream = times()
    stamps = [start + 3_600 * index for index in range(4)] + [then + 3_600 * index for index in range(3)]
    assert [stream.of(picture(pts))[0] for pts in stamps] == [index * PERIOD_NS for index in range(7)]


def test_a_gap_that_can_be_real_stays() -> None:
    """Frames that were lost on the way leave their gap."""
    stream = times()
    taken_ns = [stream.of(picture(pts))[0] for pts in (0, TICKS, 4 * TICKS)]
    assert taken_ns == [0, 1_000_000_000, 4_000_000_000]


def test_without_a_report_the_stamp_is_the_time_of_the_stream() -> None:
    """The camera's clock is not made up."""
    stream = times()
    stream.of(picture(10))
    pts_ns, stamp = stream.of(picture(3_610))
    assert (stamp.source, stamp.time_ns) == (TimeSource.PTS, pts_ns)
    assert pts_ns == PERIOD_NS
