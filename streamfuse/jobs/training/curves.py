"""The loss curves of a run as a picture (by matplotlib)."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from streamfuse.engine.weights import write_atomically

__all__ = ["draw_curves"]

_POINTS = 400
"""Most points of a curve: each stands for the median of the steps around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a curve without a gap."""

    round: int
    steps: list[int]
    values: list[float]


Curve = list[Piece]


def draw_curves(log: Path, picture: Path) -> None:
    """Draw every loss of a log over the steps: fusion steps in one panel, segmentation steps in another.

    Args:
        log: ``losses.jsonl`` of a run.
        picture: PNG file to replace; left as it is while the log has no entry.

    Raises:
        OutputError: the picture cannot be written.
    """
    panels = _panels(log)
    if not panels:
        return
    figure = Figure(figsize=(9, 4 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (stage, curves) in zip(
        figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True
    ):
        _draw(axes, curves)
        axes.set(title=f"{stage} steps", xlabel="step of the run", ylabel="loss", yscale="log")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    write_atomically(picture, content.getvalue())


def _panels(log: Path) -> dict[str, dict[str, Curve]]:
    """Steps and values of each loss, by stage; between the rounds of a joint training a curve has a gap."""
    panels: dict[str, dict[str, Curve]] = defaultdict(lambda: defaultdict(list))
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            step, stage, number = (entry.pop(key) for key in ("step", "stage", "round"))
            for name, value in entry.items():
                pieces = panels[stage][name]
                if not pieces or (pieces[-1].round != number and not name.startswith("validation")):
                    pieces.append(Piece(round=number, steps=[], values=[]))
                pieces[-1].steps.append(step)
                pieces[-1].values.append(value)
    return panels


def _draw(axes: Axes, curves: Mapping[str, Curve]) -> None:
    for number, (name, pieces) in enumerate(curves.items()):
        marker = "o" if name.startswith("validation") else ""
        for piece in pieces:
            label = name if piece is pieces[0] else None
            (line,) = axes.plot(*_thinned(piece.steps, piece.values), label=label, color=f"C{number}")
            line.set(marker=marker, markersize=3, linewidth=1.2)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")


def _thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Medians of equal parts of a long curve; a short one as it is."""
    parts = min(_POINTS, len(steps))
    return (
        [float(np.median(part)) for part in np.array_split(np.asarray(steps), parts)],
        [float(np.median(part)) for part in np.array_split(np.asarray(values), parts)],
    )
