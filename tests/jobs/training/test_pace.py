"""Speed and time left, from made-up times."""

from __future__ import annotations

import pytest

from streamfuse.clock import NS_PER_S
from streamfuse.jobs.training.pace import Pace
from streamfuse.jobs.training.plan import Kind


def test_each_kind_of_step_has_its_own_pace() -> None:
    """Ten fusion steps of 2 s, one slow one among them, and segmentation steps of 1 s."""
    pace, now_s = Pace(0), 0
    for kind, seconds in [(Kind.FUSION, 2)] * 9 + [(Kind.FUSION, 60)] + [(Kind.SEGMENTATION, 1)] * 3:
        now_s += seconds
        pace.step_done(kind, now_s * NS_PER_S)
    assert pace.seconds_per_step(Kind.FUSION) == pytest.approx(2)
    assert pace.seconds_left({Kind.FUSION: 10, Kind.SEGMENTATION: 5}) == pytest.approx(25)


def test_a_kind_that_was_not_seen_yet_counts_as_the_other() -> None:
    """A guess is better than nothing, and nothing known is 0."""
    pace = Pace(0)
    left = {Kind.FUSION: 2, Kind.SEGMENTATION: 3}
    assert pace.seconds_left(left) == 0
    pace.step_done(Kind.FUSION, 4 * NS_PER_S)
    assert pace.seconds_per_step(Kind.SEGMENTATION) is None
    assert pace.seconds_left(left) == pytest.approx(20)
