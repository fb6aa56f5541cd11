"""A sheet as SVG in millimetres, with a ruler that shows whether it was printed at true size."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from streamfuse.geometry.boards.drawing import Disk, Shape, Sheet

__all__ = ["FOOTER_MM", "ruler_mm", "svg"]

FOOTER_MM: Final = 14.0
"""Height of what is below the board: the ruler and the caption."""
_RULERS: Final = (100.0, 50.0, 20.0, 10.0)


def ruler_mm(width_mm: float) -> float:
    """The longest ruler that fits a sheet of this width."""
    return next((length for length in _RULERS if length <= width_mm - 10), _RULERS[-1])


def svg(printed: Sheet, *, caption: str, holes: bool = False) -> str:
    """The sheet as the text of an SVG file at true size.

    Args:
        printed: what to draw.
        caption: a line of text beneath it.
        holes: shapes and the outline of the sheet are hairlines, as machines that cut want them.
    """
    style = 'fill="none" stroke="red" stroke-width="0.1"' if holes else 'fill="black" stroke="none"'
    width, height = printed.width_mm, printed.height_mm
    total = height if holes else height + FOOTER_MM
    ground = (
        f'<rect width="{width:.3f}" height="{height:.3f}" {style}/>'
        if holes
        else f'<rect width="{width:.3f}" height="{total:.3f}" fill="white"/>'
    )
    size = f'width="{width:.3f}mm" height="{total:.3f}mm" viewBox="0 0 {width:.3f} {total:.3f}"'
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<title>{escape(caption)}</title>",
        ground,
        f'<g {style} shape-rendering="crispEdges">',
        *map(_element, printed.shapes),
        "</g>",
        *(() if holes else _footer(printed, caption)),
        "</svg>",
    )
    return "\n".join(lines) + "\n"


def _element(shape: Shape) -> str:
    if isinstance(shape, Disk):
        return f'<circle cx="{shape.x:.4f}" cy="{shape.y:.4f}" r="{shape.radius:.4f}"/>'
    place = f'x="{shape.left:.4f}" y="{shape.top:.4f}"'
    return f'<rect {place} width="{shape.width:.4f}" height="{shape.height:.4f}"/>'


def _footer(printed: Sheet, caption: str) -> list[str]:
    """A ruler with a tick every 10 mm, and the caption."""
    length = ruler_mm(printed.width_mm)
    left, y = 5.0, printed.height_mm + 4.0
    ticks = "".join(f"M{left + at * 10:.1f} {y - 1.5:.3f}v3" for at in range(round(length / 10) + 1))
    words = f"{length:.0f} mm long if printed at true size (100 %)"
    text = 'font-family="sans-serif" font-size="2.6" fill="black"'
    return [
        f'<path d="M{left} {y:.3f}h{length:.0f}{ticks}" stroke="black" stroke-width="0.2" fill="none"/>',
        f'<text x="{left}" y="{y + 5:.3f}" {text}>{words}</text>',
        f'<text x="{left}" y="{y + 8.5:.3f}" {text}>{escape(caption)}</text>',
    ]
