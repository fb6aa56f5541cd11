"""The event of a bumped bracket, as the fused frames carry it."""

from __future__ import annotations

from dataclasses import replace

from streamfuse.clock import Utc
from streamfuse.config.pipeline import REGISTRATION_EVENT
from streamfuse.core.bracket import Bump
from streamfuse.core.rules import event_id
from streamfuse.frames import Event, EventPhase

__all__ = ["BumpEvents"]


class BumpEvents:
    """Makes one event of one bump, from the frame that shows it first to the first without it.

    Args:
        utc: labels the beginning in the event's id.
    """

    def __init__(self, utc: Utc) -> None:
        self._utc = utc
        self._going: Event | None = None

    def see(self, bump: Bump | None, *, pair_id: int) -> tuple[Event, ...]:
        """What is to be said of the next frame: nothing, or how the bump stands.

        Args:
            bump: as it was known when the frame was made; None: there is none.
            pair_id: of the frame's pair.
        """
        going = self._going
        if bump is None:
            self._going = None
            return () if going is None else (replace(going, phase=EventPhase.ENDED),)
        shift_px = (bump.misfit.x_px, bump.misfit.y_px)
        if going is None:
            self._going = Event(
                id=event_id(REGISTRATION_EVENT, self._utc.utc_of(bump.began_ns), pair_id),
                rule=REGISTRATION_EVENT,
                phase=EventPhase.BEGUN,
                began_ns=bump.began_ns,
                objects=0,
                shift_px=shift_px,
            )
        else:
            self._going = replace(going, phase=EventPhase.GOING, shift_px=shift_px)
        return (self._going,)
