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
from streamfuse.frames import DropCause, Frame, Image, StreamName
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


def desk_on(board: Board, *, every_frame: bool = False, max_batch: int = 2) -> Desk:
    """A desk for two cameras of 25 frames per second."""
    policy = PairingPolicy(visible_fps=25, infrared_fps=25, every_frame=every_frame)
    return Desk(policy, max_batch=max_batch, max_delay_ms=0, board=board, meter=Meter(from_arrival=False))


def frame(stream: StreamName, seq: int) -> Frame:
    """Frame number ``seq``, on time."""
    at_ns = (seq + 1) * PERIOD_MS * NS_PER_MS
    return Frame(stream=stream, seq=seq, image=IMAGE, pts_ns=at_ns, capture_ns=at_ns, arrival_ns=at_ns)


def accounted(board: Board, stream: StreamName) -> int:
    """Frames of a stream that were emitted or dropped."""
    return board.get(c.emitted(stream)) + sum(board.get(c.dropped(stream, cause)) for cause in DropCause)


def test_a_pair_that_is_replaced_by_newer_ones_is_counted_for_both_streams(board: Board) -> None:
    """While the network is busy only one batch waits; older pairs fall off, both halves together."""
    desk = desk_on(board)
    for seq in range(5):
        for stream in StreamName:
            desk.accept(frame(stream, seq), 0)
    desk.decide(10**12)
    batch = desk.next_batch(10**12, flush=False, limit=None)
    assert [pair.pair_id for pair in batch] == [3, 4]
    for pair in batch:
        desk.emitted(pair)
    for stream in StreamName:
        assert board.get(c.emitted(stream)) == 2
        assert board.get(c.dropped(stream, DropCause.ENGINE_BUSY)) == 3


def test_what_waits_when_the_run_stops_is_dropped_as_stopped(board: Board) -> None:
    """Pairs in line and frames without a partner both end on the books."""
    desk = desk_on(board)
    for stream in StreamName:
        desk.accept(frame(stream, 0), 0)
    desk.decide(10**12)
    desk.accept(frame(StreamName.VISIBLE, 1), 10**12)
    desk.give_up(10**12)
    assert board.get(c.dropped(StreamName.VISIBLE, DropCause.STOPPED)) == 2
    assert board.get(c.dropped(StreamName.INFRARED, DropCause.STOPPED)) == 1


def test_pair_ids_stay_unique_over_a_restart(board: Board) -> None:
    """An engine that replaces a killed one goes on counting, pairs that were never fused included."""
    first = desk_on(board)
    for seq in range(3):
        for stream in StreamName:
            first.accept(frame(stream, seq), 0)
    first.decide(10**12)
    second = desk_on(board)
    for stream in StreamName:
        second.accept(frame(stream, 3), 0)
    second.decide(10**12)
    assert [pair.pair_id for pair in second.next_batch(10**12, flush=True, limit=None)] == [3]


def test_every_frame_withholds_credit_while_a_batch_waits(board: Board) -> None:
    """Back-pressure begins when one batch is ready and ends when it is taken."""
    desk = desk_on(board, every_frame=True)
    assert desk.wants(StreamName.VISIBLE)
    for seq in range(3):
        for stream in StreamName:
            desk.accept(frame(stream, seq), 0)
    desk.decide(0)
    assert not desk.wants(StreamName.VISIBLE)
    assert len(desk.next_batch(10**12, flush=False, limit=None)) == 2
    assert desk.wants(StreamName.VISIBLE)


def test_a_limit_keeps_surplus_pairs_from_the_network(board: Board) -> None:
    """The last batch is no larger than what is still wanted; the surplus is dropped, not lost."""
    desk = desk_on(board)
    for seq in range(2):
        for stream in StreamName:
            desk.accept(frame(stream, seq), 0)
    desk.decide(10**12)
    (pair,) = desk.next_batch(10**12, flush=True, limit=1)
    desk.emitted(pair)
    desk.give_up(10**12)
    assert [accounted(board, stream) for stream in StreamName] == [2, 2]
    assert board.get(c.FUSED) == 1


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
        desk = desk_on(board)
        seqs = dict.fromkeys(StreamName, -1)
        counts = dict.fromkeys(StreamName, 0)
        for turn, (stream, step) in enumerate(arrivals):
            seqs[stream] += step
            counts[stream] += 1
            now_ns = turn * 15 * NS_PER_MS
            desk.accept(frame(stream, seqs[stream]), now_ns)
            desk.decide(now_ns)
            if turn % taken_every == 0:
                for number, pair in enumerate(desk.next_batch(now_ns, flush=False, limit=None)):
                    (desk.drop if (turn + number) % 5 == 0 else desk.emitted)(pair)
        desk.give_up(10**12)
        assert {stream: accounted(board, stream) for stream in StreamName} == counts
