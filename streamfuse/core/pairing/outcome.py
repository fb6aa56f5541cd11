"""What becomes of the frames that were pushed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from streamfuse.clock import NS_PER_MS
from streamfuse.core.pairing.side import Waiting
from streamfuse.frames import DropCause, PairState, StreamName

__all__ = ["Outcome", "Paired", "Unpaired", "pair_of"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired(Generic[T]):
    """A pair to show."""

    state: PairState
    visible: T | None
    infrared: T | None
    skew_ms: float | None
    """Infrared minus visible capture time, offset applied; None when one is missing."""
    infrared_age_ms: float | None
    """Age of the infrared frame at the time of the pair, at least 0; None when it is missing."""
    timed_by: StreamName
    """The stream whose frame gives the pair its time: the base, or the only one there is."""
    fresh: frozenset[StreamName]
    """The streams whose frame is shown for the first time; the others were reported before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired(Generic[T]):
    """A frame that no pair will show."""

    stream: StreamName
    item: T
    cause: DropCause


Outcome = Paired[T] | Unpaired[T]


def pair_of(state: PairState, base: Waiting[T], other: Waiting[T] | None) -> Paired[T]:
    """The pair of a base frame and its partner, or of any frame alone."""
    frames = {frame.stream: frame for frame in (base, other) if frame}
    visible, infrared = frames.get(StreamName.VISIBLE), frames.get(StreamName.INFRARED)
    skew_ms = age_ms = None
    if infrared:
        age_ms = max(0, base.moment_ns - infrared.moment_ns) / NS_PER_MS
        skew_ms = (infrared.moment_ns - visible.moment_ns) / NS_PER_MS if visible else None
    return Paired(
        state=state,
        visible=visible.item if visible else None,
        infrared=infrared.item if infrared else None,
        skew_ms=skew_ms,
        infrared_age_ms=age_ms,
        timed_by=base.stream,
        fresh=frozenset(stream for stream, frame in frames.items() if not frame.used),
    )
