"""The board of counters in shared memory."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamfuse.errors import RingError
from streamfuse.io.transport.board import FIXED_CELLS, Board


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board with two counters of its own."""
    made = Board.create(tmp_path / "engine.board", ("fused", "dropped.late"))
    yield made
    made.close()


def test_cells_count_from_zero(board: Board) -> None:
    """Counters add, cells are set, and a snapshot has them all by name."""
    board.add("fused")
    board.add("fused", 4)
    board.set("progress", 2**64 - 1)
    assert board.get("fused") == 5
    assert board.snapshot() == {
        "heartbeat_ns": 0,
        "progress": 2**64 - 1,
        "pid": 0,
        "fused": 5,
        "dropped.late": 0,
    }


def test_a_reader_needs_no_schema_and_sees_what_is_written(board: Board) -> None:
    """The names are in the file; a second mapping follows the first."""
    with Board.open(board.path, writable=False) as reader:
        assert reader.names == (*FIXED_CELLS, "fused", "dropped.late")
        board.add("fused", 3)
        assert reader.get("fused") == 3
        with pytest.raises(TypeError, match="read-only"):
            reader.add("fused")


def test_a_sign_of_life_has_time_and_process(board: Board) -> None:
    """A beat says when and who."""
    board.beat(1234)
    assert (board.get("heartbeat_ns"), board.get("pid")) == (1234, os.getpid())


KILLED = """
import os, signal, sys
from pathlib import Path
from streamfuse.io.transport.board import Board
board = Board.open(Path(sys.argv[1]))
for _ in range(1000):
    board.add("fused")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_counters_survive_kill_9(board: Board) -> None:
    """A worker that was killed leaves its numbers, and its successor counts on."""
    for life in (1, 2):
        worker = subprocess.run([sys.executable, "-c", KILLED, str(board.path)], check=False, timeout=60)
        assert worker.returncode == -9
        assert board.get("fused") == 1000 * life


def test_a_board_is_private(board: Board) -> None:
    """Only the user may look at it."""
    assert stat.S_IMODE(board.path.stat().st_mode) == 0o600


def test_an_unknown_cell_is_named_with_those_there_are(board: Board) -> None:
    """A typing error in a name says which names exist."""
    with pytest.raises(RingError, match="no cell 'fusd', only heartbeat_ns, progress, pid, fused"):
        board.add("fusd")


@pytest.mark.parametrize("names", [("a", "a"), ("pid",), ("",), ("a\nb",)])
def test_names_that_cannot_be_told_apart_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Names are different, not empty and of one line."""
    with pytest.raises(ValueError, match="different names"):
        Board.create(tmp_path / "x.board", names)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [(0, b"X", "is not a board"), (8, b"\x07", "version 7, expected 1"), (12, b"\x09", "for 9 cells")],
)
def test_a_segment_that_is_no_board_is_refused(
    board: Board, offset: int, value: bytes, complaint: str
) -> None:
    """A damaged or foreign header is named before anything is read."""
    with board.path.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    with pytest.raises(RingError, match=complaint):
        Board.open(board.path)


def test_a_board_is_not_made_over_another(board: Board) -> None:
    """Creating refuses to wipe counters that exist."""
    with pytest.raises(RingError, match="exists already"):
        Board.create(board.path)
