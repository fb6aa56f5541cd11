"""The memory of the last seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.io.video.encoder import VideoPacket
from streamfuse.io.video.rolling import Rolling

NS = 1_000_000_000


def packet(pts_ns: int, *, is_key: bool, nbytes: int = 10) -> VideoPacket:
    """A packet of zeros."""
    return VideoPacket(data=bytes(nbytes), pts_ns=pts_ns, duration_ns=NS // 10, is_key=is_key)


def test_it_covers_the_span_from_a_key_on() -> None:
    """Of 10 s with a key each second the last 2.5 s are kept, and what leads to their key."""
    rolling = Rolling(2.5)
    for index in range(101):
        rolling.add(packet(index * NS // 10, is_key=index % 10 == 0))
    kept = rolling.packets()
    assert kept[0].is_key
    assert (kept[0].pts_ns, kept[-1].pts_ns) == (7 * NS, 10 * NS)
    assert rolling.nbytes == 10 * len(kept)
    rolling.clear()
    assert (rolling.packets(), rolling.nbytes) == ((), 0)


def test_nothing_is_kept_before_the_first_key() -> None:
    """It could not be decoded."""
    rolling = Rolling(1.0)
    rolling.add(packet(0, is_key=False))
    assert rolling.packets() == ()


@pytest.mark.parametrize(("span_s", "max_bytes"), [(-1.0, 1), (float("nan"), 1), (1.0, 0)])
def test_a_span_and_room_are_needed(span_s: float, max_bytes: int) -> None:
    """The message has what it got."""
    with pytest.raises(ValueError, match="a span of 0 s and 1 byte at least, got"):
        Rolling(span_s, max_bytes=max_bytes)


@given(
    st.lists(st.tuples(st.integers(1, 3 * NS), st.booleans(), st.integers(1, 60)), min_size=1, max_size=60),
    st.floats(0, 5),
    st.integers(1, 300),
)
def test_it_is_bounded_whole_and_no_longer_than_needed(
    steps: list[tuple[int, bool, int]], span_s: float, max_bytes: int
) -> None:
    """Always: within its bytes, an unbroken end of the stream from a key on, and no second too many."""
    rolling, all_packets, now_ns = Rolling(span_s, max_bytes=max_bytes), [], 0
    for step_ns, is_key, nbytes in steps:
        now_ns += step_ns
        all_packets.append(packet(now_ns, is_key=is_key, nbytes=nbytes))
        rolling.add(all_packets[-1])
        kept = rolling.packets()
        assert rolling.nbytes == sum(len(one.data) for one in kept) <= max_bytes
        if not kept:
            continue
        assert kept[0].is_key
        assert list(kept) == all_packets[-len(kept) :]
        later_keys = [one.pts_ns for one in kept[1:] if one.is_key]
        assert all(pts_ns > now_ns - round(span_s * NS) for pts_ns in later_keys)
