"""The fate of frames that several pairs share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.account import FrameUses


class Tally:
    """Counts what FrameUses reports."""

    def __init__(self) -> None:
        self.emitted = 0
        self.dropped = 0
        self.uses = FrameUses(on_emitted=self.emit, on_dropped=self.drop)

    def emit(self) -> None:
        self.emitted += 1

    def drop(self) -> None:
        self.dropped += 1


def test_a_frame_in_two_emitted_pairs_counts_once() -> None:
    """A slow camera's frame that is shown twice was still captured once."""
    tally = Tally()
    tally.uses.paired(0)
    tally.uses.paired(0)
    tally.uses.emitted(0)
    tally.uses.emitted(0)
    assert (tally.emitted, tally.dropped) == (1, 0)


def test_a_frame_whose_first_pair_was_dropped_is_saved_by_the_second() -> None:
    """Dropping one pair does not drop a frame that another pair shows."""
    tally = Tally()
    tally.uses.paired(4)
    tally.uses.dropped(4)
    tally.uses.paired(4)
    tally.uses.emitted(4)
    assert (tally.emitted, tally.dropped) == (1, 0)


def test_a_frame_is_dropped_only_when_no_pair_can_want_it_any_more() -> None:
    """The verdict waits until a newer frame has been paired."""
    tally = Tally()
    tally.uses.paired(0)
    tally.uses.dropped(0)
    assert tally.dropped == 0
    assert tally.uses.undecided == 1
    tally.uses.paired(1)
    assert tally.dropped == 1
    assert tally.uses.undecided == 1


def test_the_end_decides_the_last_frame() -> None:
    """Nothing stays undecided once no pairs are made any more."""
    tally = Tally()
    tally.uses.paired(0)
    tally.uses.dropped(0)
    tally.uses.end()
    assert (tally.emitted, tally.dropped, tally.uses.undecided) == (0, 1, 0)


@given(st.lists(st.tuples(st.integers(1, 4), st.lists(st.booleans(), min_size=4, max_size=4)), max_size=20))
def test_every_frame_is_either_emitted_or_dropped(frames: list[tuple[int, list[bool]]]) -> None:
    """Whatever happens to the pairs, the sum over all frames comes out, and emitted wins."""
    tally = Tally()
    expected = 0
    for seq, (pairs, fates) in enumerate(frames):
        for _ in range(pairs):
            tally.uses.paired(seq)
        for shown in fates[:pairs]:
            (tally.uses.emitted if shown else tally.uses.dropped)(seq)
        expected += any(fates[:pairs])
    tally.uses.end()
    assert tally.emitted == expected
    assert tally.emitted + tally.dropped == len(frames)
    assert tally.uses.undecided == 0
