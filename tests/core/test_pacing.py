"""Playing a recording as if it were a camera."""

from __future__ import annotations

import pytest

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.pacing import Pacer

EPOCH_NS = 7 * NS_PER_S
PACER = Pacer(epoch_ns=EPOCH_NS, fps=25)


def test_frames_are_due_at_their_own_times() -> None:
    """Two recordings keep their mutual timing because both count from one epoch."""
    assert PACER.due_ns(40 * NS_PER_MS) == EPOCH_NS + 40 * NS_PER_MS


def test_a_moments_delay_skips_nothing() -> None:
    """Two frames behind is caught up by reading faster."""
    assert PACER.missed(0, EPOCH_NS + 119 * NS_PER_MS) == 0


def test_a_lasting_delay_skips_to_the_present() -> None:
    """Half a second late at 25 frames a second: twelve frames are past."""
    assert PACER.missed(0, EPOCH_NS + 500 * NS_PER_MS) == 12


def test_a_frame_in_good_time_missed_nothing() -> None:
    """Before its moment a frame is early, not late."""
    assert PACER.missed(NS_PER_S, EPOCH_NS) == 0


def test_a_restarted_reader_goes_on_at_the_present() -> None:
    """Two seconds into the run the next frame is number 50; before the run it is the first."""
    assert PACER.position(EPOCH_NS + 2 * NS_PER_S) == 50
    assert PACER.position(EPOCH_NS - NS_PER_S) == 0


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf")])
def test_a_rate_that_makes_no_sense_is_refused(fps: float) -> None:
    """The message says what came."""
    with pytest.raises(ValueError, match="positive number"):
        Pacer(epoch_ns=0, fps=fps)
