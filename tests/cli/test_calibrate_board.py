"""``streamfuse calibrate board`` and the job behind it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import typer
from PIL import Image as PillowImage
from typer.testing import CliRunner

from streamfuse.cli.calibrate.board import board as command
from streamfuse.errors import OutputError, UsageError
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.boards.finding import find_board
from streamfuse.jobs.calibrating.board import BoardDrawing, draw_board

CHESSBOARD = Board.parse("chessboard:9x6:20mm")


def test_a_png_has_its_resolution_and_shows_the_board(tmp_path: Path) -> None:
    """200 mm at 100 dpi; what is printed can be found."""
    drawn = draw_board(BoardDrawing(board=CHESSBOARD, out=tmp_path / "sub" / "board.png", dpi=100))
    with PillowImage.open(drawn.path) as picture:
        assert picture.info["dpi"] == pytest.approx((100, 100), abs=0.1)
        assert picture.width == round(drawn.size_mm[0] / 25.4 * 100)
    gray = cv2.imread(str(drawn.path), cv2.IMREAD_GRAYSCALE)
    view = find_board(gray, CHESSBOARD, thermal=False)  # type: ignore[arg-type]
    assert view is not None
    assert view.is_whole


@pytest.mark.parametrize(
    ("spec", "paper"),
    [("chessboard:9x6:20mm", "A4"), ("chessboard:9x6:30mm", "A3"), ("chessboard:9x6:90mm", None)],
)
def test_the_paper_is_the_smallest_that_fits(tmp_path: Path, spec: str, paper: str | None) -> None:
    """With what a printer leaves white."""
    drawn = draw_board(BoardDrawing(board=Board.parse(spec), out=tmp_path / "board.svg"))
    assert drawn.paper == paper


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"out": Path("board.pdf")}, "as .svg or .png, got .pdf"),
        ({"out": Path("board")}, "got no ending"),
        ({"out": Path("board.svg"), "holes": True}, "disks can be cut out"),
        ({"out": Path("board.png"), "dpi": 5000}, "give a smaller --dpi"),
    ],
)
def test_what_cannot_be_drawn_is_refused(job: dict[str, object], words: str) -> None:
    """In one sentence."""
    with pytest.raises(UsageError, match=words):
        draw_board(BoardDrawing(board=CHESSBOARD, **job))  # type: ignore[arg-type]


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    """Nothing is half-written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        draw_board(BoardDrawing(board=CHESSBOARD, out=tmp_path / "file" / "board.svg"))


def test_the_command_says_what_it_drew(tmp_path: Path) -> None:
    """In words, and as JSON."""
    app = typer.Typer()
    app.command()(command)
    words = ["--board", "circles:7x5:30mm", "--out", str(tmp_path / "board.svg")]
    said = CliRunner().invoke(app, words).stdout
    assert "fits A3" in said
    assert "the ruler must be 100 mm long" in said
    told = json.loads(CliRunner().invoke(app, [*words, "--holes", "--json"]).stdout)
    assert told["board"] == "circles:7x5:30mm"
    assert told["ruler_mm"] is None
