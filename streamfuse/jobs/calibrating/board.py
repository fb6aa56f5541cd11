"""Draw a board to print or to cut out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.errors import UsageError
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.boards.drawing import DISK_PART, Sheet, raster, sheet
from streamfuse.geometry.boards.svg import FOOTER_MM, ruler_mm, svg
from streamfuse.io.files import check_writable, write_text
from streamfuse.io.printing import write_printable

__all__ = ["BoardDrawing", "DrawnBoard", "draw_board"]

_PAPERS: Final = {"A4": (210.0, 297.0), "A3": (297.0, 420.0), "A2": (420.0, 594.0), "A1": (594.0, 841.0)}
_MARGIN_MM: Final = 5.0
"""What most printers leave white at each edge."""
_MM_PER_INCH: Final = 25.4
_MOST_PIXELS: Final = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardDrawing:
    """What to draw, and where."""

    board: Board
    out: Path
    """``.svg`` or ``.png``."""
    dpi: int = 300
    """Of a PNG."""
    holes: bool = False
    """Outlines for a machine that cuts the disks out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBoard:
    """What was drawn."""

    path: Path
    spec: str
    size_mm: tuple[float, float]
    """Width and height of the drawing."""
    paper: str | None
    """The smallest paper that it fits at true size, either way round."""
    ruler_mm: float | None
    """Length of the printed ruler."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "path": str(self.path),
            "board": self.spec,
            "size_mm": [round(side, 2) for side in self.size_mm],
            "paper": self.paper,
            "ruler_mm": self.ruler_mm,
        }


def draw_board(job: BoardDrawing) -> DrawnBoard:
    """Write the board at true size.

    Raises:
        UsageError: a file that is neither SVG nor PNG, holes of a board without disks or in pixels, or more
            pixels than are good.
        OutputError: the file cannot be written.
    """
    suffix = job.out.suffix.lower()
    if suffix not in {".svg", ".png"}:
        raise UsageError(f"--out {job.out}: a board is drawn as .svg or .png, got {suffix or 'no ending'}")
    if job.holes and (job.board.kind not in DISK_PART or suffix != ".svg"):
        raise UsageError(
            "--holes is for circles and asymmetric-circles in an .svg file: disks can be cut out"
        )
    printed = sheet(job.board)
    height = printed.height_mm + (0.0 if job.holes else FOOTER_MM)
    caption = f"{job.board.spec} - drawn by streamfuse"
    if suffix == ".png":
        pixels = _pixels(printed, caption, dpi=job.dpi)
        check_writable(job.out.parent)
        write_printable(job.out, pixels, dpi=job.dpi)
    else:
        check_writable(job.out.parent)
        write_text(job.out, svg(printed, caption=caption, holes=job.holes))
    return DrawnBoard(
        path=job.out,
        spec=job.board.spec,
        size_mm=(printed.width_mm, height),
        paper=_paper(printed.width_mm, height),
        ruler_mm=None if job.holes else ruler_mm(printed.width_mm),
    )


def _pixels(printed: Sheet, caption: str, *, dpi: int) -> npt.NDArray[np.uint8]:
    """The sheet and beneath it the ruler and the caption."""
    scale = dpi / _MM_PER_INCH
    count = printed.width_mm * (printed.height_mm + FOOTER_MM) * scale**2
    if count > _MOST_PIXELS:
        raise UsageError(
            f"{count / 1e6:.0f} megapixels at {dpi} dpi are more than {_MOST_PIXELS / 1e6:.0f}; "
            "give a smaller --dpi, or an .svg file"
        )
    board = raster(printed, scale)
    footer = np.full((round(FOOTER_MM * scale), board.shape[1]), 255, np.uint8)
    length, thick = ruler_mm(printed.width_mm), max(round(0.2 * scale), 1)

    def at(x_mm: float, y_mm: float) -> tuple[int, int]:
        return round(x_mm * scale), round(y_mm * scale)

    cv2.line(footer, at(5, 4), at(5 + length, 4), 0, thick)
    for tick in range(round(length / 10) + 1):
        cv2.line(footer, at(5 + 10 * tick, 2.5), at(5 + 10 * tick, 5.5), 0, thick)
    size = 2.2 * scale / cv2.getTextSize("0", cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)[0][1]
    for line, text in ((9.0, f"{length:.0f} mm long if printed at true size (100 %)"), (12.5, caption)):
        cv2.putText(footer, text, at(5, line), cv2.FONT_HERSHEY_SIMPLEX, size, 0, thick, cv2.LINE_AA)
    return np.vstack((board, footer))


def _paper(width_mm: float, height_mm: float) -> str | None:
    short, long = sorted((width_mm, height_mm))
    for name, (across, along) in _PAPERS.items():
        if short <= across - 2 * _MARGIN_MM and long <= along - 2 * _MARGIN_MM:
            return name
    return None
