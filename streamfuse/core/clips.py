"""When the clip of an event begins and ends; the pictures are the business of others."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from streamfuse.clock import NS_PER_S
from streamfuse.config.outputs import Clips
from streamfuse.frames import Event, EventPhase

__all__ = ["ClipBook", "ClipCause", "ClipState", "ClipTurn"]

ClipCause = Literal["ended", "max_s", "stopped"]
"""Why a clip ends: ``post_s`` after its event; as long as allowed; because the recording stops."""

_REMEMBERED: Final = 1_000
"""Events whose clips are over; they do not begin again when a late frame shows them once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipState:
    """What is known of the event of a clip."""

    event: Event
    """As the last frame with it had it."""
    first_ns: int
    """Capture time of the first frame that showed it to us."""
    last_ns: int
    """Capture time of the last one."""
    objects_max: int
    """Most objects that counted for it in one frame."""
    ended_ns: int | None = None
    """Capture time at which it was over; None while it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTurn:
    """What one frame begins and ends."""

    begun: tuple[ClipState, ...] = ()
    """Clips that begin with their pre-roll and this frame."""
    over: tuple[tuple[ClipState, ClipCause], ...] = ()
    """Clips that do not get this frame any more."""


class ClipBook:
    """Keeps an account of the clips at hand.

    A sink may miss frames, so an event is new when its id is, and over when it says so or is not there
    any more. An event that was already over when it was seen first still gets its clip.

    Args:
        settings: Lengths before and after an event and at most.
    """

    def __init__(self, settings: Clips) -> None:
        self._settings = settings
        self._open: dict[str, ClipState] = {}
        self._done: deque[str] = deque(maxlen=_REMEMBERED)

    def reload(self, settings: Clips) -> None:
        """Go by other lengths from now on, for the clips at hand as well."""
        self._settings = settings

    def see(self, events: Sequence[Event], capture_ns: int) -> ClipTurn:
        """What the frame captured at ``capture_ns`` (monotonic), which shows ``events``, changes."""
        shown = {event.id: event for event in events}
        over = []
        for event_id, before in list(self._open.items()):
            state = self._open[event_id] = _followed(before, shown.get(event_id), capture_ns)
            cause = self._cause(state, capture_ns)
            if cause is not None:
                over.append((self._close(event_id), cause))
        begun = [
            self._begin(event, capture_ns)
            for event in shown.values()
            if event.id not in self._open and event.id not in self._done
        ]
        return ClipTurn(begun=tuple(begun), over=tuple(over))

    def stop(self) -> tuple[tuple[ClipState, ClipCause], ...]:
        """End all clips at hand."""
        return tuple((self._close(event_id), "stopped") for event_id in list(self._open))

    def _begin(self, event: Event, capture_ns: int) -> ClipState:
        state = ClipState(
            event=event,
            first_ns=capture_ns,
            last_ns=capture_ns,
            objects_max=event.objects,
            ended_ns=capture_ns if event.phase is EventPhase.ENDED else None,
        )
        self._open[event.id] = state
        return state

    def _close(self, event_id: str) -> ClipState:
        self._done.append(event_id)
        return self._open.pop(event_id)

    def _cause(self, state: ClipState, capture_ns: int) -> ClipCause | None:
        if capture_ns - state.first_ns >= self._settings.max_s * NS_PER_S:
            return "max_s"
        is_past = (
            state.ended_ns is not None and capture_ns - state.ended_ns > self._settings.post_s * NS_PER_S
        )
        return "ended" if is_past else None


def _followed(state: ClipState, event: Event | None, capture_ns: int) -> ClipState:
    """The state after a frame that shows the event, or does not."""
    if state.ended_ns is not None:
        return state
    if event is None:  # the frame that ended it was missed
        return replace(state, ended_ns=state.last_ns)
    return replace(
        state,
        event=event,
        last_ns=capture_ns,
        objects_max=max(state.objects_max, event.objects),
        ended_ns=capture_ns if event.phase is EventPhase.ENDED else None,
    )
