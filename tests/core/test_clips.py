"""Clips: when the video of an event begins and ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_S
from streamfuse.config.outputs import Clips
from streamfuse.core.clips import ClipBook, ClipTurn
from streamfuse.frames import Event, EventPhase

SETTINGS = Clips(pre_s=2.0, post_s=3.0, max_s=10.0)


def event(name: str = "a", phase: EventPhase = EventPhase.GOING, objects: int = 1) -> Event:
    """One event as a frame shows it."""
    return Event(id=name, rule="person", phase=phase, began_ns=0, objects=objects)


def see(book: ClipBook, at_s: float, *events: Event) -> ClipTurn:
    """Show the book one frame."""
    return book.see(events, round(at_s * NS_PER_S))


def test_a_clip_lasts_until_its_event_is_over_and_the_post_roll_too() -> None:
    """The first frame after the post-roll is not in it any more."""
    book = ClipBook(SETTINGS)
    (begun,) = see(book, 0.0, event(phase=EventPhase.BEGUN)).begun
    assert begun.event.id == "a"
    assert see(book, 1.0, event(objects=3)) == ClipTurn()
    assert see(book, 2.0, event(phase=EventPhase.ENDED)) == ClipTurn()
    assert see(book, 5.0) == ClipTurn()
    ((state, cause),) = see(book, 5.1).over
    assert (cause, state.ended_ns, state.objects_max) == ("ended", 2 * NS_PER_S, 3)


def test_an_event_whose_end_was_missed_ended_when_it_was_seen_last() -> None:
    """A sink may miss the frame that says so."""
    book = ClipBook(SETTINGS)
    see(book, 0.0, event())
    see(book, 1.0, event())
    assert see(book, 3.9) == ClipTurn()
    ((state, cause),) = see(book, 4.1).over
    assert (cause, state.ended_ns) == ("ended", NS_PER_S)


def test_an_event_whose_begin_was_missed_gets_its_clip() -> None:
    """Also one that was over already."""
    book = ClipBook(SETTINGS)
    turn = see(book, 7.0, event("a"), event("b", EventPhase.ENDED))
    assert [state.event.id for state in turn.begun] == ["a", "b"]
    assert [state.event.id for state, _ in see(book, 10.1, event("a")).over] == ["b"]


def test_a_clip_is_never_longer_than_allowed_and_does_not_begin_again() -> None:
    """An event that goes on for ever has one clip."""
    book = ClipBook(SETTINGS)
    turns = [see(book, at_s, event()) for at_s in range(40)]
    assert [len(turn.begun) for turn in turns] == [1] + 39 * [0]
    assert [(index, turn.over[0][1]) for index, turn in enumerate(turns) if turn.over] == [(10, "max_s")]


def test_stopping_ends_all_clips() -> None:
    """What is at hand is finished, and told so."""
    book = ClipBook(SETTINGS)
    see(book, 0.0, event("a"), event("b"))
    assert [(state.event.id, cause) for state, cause in book.stop()] == [("a", "stopped"), ("b", "stopped")]
    assert book.stop() == ()


def test_other_lengths_hold_for_the_clips_at_hand() -> None:
    """A reload takes effect at once."""
    book = ClipBook(SETTINGS)
    see(book, 0.0, event())
    book.reload(Clips(max_s=1.0))
    assert see(book, 1.0, event()).over[0][1] == "max_s"


FRAMES = st.lists(
    st.tuples(st.floats(0, 4), st.dictionaries(st.sampled_from("abcd"), st.sampled_from(EventPhase))),
    max_size=40,
)


@given(FRAMES)
def test_every_event_has_exactly_one_clip_of_bounded_length(
    frames: list[tuple[float, dict[str, EventPhase]]],
) -> None:
    """Whatever a sink misses: a clip that began ends, once, and no event begins twice."""
    book, now_s = ClipBook(SETTINGS), 0.0
    begun: dict[str, int] = {}
    over: list[str] = []
    for later_s, shown in frames:
        now_s += later_s
        turn = see(book, now_s, *(event(name, phase) for name, phase in shown.items()))
        over += [state.event.id for state, _ in turn.over]
        for state in turn.begun:
            assert state.event.id not in begun
            begun[state.event.id] = state.first_ns
        for name in begun.keys() - set(over):
            assert now_s * NS_PER_S - begun[name] <= SETTINGS.max_s * NS_PER_S + 1
    over += [state.event.id for state, _ in book.stop()]
    assert sorted(over) == sorted(begun)
