"""The desk where frames become pairs and pairs wait for the network, with every frame on the books."""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

from streamfuse.config.rig import load_rig
from streamfuse.core.account import FrameUses
from streamfuse.core.pairing import OnMissing, Outcome, Paired, Pairer, PairingMode, PairingPolicy
from streamfuse.frames import DropCause, Frame, FramePair, StreamName
from streamfuse.io.transport.board import Board
from streamfuse.runtime import counters as c
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.stages.meter import Meter

__all__ = ["Desk", "Line", "pairing_policy"]

_MAX_HELD: Final = 8
"""``every_frame``: no credit for a stream beyond so many of its frames that wait for partners."""


def pairing_policy(plan: Plan) -> PairingPolicy:
    """How the frames of a pipeline are paired."""
    sync = plan.config.sync
    return PairingPolicy(
        visible_fps=plan.visible.fps,
        infrared_fps=plan.infrared.fps,
        mode=PairingMode(sync.mode),
        base=StreamName(sync.base),
        max_skew_ms=None if sync.max_skew_ms == "auto" else sync.max_skew_ms,
        max_wait_ms=sync.max_wait_ms,
        on_missing=OnMissing(sync.on_missing),
        max_hold_ms=sync.max_hold_ms,
        offset_ms=sync.offset_ms + load_rig(plan.config.rig).time_offset_ms,
        every_frame=plan.every_frame,
    )


class Line(Protocol):
    """Where pairs wait for the network."""

    @property
    def waiting(self) -> int:
        """How many wait."""

    def offer(self, pair: FramePair, now_ns: int) -> list[FramePair]:
        """Put a pair at the end, and return those that it has pushed out."""

    def withdraw(self) -> list[FramePair]:
        """Take back what waits."""


class Desk:
    """Pairs frames, puts the pairs in line, and counts what becomes of each frame on the board.

    Args:
        policy: how frames are paired.
        line: where pairs wait for the network.
        max_batch: most pairs that the network takes at once.
        board: the engine's counters.
        meter: told of each pair.
    """

    def __init__(
        self, policy: PairingPolicy, line: Line, *, max_batch: int, board: Board, meter: Meter
    ) -> None:
        self._every_frame = policy.every_frame
        self._pairer: Pairer[Frame] = Pairer(policy)
        self._line = line
        self._max_batch = max_batch
        self._board = board
        self._meter = meter
        self._giving_up = False
        self._uses = {
            stream: FrameUses(
                on_emitted=partial(board.add, c.emitted(stream)),
                on_dropped=partial(self._count_unused, stream),
            )
            for stream in StreamName
        }

    @property
    def is_empty(self) -> bool:
        """Whether no frame waits here, neither for a partner nor for the network."""
        return not (self._line.waiting or any(map(self._pairer.held, StreamName)))

    def accept(self, frame: Frame, now_ns: int) -> None:
        """Take in a frame that has arrived."""
        self._pairer.push(frame.stream, frame, capture_ns=frame.capture_ns, now_ns=now_ns)

    def set_offset_ms(self, offset_ms: float) -> None:
        """From now on add this to infrared capture times."""
        self._pairer.set_offset_ms(offset_ms)

    def end(self, stream: StreamName) -> None:
        """No frame of this stream will come any more."""
        self._pairer.end(stream)

    def wants(self, stream: StreamName) -> bool:
        """Whether more frames of a stream are welcome; in ``realtime`` always."""
        if not self._every_frame:
            return True
        has_room = self._line.waiting < self._max_batch
        return has_room and self._pairer.held(stream) < _MAX_HELD

    def decide(self, now_ns: int) -> None:
        """Make the pairs that can be made by now."""
        for outcome in self._pairer.poll(now_ns):
            self._take(outcome, now_ns)

    def deadline_ns(self) -> int | None:
        """When there is something to decide even if nothing arrives."""
        return self._pairer.deadline_ns()

    def emitted(self, pair: FramePair) -> None:
        """Count a pair that goes to the sinks."""
        for frame in _frames(pair):
            self._uses[frame.stream].emitted(frame.seq)
        self._board.add(c.pairs(pair.state))
        self._board.add(c.FUSED)

    def drop(self, pair: FramePair) -> None:
        """Count a pair that will not be fused."""
        for frame in _frames(pair):
            self._uses[frame.stream].dropped(frame.seq)

    def note_held(self) -> None:
        """Put on the board how many frames are here at this moment."""
        for stream in StreamName:
            self._board.set(c.held(stream), self._pairer.held(stream) + self._uses[stream].undecided)

    def stop_line(self) -> None:
        """Let no pair that still waits come to the network: the run is over before its turn."""
        self._giving_up = True
        for pair in self._line.withdraw():
            self.drop(pair)

    def give_up(self) -> None:
        """Drop whatever is still here."""
        self.stop_line()
        for stream in StreamName:
            self._uses[stream].end()
            self._board.add(c.dropped(stream, DropCause.STOPPED), self._pairer.held(stream))
            self._board.set(c.held(stream), 0)

    def _take(self, outcome: Outcome[Frame], now_ns: int) -> None:
        if not isinstance(outcome, Paired):
            self._board.add(c.dropped(outcome.stream, outcome.cause))
            return
        pair = FramePair(
            pair_id=self._board.get(c.PAIRED),
            state=outcome.state,
            visible=outcome.visible,
            infrared=outcome.infrared,
            skew_ms=outcome.skew_ms,
            infrared_age_ms=outcome.infrared_age_ms,
            timed_by=outcome.timed_by,
        )
        self._board.add(c.PAIRED)
        self._meter.paired(pair, now_ns)
        for frame in _frames(pair):
            self._uses[frame.stream].paired(frame.seq)
        for replaced in self._line.offer(pair, now_ns):
            self.drop(replaced)

    def _count_unused(self, stream: StreamName) -> None:
        cause = DropCause.STOPPED if self._giving_up else DropCause.ENGINE_BUSY
        self._board.add(c.dropped(stream, cause))


def _frames(pair: FramePair) -> list[Frame]:
    return [frame for frame in (pair.visible, pair.infrared) if frame is not None]
