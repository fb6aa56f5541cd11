"""Boards on paper: true sizes, and what the finders find of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.boards.drawing import Disk, raster, sheet
from streamfuse.geometry.boards.finding import find_board
from streamfuse.geometry.boards.svg import ruler_mm, svg

SPECS = (
    "chessboard:9x6:20mm",
    "circles:7x5:30mm",
    "asymmetric-circles:4x11:20mm",
    "charuco:7x5:30mm:22.5mm",
    "charuco:6x6:30mm:22.5mm",
)


@pytest.mark.parametrize("spec", SPECS)
def test_points_lie_on_the_sheet_where_the_origin_says(spec: str) -> None:
    """What is drawn is found again at ``origin_mm`` + points, to a tenth of a pixel."""
    board = Board.parse(spec)
    printed = sheet(board)
    scale = 2.0
    view = find_board(raster(printed, scale), board, thermal=False)
    assert view is not None
    assert view.is_whole
    drawn = (board.points[:, :2] * 1e3 + printed.origin_mm) * scale - 0.5
    assert np.abs(view.pixels - drawn).max() < 0.1


@pytest.mark.parametrize("spec", SPECS)
def test_an_svg_is_as_large_as_the_sheet_and_holds_all_shapes(spec: str) -> None:
    """In millimetres, with the specification and a ruler beneath the board."""
    board = Board.parse(spec)
    printed = sheet(board)
    root = ET.fromstring(svg(printed, caption=board.spec))  # noqa: S314 - we wrote it
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert root.get("width") == f"{printed.width_mm:.3f}mm"
    assert names.count("rect") + names.count("circle") == len(printed.shapes) + 1
    assert board.spec in [element.text for element in root.iter()]
    assert any(f"h{ruler_mm(printed.width_mm):.0f}M" in (each.get("d") or "") for each in root.iter())


def test_holes_are_hairlines_for_a_cutter() -> None:
    """No fill, no ruler; the outline of the sheet is cut, too."""
    printed = sheet(Board.parse("circles:7x5:30mm"))
    text = svg(printed, caption="x", holes=True)
    assert 'fill="black"' not in text
    assert "<path" not in text
    assert text.count("<circle") == 35


def test_disks_do_not_touch() -> None:
    """The nearest ones of both grids leave ground between them, which the measurement needs."""
    for spec in SPECS[1:3]:
        disks = [shape for shape in sheet(Board.parse(spec)).shapes if isinstance(shape, Disk)]
        middles = np.array([(disk.x, disk.y) for disk in disks])
        apart = np.linalg.norm(middles[:, None] - middles[None], axis=2) + 1e3 * np.eye(len(disks))
        assert 2 * disks[0].radius < 0.6 * apart.min()


@pytest.mark.parametrize(("width", "expected"), [(300.0, 100.0), (109.0, 50.0), (31.0, 20.0), (8.0, 10.0)])
def test_the_ruler_fits(width: float, expected: float) -> None:
    """The longest of a few round lengths."""
    assert ruler_mm(width) == expected


def test_a_small_board_has_a_small_sheet() -> None:
    """Lengths scale with the spacing."""
    board = Board.parse(SPECS[0])
    half = replace(board, spacing_m=board.spacing_m / 2)
    assert sheet(half).width_mm == pytest.approx(sheet(board).width_mm / 2)
