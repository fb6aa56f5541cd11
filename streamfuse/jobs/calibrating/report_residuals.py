"""How each picture of a board fits, as bars; and where in the picture a lens does not, as arrows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from streamfuse.config.rig import MadeBy, PictureNote, ResidualMap

__all__ = ["bars", "residual_map"]

_SERIES: Final = {
    "rms_px": "RMS",
    "visible_rms_px": "RMS in visible",
    "infrared_rms_px": "RMS in infrared",
    "held_out_px": "held out and predicted",
}
"""What a note may tell, in the order of the bars."""
_CELL: Final = 40
"""Of a drawing, in its own units."""
_ARROW: Final = 0.75
"""Of a cell: the longest arrow."""
_FEW: Final = 10
"""Corners in a cell from which it is drawn in full."""


def bars(note: MadeBy) -> str:
    """HTML: a row for each picture, a bar for each of its numbers, and why it was left out."""
    shown = [key for key in _SERIES if any(getattr(each, key) is not None for each in note.pictures)]
    names = dict.fromkeys((*(each.name for each in note.pictures), *note.images_left_out))
    if not names:
        return ""
    notes = {each.name: each for each in note.pictures}
    longest = max((getattr(each, key) or 0.0 for each in note.pictures for key in shown), default=0.0)
    legend = "".join(
        f'<span class="key s{place}">{escape(_SERIES[key])}, px</span>' for place, key in enumerate(shown)
    )
    rows = (
        _row(notes.get(name, PictureNote(name=name)), shown, longest, note.images_left_out) for name in names
    )
    return f'<div class="legend">{legend}</div><div class="bars">{"".join(rows)}</div>'


def _row(note: PictureNote, shown: list[str], longest: float, left_out: Mapping[str, str]) -> str:
    reason = left_out.get(note.name, "")
    lines = []
    for place, key in enumerate(shown):
        value: float | None = getattr(note, key)
        if value is not None:
            width = 100 * value / longest if longest else 0.0
            lines.append(
                f'<div class="line"><i class="s{place}" style="width:{width:.1f}%"></i>'
                f"<b>{value:.2f}</b></div>"
            )
    if reason:
        lines.append(f'<div class="why">left out: {escape(reason)}</div>')
    corners = "" if note.corners is None else f" <small>{note.corners} corners</small>"
    faded = ' class="out"' if reason else ""
    return f"<div{faded}>{escape(note.name)}{corners}</div><div{faded}>{''.join(lines)}</div>"


def residual_map(found: ResidualMap, size_wh: tuple[int, int]) -> str:
    """SVG: the picture in cells, the mean residual of each as an arrow; empty cells are hatched.

    Args:
        found: of one camera.
        size_wh: of its pictures.
    """
    rows, columns = len(found.corners), len(found.corners[0])
    width, height = columns * _CELL, columns * _CELL * size_wh[1] / size_wh[0]
    across, down = _CELL, height / rows
    longest = max(
        (
            math.hypot(x, y)
            for xs, ys in zip(found.dx_px, found.dy_px, strict=True)
            for x, y in zip(xs, ys, strict=True)
        ),
        default=0.0,
    )
    unit_px = _round_px(longest)
    scale = _ARROW * min(across, down) / unit_px
    cells = "".join(_cells(found, across, down, scale))
    key_y = height + 16
    key = (
        f'<path class="arrow" d="M4 {key_y:.0f}h{scale * unit_px:.1f}"/>'
        f'<text x="{scale * unit_px + 10:.0f}" y="{key_y + 4:.0f}">{unit_px:g} px</text>'
        f'<text x="{width:.0f}" y="{key_y + 4:.0f}" text-anchor="end">numbers: corners</text>'
    )
    return (
        f'<svg class="map" viewBox="-1 -1 {width + 2:.0f} {height + 26:.0f}" role="img" '
        f'aria-label="mean residuals over the picture">{cells}{key}</svg>'
    )


def _cells(found: ResidualMap, across: float, down: float, scale: float) -> Iterator[str]:
    for row, counts in enumerate(found.corners):
        for column, count in enumerate(counts):
            x, y = column * across, row * down
            kind = "cell" if count else "cell none"
            yield f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{across:.1f}" height="{down:.1f}"/>'
            if not count:
                continue
            dx, dy = scale * found.dx_px[row][column], scale * found.dy_px[row][column]
            faint = "" if count >= _FEW else ' style="opacity:.45"'
            start = f"{x + (across - dx) / 2:.1f} {y + (down - dy) / 2:.1f}"
            yield f'<path class="arrow"{faint} d="M{start}l{dx:.1f} {dy:.1f}{_head(dx, dy)}"/>'
            yield f'<text class="count" x="{x + 2:.1f}" y="{y + down - 2:.1f}">{count}</text>'


def _head(dx: float, dy: float) -> str:
    """Two strokes back from the tip."""
    length = math.hypot(dx, dy)
    if length < 1.0:
        return ""
    size = min(5.0, 0.5 * length) / length
    back = [(-size * (dx * 0.87 - s * dy * 0.5), -size * (dy * 0.87 + s * dx * 0.5)) for s in (1, -1)]
    return "".join(f"m0 0l{x:.1f} {y:.1f}m{-x:.1f} {-y:.1f}" for x, y in back)


def _round_px(longest: float) -> float:
    """The next of 1, 2, 5, 10 … tenths of a pixel."""
    if longest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(longest))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= longest)
