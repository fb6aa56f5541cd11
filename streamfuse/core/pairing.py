"""Which infrared frame belongs to which visible frame.

One stream is the *base*: every base frame, in its order, looks for the nearest frame of the other
stream. It is decided as soon as no frame to come can be nearer, and in ``realtime`` after
``max_wait_ms`` at the latest. A stream that falls silent is a state of the pairs, never a stall.

Every frame pushed is reported exactly once: in the first pair that shows it, or as unpaired.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.frames import DropCause, PairState, StreamName

__all__ = ["CAPACITY", "OnMissing", "Outcome", "Paired", "Pairer", "PairingPolicy", "Unpaired"]

CAPACITY = 64
"""Frames kept per stream; one second at 60 frames per second."""

_JITTER_MS = 5.0
"""How far a frame may be from its nominal time without anything being wrong."""

_MAX_LATE_RUN = 16
"""So many late frames in a row are no accident: the clock of their stream was set back."""

_NEVER = -(1 << 63)
"""A time before all times."""

_ALONE = {
    StreamName.VISIBLE: PairState.VISIBLE_ONLY,
    StreamName.INFRARED: PairState.INFRARED_ONLY,
}

T = TypeVar("T")


class OnMissing(enum.StrEnum):
    """What becomes of a base frame without a partner within the skew limit; values as in YAML."""

    HOLD = "hold"
    """It goes with the newest older partner up to ``max_hold_ms`` of age, and alone after that."""
    SINGLE = "visible_only"
    """It goes alone (alone is the infrared frame where infrared is the base)."""
    DROP = "drop"
    """It is dropped: only matched pairs come out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingPolicy:
    """How frames are paired.

    Raises:
        ValueError: a rate is not positive, or a time is negative or not finite.
    """

    visible_fps: float
    """Nominal rate of the visible stream in frames per second."""
    infrared_fps: float
    base: StreamName = StreamName.VISIBLE
    max_skew_ms: float | None = None
    """Largest time between the frames of a matched pair; None: half the slower period plus 5 ms."""
    max_wait_ms: float = 20.0
    """How long a base frame waits for its partner after its push (``realtime`` only)."""
    on_missing: OnMissing = OnMissing.HOLD
    max_hold_ms: float = 250.0
    offset_ms: float = 0.0
    """Added to infrared capture times; positive when the infrared clock is behind."""
    every_frame: bool = False
    """Files: wait for as long as it takes, so that the result does not depend on who came first."""

    def __post_init__(self) -> None:
        for name in ("visible_fps", "infrared_fps"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)}")
        for name in ("max_wait_ms", "max_hold_ms", "skew_limit_ms"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be a number of at least 0, got {getattr(self, name)}")
        if not math.isfinite(self.offset_ms):
            raise ValueError(f"offset_ms must be a finite number, got {self.offset_ms}")

    @property
    def skew_limit_ms(self) -> float:
        """``max_skew_ms`` with the automatic value filled in."""
        if self.max_skew_ms is not None:
            return self.max_skew_ms
        return 500.0 / min(self.visible_fps, self.infrared_fps) + _JITTER_MS

    def fps(self, stream: StreamName) -> float:
        """Nominal rate of a stream in frames per second."""
        return self.visible_fps if stream is StreamName.VISIBLE else self.infrared_fps


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired(Generic[T]):
    """A pair to show."""

    state: PairState
    visible: T | None
    infrared: T | None
    skew_ms: float | None
    """Infrared minus visible capture time, offset applied; None when one is missing."""
    infrared_age_ms: float | None
    """Age of the infrared frame at the base frame's time, at least 0; None when it is missing."""
    fresh: frozenset[StreamName]
    """The streams whose frame is shown for the first time; the others were reported before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaired(Generic[T]):
    """A frame that no pair will show."""

    stream: StreamName
    item: T
    cause: DropCause


Outcome = Paired[T] | Unpaired[T]


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    """A frame that may still be needed; ``moment_ns`` is its capture time with the offset applied."""

    stream: StreamName
    item: T
    moment_ns: int
    pushed_ns: int
    used: bool = False


class Pairer(Generic[T]):
    """Pairs the frames of two streams; ``T`` is whatever stands for a frame.

    Each stream must run forward in time. A frame older than its predecessor is LATE, and so is a
    frame of the other stream of the very same time, since it can never be the nearer one.
    """

    def __init__(self, policy: PairingPolicy) -> None:
        self.policy = policy
        self._base: deque[_Waiting[T]] = deque()
        self._other: deque[_Waiting[T]] = deque()
        self._outcomes: list[Outcome[T]] = []
        self._held = dict.fromkeys(StreamName, 0)
        self._newest_ns = dict.fromkeys(StreamName, _NEVER)
        self._heard_ns = dict.fromkeys(StreamName, _NEVER)  # when the newest was pushed
        self._late_run = dict.fromkeys(StreamName, 0)
        self._ended: set[StreamName] = set()
        self._decided_ns = _NEVER  # pairs never go back behind this time

        self._offset_ns = round(policy.offset_ms * NS_PER_MS)
        self._max_skew_ns = round(policy.skew_limit_ms * NS_PER_MS)
        self._max_wait_ns = round(policy.max_wait_ms * NS_PER_MS)
        self._max_hold_ns = round(policy.max_hold_ms * NS_PER_MS)
        self._jitter_ns = round(_JITTER_MS * NS_PER_MS)
        self._other_period_ns = round(NS_PER_S / policy.fps(policy.base.other))
        # A base stream is silent when it has missed two frames and nothing could be held any more.
        two_periods_ns = round(2 * NS_PER_S / policy.fps(policy.base))
        self._silence_ns = max(self._max_hold_ns, self._max_skew_ns, two_periods_ns)

    def push(self, stream: StreamName, item: T, *, capture_ns: int, now_ns: int) -> None:
        """Take a frame in; call :meth:`poll` for what follows from it.

        A full buffer decides its oldest base frame now, or gives up its oldest other frame. In
        ``every_frame`` ask :meth:`room` first, so that this does not happen.
        """
        moment_ns = capture_ns + (self._offset_ns if stream is StreamName.INFRARED else 0)
        frame = _Waiting(stream, item, moment_ns, now_ns)
        self._held[stream] += 1
        if self._is_late(frame):
            self._drop(frame, DropCause.LATE)
            return
        self._newest_ns[stream], self._heard_ns[stream] = moment_ns, now_ns
        if stream is self.policy.base:
            self._base.append(frame)
            if len(self._base) > CAPACITY:
                self._decide(self._base.popleft())
        else:
            self._other.append(frame)
            if len(self._other) > CAPACITY:
                self._drop(self._other.popleft(), DropCause.UNPAIRED)

    def end(self, stream: StreamName) -> None:
        """No frame of this stream will come any more; one that does is LATE."""
        self._ended.add(stream)

    def poll(self, now_ns: int) -> list[Outcome[T]]:
        """What can be said by now, pairs in the order of their base frames."""
        while self._base:
            self._forget_before(self._base[0].moment_ns)
            if not self._can_decide(self._base[0], now_ns):
                break
            self._decide(self._base.popleft())
        else:
            self._forget_before(self._newest_ns[self.policy.base])
            while self._other and self._is_abandoned(self._other[0], now_ns):
                self._give_up(self._other.popleft())
        outcomes, self._outcomes = self._outcomes, []
        for outcome in outcomes:
            for stream in outcome.fresh if isinstance(outcome, Paired) else (outcome.stream,):
                self._held[stream] -= 1
        return outcomes

    def deadline_ns(self) -> int | None:
        """When to poll again if nothing is pushed or ended until then; None: not at all."""
        if self.policy.every_frame:
            return None
        if self._base:
            return self._base[0].pushed_ns + self._max_wait_ns
        unused = (frame for frame in self._other if not frame.used)
        return min((self._silent_from_ns(frame) for frame in unused), default=None)

    def held(self, stream: StreamName) -> int:
        """Frames pushed but not yet reported by :meth:`poll`."""
        return self._held[stream]

    def room(self, stream: StreamName) -> int:
        """Frames of the stream that fit before the buffer is full."""
        return CAPACITY - len(self._base if stream is self.policy.base else self._other)

    def _is_late(self, frame: _Waiting[T]) -> bool:
        stream = frame.stream
        if stream in self._ended:
            return True
        if stream is self.policy.base:
            late = frame.moment_ns < max(self._newest_ns[stream], self._decided_ns)
        else:
            late = frame.moment_ns <= self._newest_ns[stream]
        self._late_run[stream] = self._late_run[stream] + 1 if late else 0
        if self._late_run[stream] <= _MAX_LATE_RUN or self.policy.every_frame:
            return late
        self._start_anew(stream)
        return False

    def _start_anew(self, stream: StreamName) -> None:
        """Follow a stream whose clock was set back."""
        self._late_run[stream] = 0
        if stream is self.policy.base:
            self._decided_ns = _NEVER
        else:
            while self._other:
                self._drop(self._other.popleft(), DropCause.UNPAIRED)

    def _can_decide(self, frame: _Waiting[T], now_ns: int) -> bool:
        other = self.policy.base.other
        gap_ns = frame.moment_ns - self._newest_ns[other]
        if gap_ns <= 0 or other in self._ended:
            return True
        if self.policy.every_frame:
            return False
        # Waiting pays if the next frame, a period after the newest, will be nearer and come in time.
        until_ns = frame.pushed_ns + self._max_wait_ns
        will_be_nearer = 2 * gap_ns > self._other_period_ns
        will_be_in_time = self._heard_ns[other] + self._other_period_ns <= until_ns + self._jitter_ns
        return not (will_be_nearer and will_be_in_time) or now_ns >= until_ns

    def _decide(self, frame: _Waiting[T]) -> None:
        base = self.policy.base
        nearest = min(self._other, key=lambda other: abs(other.moment_ns - frame.moment_ns), default=None)
        if nearest and abs(nearest.moment_ns - frame.moment_ns) <= self._max_skew_ns:
            self._emit(PairState.MATCHED, frame, nearest)
        elif self.policy.on_missing is OnMissing.DROP:
            self._drop(frame, DropCause.UNPAIRED)
        elif self.policy.on_missing is OnMissing.HOLD and (older := self._to_hold(frame.moment_ns)):
            self._emit(PairState.HELD, frame, older)
        else:
            self._emit(_ALONE[base], frame)
        self._decided_ns = frame.moment_ns

    def _to_hold(self, moment_ns: int) -> _Waiting[T] | None:
        """The newest other frame before a time, unless it is too old."""
        older = [frame for frame in self._other if frame.moment_ns <= moment_ns]
        return older[-1] if older and moment_ns - older[-1].moment_ns <= self._max_hold_ns else None

    def _forget_before(self, moment_ns: int) -> None:
        """Drop what no base frame from a time on can want: a newer one not after it is nearer."""
        while len(self._other) > 1 and self._other[1].moment_ns <= moment_ns:
            self._drop(self._other.popleft(), DropCause.UNPAIRED)

    def _silent_from_ns(self, frame: _Waiting[T]) -> int:
        return max(frame.pushed_ns, self._heard_ns[self.policy.base]) + self._silence_ns

    def _is_abandoned(self, frame: _Waiting[T], now_ns: int) -> bool:
        if self.policy.base in self._ended:
            return True
        return not self.policy.every_frame and now_ns >= self._silent_from_ns(frame)

    def _give_up(self, frame: _Waiting[T]) -> None:
        """Show an other frame alone while the base is silent, unless that would go back in time."""
        ended = self.policy.base in self._ended
        passed = frame.used or frame.moment_ns <= self._decided_ns
        if ended or passed or self.policy.on_missing is OnMissing.DROP:
            self._drop(frame, DropCause.UNPAIRED)
        else:
            self._emit(_ALONE[frame.stream], frame)
            self._decided_ns = frame.moment_ns

    def _drop(self, frame: _Waiting[T], cause: DropCause) -> None:
        if not frame.used:
            self._outcomes.append(Unpaired(stream=frame.stream, item=frame.item, cause=cause))

    def _emit(self, state: PairState, base: _Waiting[T], other: _Waiting[T] | None = None) -> None:
        frames = {frame.stream: frame for frame in (base, other) if frame}
        visible, infrared = frames.get(StreamName.VISIBLE), frames.get(StreamName.INFRARED)
        skew_ms = age_ms = None
        if infrared:
            age_ms = max(0, base.moment_ns - infrared.moment_ns) / NS_PER_MS
            skew_ms = (infrared.moment_ns - visible.moment_ns) / NS_PER_MS if visible else None
        self._outcomes.append(
            Paired(
                state=state,
                visible=visible.item if visible else None,
                infrared=infrared.item if infrared else None,
                skew_ms=skew_ms,
                infrared_age_ms=age_ms,
                fresh=frozenset(stream for stream, frame in frames.items() if not frame.used),
            )
        )
        for frame in frames.values():
            frame.used = True
