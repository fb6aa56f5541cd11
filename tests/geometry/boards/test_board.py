"""What a board is, and what a view of it knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import UsageError
from streamfuse.geometry.boards.board import Board, BoardView, same_order

CHESSBOARD = Board.parse("chessboard:9x6:23.1mm")
SPECS = (
    "chessboard:9x6:23.1mm",
    "circles:7x5:30mm",
    "asymmetric-circles:4x11:20mm",
    "charuco:7x5:30mm:22mm:DICT_5X5_100",
)


def view_of(board: Board, matrix: list[list[float]] | None = None, *, inverted: bool = False) -> BoardView:
    """All points of a board through a 2x2 matrix."""
    pixels = 320 + 1000 * board.points[:, :2] @ np.array(matrix or [[1.0, 0.0], [0.0, 1.0]]).T
    return BoardView(board=board, size_wh=(640, 480), ids=board.ids, pixels=pixels, inverted=inverted)


@pytest.mark.parametrize("spec", SPECS)
def test_a_specification_is_read_and_written_back(spec: str) -> None:
    """``spec`` is what ``parse`` reads."""
    assert Board.parse(spec).spec == spec


@given(st.integers(3, 20), st.integers(3, 20), st.decimals("0.1", "500", places=2))
def test_any_chessboard_survives_its_own_words(columns: int, rows: int, side_mm: object) -> None:
    """Sizes and lengths are kept through text."""
    board = Board.parse(f"chessboard:{columns}x{rows}:{side_mm}mm")
    again = Board.parse(board.spec)
    assert (again.columns, again.rows) == (columns, rows)
    assert again.spacing_m == pytest.approx(float(str(side_mm)) / 1e3)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("checkerboard:9x6:20mm", "is no board"),
        ("chessboard:9x6", "has 1 fields"),
        ("chessboard:9:20mm", "got '9'"),
        ("chessboard:9x6:20", "lengths are written like 23.1mm"),
        ("chessboard:2x6:20mm", "3 to 50 columns and rows"),
        ("chessboard:9x6:0mm", "between 0.1 mm and 10 m"),
        ("chessboard:9x6:20mm:15mm", "has 3 fields"),
        ("charuco:7x5:30mm:31mm", "smaller than its square of 30mm"),
        ("charuco:7x5:30mm:22mm:DICT_9", "are called like DICT_5X5_100"),
        ("charuco:12x10:30mm:22mm:DICT_4X4_50", "need 60 markers, DICT_4X4_50 has 50"),
    ],
)
def test_what_is_no_board_is_said(spec: str, words: str) -> None:
    """One sentence names the specification and the mistake."""
    with pytest.raises(UsageError, match=words):
        Board.parse(spec)


def test_points_count_row_by_row_from_the_origin() -> None:
    """Metres, z = 0; every other row of an asymmetric grid is shifted."""
    assert CHESSBOARD.points[:2] == pytest.approx(np.array([[0, 0, 0], [0.0231, 0, 0]]))
    assert CHESSBOARD.points[9] == pytest.approx((0, 0.0231, 0))
    assert Board.parse("asymmetric-circles:4x11:20mm").points[4] == pytest.approx((0.02, 0.02, 0))
    assert len(Board.parse("charuco:7x5:30mm:22mm").points) == 24


@pytest.mark.parametrize(
    ("spec", "turns", "swapping"),
    [
        ("chessboard:9x6:20mm", 2, 1),
        ("chessboard:8x6:20mm", 2, 0),
        ("chessboard:7x7:20mm", 4, 2),
        ("chessboard:6x6:20mm", 4, 0),
        ("circles:7x5:20mm", 2, 0),
        ("asymmetric-circles:4x11:20mm", 1, 0),
        ("asymmetric-circles:4x10:20mm", 2, 0),
        ("charuco:7x5:30mm:22mm", 1, 0),
    ],
)
def test_a_board_knows_in_which_orders_it_looks_the_same(spec: str, turns: int, swapping: int) -> None:
    """Half turns, quarter turns of square boards, and which of them swap the colours."""
    board = Board.parse(spec)
    assert len(board.turns) == turns
    assert sum(board.swaps_colours(order) for order in board.turns) == swapping


@given(st.floats(-85, 85), st.floats(-180, 180), st.sampled_from(SPECS))
def test_a_pair_gets_one_order(roll_deg: float, both_deg: float, spec: str) -> None:
    """Cameras rolled against each other by less than 90 degrees agree after ``same_order``."""
    board = Board.parse(spec)

    def turn(degrees: float) -> list[list[float]]:
        angle = np.radians(degrees)
        return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]

    reference, truth = view_of(board, turn(both_deg)), view_of(board, turn(both_deg + roll_deg))
    for other in truth.turns:
        assert same_order(reference, other).pixels == pytest.approx(truth.pixels)


def test_turning_a_view_twice_brings_it_back() -> None:
    """Colours included, and with corners missing."""
    view = view_of(CHESSBOARD)
    part = BoardView(board=CHESSBOARD, size_wh=(640, 480), ids=view.ids[3:], pixels=view.pixels[3:])
    half = part.turned(CHESSBOARD.turns[1])
    assert half.inverted
    assert half.ids.tolist() == list(range(51))
    again = half.turned(CHESSBOARD.turns[1])
    assert (again.ids.tolist(), again.inverted) == (part.ids.tolist(), False)
    assert again.pixels == pytest.approx(part.pixels)


def test_views_of_different_boards_have_no_common_order() -> None:
    """The error names both."""
    with pytest.raises(ValueError, match=r"chessboard:9x6:23.1mm and of circles:7x5:30mm"):
        same_order(view_of(CHESSBOARD), view_of(Board.parse(SPECS[1])))


@pytest.mark.parametrize(
    ("ids", "pixels", "words"),
    [([0, 1], [[0.0, 0.0]], "2x2"), ([0], [[np.nan, 0.0]], "finite"), ([54], [[0.0, 0.0]], "below 54")],
)
def test_a_view_checks_itself(ids: list[int], pixels: list[list[float]], words: str) -> None:
    """Shapes, numbers and ids."""
    with pytest.raises(ValueError, match=words):
        BoardView(board=CHESSBOARD, size_wh=(64, 48), ids=np.array(ids), pixels=np.array(pixels))
