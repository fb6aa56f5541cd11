"""Makes pairs of two streams of frames.

One stream is the *base*: every base frame, in its order, looks for its match in the other stream. It
is decided as soon as no frame to come can be the better match, or none is expected in time, and in
``realtime`` after ``max_wait_ms`` at the latest. A stream that falls silent is a state of the pairs,
never a stall.

Every frame pushed is reported exactly once: in the first pair that shows it, or as unpaired.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Generic, TypeVar

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.pairing.outcome import Outcome, Paired, Unpaired, pair_of
from streamfuse.core.pairing.pace import Pace
from streamfuse.core.pairing.policy import OnMissing, PairingMode, PairingPolicy
from streamfuse.core.pairing.rivals import rival_of, rival_takes
from streamfuse.core.pairing.side import CAPACITY, JITTER_NS, NEVER_NS, Side, Waiting
from streamfuse.frames import DropCause, PairState, StreamName

__all__ = ["Pairer"]

_MAX_LATE_RUN = 16
"""So many late frames in a row are no accident: the clock of their stream was set back."""

_WORTH_NS = 10_000
"""Nobody waits for a frame that would be nearer by less: of two as near, the one that is there is taken."""

_CLEARLY = 1.1
"""``slowest``: a stream so many times slower than the base takes over; two alike do not take turns."""

_ALONE = {
    StreamName.VISIBLE: PairState.VISIBLE_ONLY,
    StreamName.INFRARED: PairState.INFRARED_ONLY,
}

T = TypeVar("T")


class Pairer(Generic[T]):
    """Pairs the frames of two streams; ``T`` is whatever stands for a frame.

    Each stream must run forward in time. A frame older than its predecessor is LATE, and so is a
    frame of the other stream of the very same time, since it can never be the nearer one.

    Args:
        policy: becomes the attribute ``policy``, with the base that ``slowest`` has chosen.
    """

    def __init__(self, policy: PairingPolicy) -> None:
        other = policy.base.other
        if policy.mode is PairingMode.SLOWEST and policy.fps(other) < policy.fps(policy.base):
            policy = replace(policy, base=other)
        self.policy = policy
        self._sides: dict[StreamName, Side[T]] = {
            stream: Side(stream, Pace(round(NS_PER_S / policy.fps(stream)), measured=not policy.every_frame))
            for stream in StreamName
        }
        self._outcomes: list[Outcome[T]] = []
        self._decided_ns = NEVER_NS  # pairs never go back behind this time
        self._offset_ns = round(policy.offset_ms * NS_PER_MS)
        waits = policy.mode is not PairingMode.HOLD
        self._max_wait_ns = round(policy.max_wait_ms * NS_PER_MS) if waits else 0
        self._max_hold_ns = round(policy.max_hold_ms * NS_PER_MS)
        self._holds = policy.mode is PairingMode.HOLD or policy.on_missing is OnMissing.HOLD
        self._follow_rates()

    @property
    def skew_limit_ms(self) -> float:
        """Largest time between the frames of a match, as it is at present."""
        return self._max_skew_ns / NS_PER_MS

    @property
    def offset_ms(self) -> float:
        """What is added to infrared capture times at present."""
        return self._offset_ns / NS_PER_MS

    def set_offset_ms(self, offset_ms: float) -> None:
        """From now on add this to infrared capture times; frames that wait are moved, too.

        Raises:
            ValueError: it is not finite.
        """
        if not math.isfinite(offset_ms):
            raise ValueError(f"offset_ms must be a finite number, got {offset_ms}")
        by_ns = round(offset_ms * NS_PER_MS) - self._offset_ns
        self._offset_ns += by_ns
        self._sides[StreamName.INFRARED].shift(by_ns)
        if self.policy.base is StreamName.INFRARED:
            self._decided_ns += by_ns

    def push(self, stream: StreamName, item: T, *, capture_ns: int, now_ns: int) -> None:
        """Take a frame in; call :meth:`poll` for what follows from it.

        A full buffer decides its oldest base frame now, or gives up its oldest other frame. In
        ``every_frame`` ask :meth:`room` first, so that this does not happen.
        """
        side = self._sides[stream]
        moment_ns = capture_ns + (self._offset_ns if stream is StreamName.INFRARED else 0)
        frame = Waiting(stream, item, moment_ns, now_ns)
        side.held += 1
        if self._is_late(side, frame):
            self._drop(frame, DropCause.LATE)
            return
        self._sides[stream.other].listen(now_ns)
        if side.hear(moment_ns, now_ns):
            self._follow_rates()
        side.frames.append(frame)
        if len(side.frames) > CAPACITY:
            oldest = side.frames.popleft()
            self._decide(oldest) if side is self._base else self._drop(oldest, DropCause.UNPAIRED)

    def end(self, stream: StreamName) -> None:
        """No frame of this stream will come any more; one that does is LATE."""
        self._sides[stream].ended = True

    def poll(self, now_ns: int) -> list[Outcome[T]]:
        """What can be said by now, pairs in the order of their times."""
        base, other = self._base, self._other
        while base.frames:
            self._forget_before(base.frames[0].moment_ns)
            if not self._can_decide(base.frames[0], now_ns):
                break
            self._decide(base.frames.popleft())
        else:
            self._forget_before(base.newest_ns)
            while other.frames and self._is_abandoned(other.frames[0], now_ns):
                self._give_up(other.frames.popleft())
        outcomes, self._outcomes = self._outcomes, []
        for outcome in outcomes:
            for stream in outcome.fresh if isinstance(outcome, Paired) else (outcome.stream,):
                self._sides[stream].held -= 1
        return outcomes

    def deadline_ns(self) -> int | None:
        """When to poll again if nothing is pushed or ended until then; None: not at all."""
        if self.policy.every_frame:
            return None
        if self._base.frames:
            return self._until_ns(self._base.frames[0])
        unused = (frame for frame in self._other.frames if not frame.used)
        return min((self._silent_from_ns(frame) for frame in unused), default=None)

    def held(self, stream: StreamName) -> int:
        """Frames pushed but not yet reported by :meth:`poll`."""
        return self._sides[stream].held

    def room(self, stream: StreamName) -> int:
        """Frames of the stream that fit before the buffer is full."""
        return CAPACITY - len(self._sides[stream].frames)

    @property
    def _base(self) -> Side[T]:
        return self._sides[self.policy.base]

    @property
    def _other(self) -> Side[T]:
        return self._sides[self.policy.base.other]

    def _follow_rates(self) -> None:
        """What depends on the pace of the streams."""
        base_ns, other_ns = self._base.pace.period_ns, self._other.pace.period_ns
        if self.policy.mode is PairingMode.SLOWEST and other_ns > _CLEARLY * base_ns:
            self._change_base()
            base_ns, other_ns = other_ns, base_ns
        limit_ms = self.policy.skew_limit_ms_of(max(base_ns, other_ns) / NS_PER_MS)
        self._max_skew_ns = round(limit_ms * NS_PER_MS)
        # A base stream is silent when it has missed two frames and nothing could be held any more.
        self._silence_ns = max(self._max_hold_ns, self._max_skew_ns, 2 * base_ns)

    def _change_base(self) -> None:
        """The other stream sets the beat from now on; what waits is settled first."""
        while self._base.frames:
            self._decide(self._base.frames.popleft())
        while self._other.frames:
            self._drop(self._other.frames.popleft(), DropCause.UNPAIRED)
        self.policy = replace(self.policy, base=self.policy.base.other)

    def _is_late(self, side: Side[T], frame: Waiting[T]) -> bool:
        if side.ended:
            return True
        if side is self._base:
            late = frame.moment_ns < max(side.newest_ns, self._decided_ns)
        else:
            late = frame.moment_ns <= side.newest_ns
        side.late_run = side.late_run + 1 if late else 0
        if side.late_run <= _MAX_LATE_RUN or self.policy.every_frame:
            return late
        self._start_anew(side)
        return False

    def _start_anew(self, side: Side[T]) -> None:
        """Follow a stream whose clock was set back."""
        side.late_run = 0
        side.pace.forget()
        if side is self._base:
            self._decided_ns = NEVER_NS
        else:
            while side.frames:
                self._drop(side.frames.popleft(), DropCause.UNPAIRED)

    def _until_ns(self, frame: Waiting[T]) -> int:
        return frame.pushed_ns + self._max_wait_ns

    def _can_decide(self, frame: Waiting[T], now_ns: int) -> bool:
        every_frame, until_ns = self.policy.every_frame, self._until_ns(frame)
        if now_ns >= until_ns and not every_frame:
            return True
        moment_ns, other = frame.moment_ns, self._other
        nearest = other.nearest(moment_ns)
        if not other.knows(moment_ns):
            # Waiting pays if a frame is due that will be nearer, near enough, and there in time.
            within_ns = self._max_skew_ns + JITTER_NS
            if nearest:
                within_ns = min(within_ns, abs(nearest.moment_ns - moment_ns) - _WORTH_NS)
            if every_frame or self._is_due(other, moment_ns, within_ns, frame):
                return False
        return not (self.policy.mode.once and nearest and self._awaits_rival(frame, nearest))

    def _is_due(self, side: Side[T], moment_ns: int, within_ns: int, waiting: Waiting[T]) -> bool:
        return side.may_bring(
            moment_ns,
            within_ns=within_ns,
            since_ns=waiting.pushed_ns,
            until_ns=self._until_ns(waiting),
        )

    def _awaits_rival(self, frame: Waiting[T], nearest: Waiting[T]) -> bool:
        """Whether it is worth while to see if a later base frame takes the match of this one."""
        base, other = self._base, self._other
        gap_ns = nearest.moment_ns - frame.moment_ns
        if nearest.taken or gap_ns > self._max_skew_ns:
            return False
        if rival_takes(nearest, frame, base=base, other=other) is not None:
            return False
        if self.policy.every_frame:
            return True
        rival = rival_of(frame, base)
        if rival is None:
            return self._is_due(base, nearest.moment_ns, gap_ns, frame)
        return self._is_due(other, rival.moment_ns, abs(rival.moment_ns - nearest.moment_ns), frame)

    def _match(self, frame: Waiting[T]) -> Waiting[T] | None:
        sees_past = self.policy.mode is PairingMode.HOLD and self.policy.every_frame
        choose = self._other.newest_until if sees_past else self._other.nearest
        nearest = choose(frame.moment_ns)
        if nearest is None or abs(nearest.moment_ns - frame.moment_ns) > self._max_skew_ns:
            return None
        if not self.policy.mode.once:
            return nearest
        return None if nearest.taken or self._loses(frame, nearest) else nearest

    def _loses(self, frame: Waiting[T], nearest: Waiting[T]) -> bool:
        """Whether a later base frame takes the match of this one, as far as can be said by now."""
        takes = rival_takes(nearest, frame, base=self._base, other=self._other)
        rival = rival_of(frame, self._base)
        if takes is not None or rival is None:
            return bool(takes)
        gap_ns = abs(rival.moment_ns - nearest.moment_ns)
        return not self._is_due(self._other, rival.moment_ns, gap_ns, rival)

    def _decide(self, frame: Waiting[T]) -> None:
        if match := self._match(frame):
            match.taken = True
            self._emit(PairState.MATCHED, frame, match)
        elif self._holds and (older := self._to_hold(frame.moment_ns)):
            self._emit(PairState.HELD, frame, older)
        elif self.policy.on_missing is OnMissing.DROP:
            self._drop(frame, DropCause.UNPAIRED)
        else:
            self._emit(_ALONE[frame.stream], frame)
        self._decided_ns = frame.moment_ns

    def _to_hold(self, moment_ns: int) -> Waiting[T] | None:
        """The newest other frame before a time, unless it is too old."""
        older = self._other.newest_until(moment_ns)
        return older if older and moment_ns - older.moment_ns <= self._max_hold_ns else None

    def _forget_before(self, moment_ns: int) -> None:
        """Drop what no base frame from a time on can want: a newer one not after it is nearer."""
        frames = self._other.frames
        while len(frames) > 1 and frames[1].moment_ns <= moment_ns:
            self._drop(frames.popleft(), DropCause.UNPAIRED)

    def _silent_from_ns(self, frame: Waiting[T]) -> int:
        """When to give up hope that the base stream will bring a partner."""
        return max(self._until_ns(frame), self._base.heard_ns + self._silence_ns)

    def _is_abandoned(self, frame: Waiting[T], now_ns: int) -> bool:
        if self._base.ended:
            return True
        return not self.policy.every_frame and now_ns >= self._silent_from_ns(frame)

    def _give_up(self, frame: Waiting[T]) -> None:
        """Show an other frame alone while the base is silent, unless that would go back in time."""
        passed = frame.used or frame.moment_ns <= self._decided_ns
        if self._base.ended or passed or self.policy.on_missing is OnMissing.DROP:
            self._drop(frame, DropCause.UNPAIRED)
        else:
            self._emit(_ALONE[frame.stream], frame)
            self._decided_ns = frame.moment_ns

    def _drop(self, frame: Waiting[T], cause: DropCause) -> None:
        if not frame.used:
            self._outcomes.append(Unpaired(stream=frame.stream, item=frame.item, cause=cause))

    def _emit(self, state: PairState, base: Waiting[T], other: Waiting[T] | None = None) -> None:
        self._outcomes.append(pair_of(state, base, other))
        for frame in filter(None, (base, other)):
            frame.used = True
