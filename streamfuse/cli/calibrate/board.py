"""``streamfuse calibrate board``: a board to print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from streamfuse.cli.calibrate.options import BoardSpec

__all__ = ["board"]


def board(
    board: BoardSpec,
    out: Annotated[Path, typer.Option(metavar="FILE", help="An .svg or .png file.")],
    dpi: Annotated[int, typer.Option(min=72, max=2400, help="Pixels per inch of a PNG.")] = 300,
    holes: Annotated[
        bool,
        typer.Option(
            "--holes", help="Circles only: outlines for a cutter; a warm sheet behind them shines through."
        ),
    ] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print what was drawn as JSON.")] = False,
) -> None:
    """Draw a calibration board at true size, with a ruler to check the print.

    Print it at 100 % ("actual size"), measure the ruler, and glue it to something flat. For a thermal camera
    warm a printed board (sun, lamp, hair dryer), or cut holes and hold the sheet before something warm.

    Example: streamfuse calibrate board --board chessboard:9x6:25mm --out board.svg
    """
    from streamfuse.geometry.boards.board import Board  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.calibrating.board import BoardDrawing, draw_board  # noqa: PLC0415

    drawn = draw_board(BoardDrawing(board=Board.parse(board), out=out, dpi=dpi, holes=holes))
    if json_out:
        sys.stdout.write(json.dumps(drawn.as_dict(), indent=2) + "\n")
        return
    width, height = drawn.size_mm
    paper = f"fits {drawn.paper}" if drawn.paper else "is larger than A1: have it printed as a poster"
    sys.stdout.write(f"{drawn.path}: {drawn.spec}, {width:.0f} x {height:.0f} mm, {paper}\n")
    if drawn.ruler_mm is not None:
        sys.stdout.write(f"Print it at 100 % and measure: the ruler must be {drawn.ruler_mm:.0f} mm long.\n")
