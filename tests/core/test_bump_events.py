"""The event of a bumped bracket over the frames that carry it."""

from __future__ import annotations

from streamfuse.clock import NS_PER_S, UtcLabel
from streamfuse.core.bracket import Bump, Misfit
from streamfuse.core.bump_events import BumpEvents
from streamfuse.frames import EventPhase


def bump(x_px: float) -> Bump:
    """A bump that began ten seconds after the beginning of UTC."""
    return Bump(began_ns=10 * NS_PER_S, misfit=Misfit(x_px=x_px, y_px=-1.0))


def test_one_bump_is_one_event_with_the_newest_shift() -> None:
    """Begun, going, ended, all with one id; then the next one has another."""
    events = BumpEvents(UtcLabel(monotonic_ns=0, utc_ns=0))
    story = [None, bump(12.0), bump(11.0), None, None, bump(5.0)]
    told = [events.see(each, pair_id=number) for number, each in enumerate(story)]
    assert [[event.phase for event in each] for each in told] == [
        [],
        [EventPhase.BEGUN],
        [EventPhase.GOING],
        [EventPhase.ENDED],
        [],
        [EventPhase.BEGUN],
    ]
    first, second, last = (each[0] for each in told[1:4])
    assert first.id == second.id == last.id == "19700101T000010Z-registration-1"
    assert [event.shift_px for event in (first, second, last)] == [(12.0, -1.0), (11.0, -1.0), (11.0, -1.0)]
    assert told[5][0].id.endswith("-registration-5")
