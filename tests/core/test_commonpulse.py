"""One sign of life of several workers."""

from __future__ import annotations

from streamfuse.core.commonpulse import CommonPulse


def test_it_beats_once_all_have_moved() -> None:
    """However fast one of them is, the count follows the slowest."""
    pulse = CommonPulse()
    first = pulse.beat({"front": 1, "rear": 1})
    assert pulse.beat({"front": 2, "rear": 1}) == first
    assert pulse.beat({"front": 900, "rear": 1}) == first
    assert pulse.beat({"front": 900, "rear": 2}) == first + 1


def test_one_that_stands_still_stops_it() -> None:
    """A lane that hangs is noticed while the others go on."""
    pulse = CommonPulse()
    counts = {pulse.beat({"front": turn, "rear": 7}) for turn in range(2, 50)}
    assert len(counts) == 1


def test_one_that_is_left_out_is_not_waited_for() -> None:
    """A pipeline that has ended does not make the engine look hung."""
    pulse = CommonPulse()
    before = pulse.beat({"front": 1, "rear": 1})
    assert pulse.beat({"front": 2}) == before + 1
    assert pulse.beat({}) == before + 1
