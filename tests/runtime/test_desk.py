"""The desk's books: every frame that comes in is emitted or dropped with a cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_MS
from streamfuse.core.pairing import PairingPolicy
from streamfuse.core.sharing import LanePolicy, SharedBatcher
from streamfuse.frames import DropCause, Frame, FramePair, Image, StreamName
from streamfuse.io.transport.board import Board
from streamfuse.runtime import counters as c
from streamfuse.runtime.stages.desk import Desk
from streamfuse.runtime.stages.meter import Meter

IMAGE = Image.from_gray(np.zeros((2, 2), np.uint8))
PERIOD_MS = 40


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """An engine's board."""
    with Board.create(tmp_path / "engine.board", c.counters_of(c.ENGINE)) as made:
        yield made


class Waiting:
    """A line that pairs leave when the test says so; in realtime it holds one batch of two."""

    def __init__(self, *, newest_wins: bool) -> None:
        self._batcher: SharedBatcher[FramePair] = SharedBatcher()
        policy = LanePolicy(
            max_batch=2,
            max_delay_ms=0,
            capacity=2 if newest_wins else 80,
            newest_wins=newest_wins,
            max_out=99,
        )
        self._batcher.open("", policy)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._batcher.waiting("")

    def offer(self, pair: FramePair, now_ns: int) -> list[FramePair]:
        """Put a pair at the end."""
        return self._batcher.add("", pair, now_ns)

    def withdraw(self) -> list[FramePair]:
        """Take back what waits."""
        return self._batcher.withdraw("")

    def take(self) -> list[FramePair]:
        """What the network takes when it is free."""
        batch = self._batcher.take(10**15).get("", [])
        self._batcher.settle("", len(batch))
        return batch


def desk_on(board: Board, *, every_frame: bool = False) -> tuple[Desk, Waiting]:
    """A desk for two cameras of 25 frames per second, and its line."""
    policy = PairingPolicy(visible_fps=25, infrared_fps=25, every_frame=every_frame)
    line = Waiting(newest_wins=not every_frame)
    return Desk(policy, line, max_batch=2, board=board, meter=Meter(from_arrival=False)), line


def frame(stream: StreamName, seq: int) -> Frame:
    """Frame number ``seq``, on time."""
    at_ns = (seq + 1) * PERIOD_MS * NS_PER_MS
    return Frame(stream=stream, seq=seq, image=IMAGE, pts_ns=at_ns, capture_ns=at_ns, arrival_ns=at_ns)


def accounted(board: Board, stream: StreamName) -> int:
    """Frames of a stream that were emitted or dropped."""
    return board.get(c.emitted(stream)) + sum(board.get(c.dropped(stream, cause)) for cause in DropCause)


def test_a_pair_that_is_replaced_by_newer_ones_is_counted_for_both_streams(board: Board) -> None:
    """While the network is busy only one batch waits; older pairs fall off, both halves together."""
    desk, line = desk_on(board)
    for seq in range(5):
        for stream in StreamName:
            desk.accept(frame(stream, seq), 0)
    desk.decide(10**12)
    batch = line.take()
    assert [pair.pair_id for pair in batch] == [3, 4]
    for pair in batch:
        desk.emitted(pair)
    for stream in StreamName:
        assert board.get(c.emitted(stream)) == 2
        assert board.get(c.dropped(stream, DropCause.ENGINE_BUSY)) == 3


def test_what_waits_when_the_run_stops_is_dropped_as_stopped(board: Board) -> None:
    """Pairs in line and frames without a partner both end on the books."""
    desk, _ = desk_on(board)
    for stream in StreamName:
        desk.accept(frame(stream, 0), 0)
    desk.decide(10**12)
    desk.accept(frame(StreamName.VISIBLE, 1), 10**12)
    desk.give_up()
    assert board.get(c.dropped(StreamName.VISIBLE, DropCause.STOPPED)) == 2
    assert board.get(c.dropped(StreamName.INFRARED, DropCause.STOPPED)) == 1


def test_pair_ids_stay_unique_over_a_restart(board: Board) -> None:
    """An engine that replaces a killed one goes on counting, pairs that were never fused included."""
    first, _ = desk_on(board)
    for seq in range(3):
        for stream in StreamName:
            first.accept(frame(stream, seq), 0)
    first.decide(10**12)
    second, line = desk_on(board)
    for stream in StreamName:
        second.accept(frame(stream, 3), 0)
    second.decide(10**12)
    assert [pair.pair_id for pair in line.take()] == [3]


def test_every_frame_withholds_credit_while_a_batch_waits(board: Board) -> None:
    """Back-pressure begins when one batch is ready and ends when it is taken."""
    desk, line = desk_on(board, every_frame=True)
    assert desk.wants(StreamName.VISIBLE)
    for seq in range(3):
        for stream in StreamName:
            desk.accept(frame(stream, seq), 0)
    desk.decide(0)
    assert not desk.wants(StreamName.VISIBLE)
    assert len(line.take()) == 2
    assert desk.wants(StreamName.VISIBLE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    arrivals=st.lists(st.tuples(st.sampled_from(list(StreamName)), st.integers(1, 3)), max_size=60),
    taken_every=st.integers(1, 9),
)
def test_the_books_balance_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[StreamName, int]], taken_every: int
) -> None:
    """For any interleaving, gaps and pace of the network: accepted = emitted + dropped."""
    path = tmp_path_factory.mktemp("desk") / "engine.board"
    with Board.create(path, c.counters_of(c.ENGINE)) as board:
        desk, line = desk_on(board)
        seqs = dict.fromkeys(StreamName, -1)
        counts = dict.fromkeys(StreamName, 0)
        for turn, (stream, step) in enumerate(arrivals):
            seqs[stream] += step
            counts[stream] += 1
            now_ns = turn * 15 * NS_PER_MS
            desk.accept(frame(stream, seqs[stream]), now_ns)
            desk.decide(now_ns)
            if turn % taken_every == 0:
                for number, pair in enumerate(line.take()):
                    (desk.drop if (turn + number) % 5 == 0 else desk.emitted)(pair)
        desk.give_up()
        assert {stream: accounted(board, stream) for stream in StreamName} == counts
