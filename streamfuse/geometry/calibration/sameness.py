"""Pictures that show the board where another has shown it already: they look like evidence and are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from streamfuse.geometry.boards.board import BoardView

__all__ = ["copies_among"]

_SAME_PX: Final = 1.0
"""Of a picture :data:`_WIDTH_PX` wide: a board that somebody moved has moved farther."""
_WIDTH_PX: Final = 640.0
_MOST: Final = 0.9
"""Of the corners must lie so near: one that was found wrongly makes no new pose."""
_COMMON: Final = 0.5
"""Of the corners must be in both views, of a board that may be partly hidden."""


def copies_among(moments: Mapping[str, Sequence[BoardView | None]]) -> dict[str, str]:
    """Moments that repeat the pose of another one, each with the reason to leave it out.

    Args:
        moments: What each camera saw, by the name of the moment; None: no board was found. A moment is a
            copy if every camera that found the board in it found it there before.
    """
    taken: dict[str, Sequence[BoardView | None]] = {}
    found: dict[str, str] = {}
    for name, views in sorted(moments.items(), key=lambda each: each[1].count(None)):  # whole ones first
        other = next((known for known, seen in taken.items() if _is_copy(views, seen)), None)
        if other is None:
            taken[name] = views
        else:
            found[name] = f"the same pose as {other}"
    return found


def _is_copy(views: Sequence[BoardView | None], known: Sequence[BoardView | None]) -> bool:
    pairs = [(view, before) for view, before in zip(views, known, strict=True) if view is not None]
    return all(before is not None and _is_same(view, before) for view, before in pairs)


def _is_same(view: BoardView, before: BoardView) -> bool:
    """Whether the corners lie on each other, whichever end of the board they were counted from."""
    if view.board != before.board or view.size_wh != before.size_wh:
        return False
    limit_px = _SAME_PX * max(view.size_wh) / _WIDTH_PX
    for turned in view.turns:
        _, ours, theirs = np.intersect1d(turned.ids, before.ids, return_indices=True)
        apart = np.linalg.norm(turned.pixels[ours] - before.pixels[theirs], axis=1)
        enough = len(ours) > 0 and len(ours) >= _COMMON * len(view.ids)
        if enough and np.mean(apart <= limit_px) >= _MOST:
            return True
    return False
