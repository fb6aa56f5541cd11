"""The desk where frames become pairs and pairs wait for the network, with every frame on the books."""

from __future__ import annotations

from functools import partial
from typing import Final

from streamfuse.core.account import FrameUses
from streamfuse.core.batching import Batcher, BatchPolicy
from streamfuse.core.pairing import CAPACITY, Outcome, Paired, Pairer, PairingPolicy
from streamfuse.frames import DropCause, Frame, FramePair, StreamName
from streamfuse.io.transport.board import Board
from streamfuse.runtime import counters as c
from streamfuse.runtime.stages.meter import Meter

__all__ = ["Desk"]

_MAX_HELD: Final = 8
"""``every_frame``: no credit for a stream beyond so many of its frames that wait for partners."""


class Desk:
    """Pairs frames, keeps the pairs in line, and counts what becomes of each frame on the board.

    Args:
        policy: how frames are paired.
        max_batch: most pairs in a batch.
        max_delay_ms: longest wait of a pair for company.
        board: the engine's counters.
        meter: told of each pair.
    """

    def __init__(
        self, policy: PairingPolicy, *, max_batch: int, max_delay_ms: float, board: Board, meter: Meter
    ) -> None:
        self._every_frame = policy.every_frame
        self._pairer: Pairer[Frame] = Pairer(policy)
        # In realtime no more than one batch waits: the longer the line, the older the picture.
        self._batcher: Batcher[FramePair] = Batcher(
            BatchPolicy(
                max_batch=max_batch,
                max_delay_ms=max_delay_ms,
                capacity=max_batch + (CAPACITY if policy.every_frame else 0),
                newest_wins=not policy.every_frame,
            )
        )
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
        return not (len(self._batcher) or any(map(self._pairer.held, StreamName)))

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
        has_room = len(self._batcher) < self._batcher.policy.max_batch
        return has_room and self._pairer.held(stream) < _MAX_HELD

    def decide(self, now_ns: int) -> None:
        """Make the pairs that can be made by now."""
        for outcome in self._pairer.poll(now_ns):
            self._take(outcome, now_ns)

    def next_batch(self, now_ns: int, *, flush: bool, limit: int | None) -> list[FramePair]:
        """The pairs to compute now, at most ``limit``; ``flush``: do not wait for company."""
        if flush:
            self._batcher.flush()
        batch = self._batcher.take(now_ns)
        for surplus in batch[limit:] if limit is not None else ():
            self.drop(surplus)
        return batch[:limit]

    def deadline_ns(self, *, idle: bool) -> int | None:
        """When there is something to decide even if nothing arrives; ``idle``: the network is free."""
        moments = (self._pairer.deadline_ns(), self._batcher.deadline_ns() if idle else None)
        return min((moment for moment in moments if moment is not None), default=None)

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

    def give_up(self, now_ns: int) -> None:
        """Drop whatever is still here: the run was stopped before its turn came."""
        self._giving_up = True
        self._batcher.flush()
        while batch := self._batcher.take(now_ns):
            for pair in batch:
                self.drop(pair)
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
        for replaced in self._batcher.add(pair, now_ns):
            self.drop(replaced)

    def _count_unused(self, stream: StreamName) -> None:
        cause = DropCause.STOPPED if self._giving_up else DropCause.ENGINE_BUSY
        self._board.add(c.dropped(stream, cause))


def _frames(pair: FramePair) -> list[Frame]:
    return [frame for frame in (pair.visible, pair.infrared) if frame is not None]
