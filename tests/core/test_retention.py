"""Retention: which recordings make room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.config.outputs import Retention
from streamfuse.core.retention import Stored, chosen_to_go

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def segment(number: int, *, nbytes: int = 100, is_open: bool = False) -> Stored:
    """A segment that began ``number`` hours ago."""
    begun_utc = NOW - timedelta(hours=number)
    return Stored(name=f"yard-{number:04d}", nbytes=nbytes, begun_utc=begun_utc, is_open=is_open)


def names(*stored: Stored, limits: Retention, free: int = 10_000, coming: int = 0) -> list[str]:
    """Names of the segments that go."""
    gone = chosen_to_go(stored, limits, now_utc=NOW, free_nbytes=free, next_nbytes=coming)
    return [each.name for each in gone]


def test_without_limits_everything_stays() -> None:
    """An empty ``retention`` removes nothing, however full the disk is."""
    assert names(segment(9_999), segment(1), limits=Retention(), free=0) == []


def test_the_oldest_go_until_the_bytes_fit() -> None:
    """``max_bytes`` leaves as many of the newest as fit, together with the one that is to come."""
    stored = [segment(2), segment(4), segment(1), segment(3)]
    assert names(*stored, limits=Retention(max_bytes=250)) == ["yard-0004", "yard-0003"]
    assert names(*stored, limits=Retention(max_bytes=250), coming=60) == [
        "yard-0004",
        "yard-0003",
        "yard-0002",
    ]


def test_the_oldest_go_until_enough_is_free() -> None:
    """``min_free`` removes just as many as it takes."""
    stored = [segment(hours) for hours in (1, 2, 3)]
    assert names(*stored, limits=Retention(min_free=1_000), free=1_000) == []
    assert names(*stored, limits=Retention(min_free=1_000), free=901) == ["yard-0003"]
    assert names(*stored, limits=Retention(min_free=1_000), free=901, coming=50) == ["yard-0003", "yard-0002"]


def test_what_is_older_than_max_days_goes() -> None:
    """Age is that of the first frame."""
    stored = [segment(23), segment(25), segment(24)]
    assert names(*stored, limits=Retention(max_days=1.0)) == ["yard-0025"]


def test_an_open_segment_stays_whatever_the_limits() -> None:
    """What is being written, or waits for its repair, is not touched, but it counts."""
    stored = [segment(900, is_open=True, nbytes=10_000), segment(1)]
    limits = Retention(max_bytes=1, max_days=0.5, min_free=10_000_000)
    assert names(*stored, limits=limits, free=0) == ["yard-0001"]


def test_impossible_segments_are_refused() -> None:
    """A negative size and a time without a zone are bugs."""
    with pytest.raises(ValueError, match="cannot be negative, got -1"):
        segment(1, nbytes=-1)
    with pytest.raises(ValueError, match="needs its zone"):
        Stored(name="a", nbytes=1, begun_utc=datetime(2026, 1, 1), is_open=False)


SEGMENTS = st.lists(
    st.builds(segment, st.integers(0, 500), nbytes=st.integers(0, 1_000), is_open=st.booleans()),
    max_size=12,
)
LIMITS = st.builds(
    Retention,
    max_bytes=st.none() | st.integers(1, 5_000),
    max_days=st.none() | st.floats(0.1, 20),
    min_free=st.none() | st.integers(1, 5_000),
)


@given(stored=SEGMENTS, limits=LIMITS, free=st.integers(0, 5_000), coming=st.integers(0, 1_000))
def test_the_limits_hold_or_nothing_more_can_go(
    stored: list[Stored], limits: Retention, free: int, coming: int
) -> None:
    """Afterwards either every limit is kept, or only open segments are left; and nothing went in vain."""
    gone = chosen_to_go(stored, limits, now_utc=NOW, free_nbytes=free, next_nbytes=coming)
    left = list(stored)
    for each in gone:
        left.remove(each)
    assert not any(each.is_open for each in gone)

    def is_kept(stays: list[Stored], freed: int) -> bool:
        return (
            (limits.max_bytes is None or sum(each.nbytes for each in stays) + coming <= limits.max_bytes)
            and (limits.min_free is None or free + freed - coming >= limits.min_free)
            and (
                limits.max_days is None
                or all(NOW - s.begun_utc <= timedelta(days=limits.max_days) for s in stays if not s.is_open)
            )
        )

    freed = sum(each.nbytes for each in gone)
    assert is_kept(left, freed) or all(each.is_open for each in left)
    if gone:
        last = gone[-1]
        assert not is_kept([*left, last], freed - last.nbytes)
