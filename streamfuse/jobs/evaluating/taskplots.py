"""The scores of a task as pictures: bars with their intervals, and precision over recall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from streamfuse.jobs.evaluating.detection import DetectionReport
from streamfuse.jobs.evaluating.drawing import COLORS, LINES, Line, save, set_labels
from streamfuse.jobs.evaluating.scores import GroupScores, TaskReport
from streamfuse.metrics.detection import RECALLS

__all__ = ["write_bars", "write_curves"]

_BARS_SHARE: Final = 0.8
"""Of the place of a class that its bars fill."""
_NAMED: Final = 8
"""Letters of a class's name that its place has room for."""
_INCH_LETTERS: Final = 11
"""Letters of a legend that an inch has room for."""
_LINE_LETTERS: Final = 8
"""Letters in whose place a legend draws a line."""


def write_bars(path: Path, report: TaskReport, *, title: str) -> None:
    """Draw the first score of every class: a panel for each group, a bar with its interval for each set.

    Raises:
        OutputError: the file cannot be written.
    """
    parts = list(report.parts())
    classes = [name for name, _ in next(iter(report.whole.sets.values())).rows()]
    width = max(4.5, 0.35 * len(classes) * (len(report.set_names) + 1) + 1.0)
    figure = Figure(figsize=(width, 2.6 * len(parts) + 0.8), layout="constrained")
    panels = figure.subplots(len(parts), 1, squeeze=False, sharex=True)[:, 0]
    for panel, (name, group) in zip(panels, parts, strict=True):
        _draw_bars(panel, group)
        panel.set_title(_part_title(name, group), fontsize="medium", loc="left")
    turned = max(map(len, classes)) > _NAMED
    panels[-1].set_xticks(range(len(classes)), [name.replace("$", r"\$") for name in classes])
    if turned:
        panels[-1].tick_params(axis="x", rotation=30)
    drawn = " with 95 % intervals" if report.resampling.draws else ""
    figure.suptitle(f"{title}{drawn}", fontsize="medium")
    _legend(figure, report.set_names)
    save(figure, path)


def write_curves(path: Path, report: DetectionReport) -> None:
    """Draw precision over recall at an IoU of .5, of all images: a panel for each class.

    Raises:
        OutputError: the file cannot be written.
    """
    shown = [
        (name, truths)
        for name, truths in zip(next(iter(report.curves.values())), report.whole.truths, strict=True)
        if truths
    ]
    figure = Figure(figsize=(3.2 * len(shown), 4.0), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for panel, (class_name, truths) in zip(panels, shown, strict=True):
        for index, set_name in enumerate(report.set_names):
            precision = report.curves[set_name][class_name][0]
            color, line = _style(index)
            # Beyond the last recall that is reached precision is 0, which is no part of the curve.
            reached = max(1, int(np.count_nonzero(precision)))
            panel.plot(RECALLS[:reached], precision[:reached], color=color, linestyle=line)
        panel.set_title(f"{class_name} ({truths})".replace("$", r"\$"), fontsize="medium")
        panel.set(xlabel="recall", xlim=(0, 1), ylim=(0, 1.02))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("precision")
    figure.suptitle(f"precision over recall at IoU .5, {report.whole.images} images", fontsize="medium")
    _legend(figure, report.set_names)
    save(figure, path)


def _draw_bars(axes: Axes, group: GroupScores) -> None:
    width = _BARS_SHARE / len(group.sets)
    for index, scores in enumerate(group.sets.values()):
        color, line = _style(index)
        for place, (_, named) in enumerate(scores.rows()):
            score = next(iter(named.values()))
            if math.isnan(score.value):
                continue
            centre = place - _BARS_SHARE / 2 + (index + 0.5) * width
            axes.bar(centre, score.value, width * 0.9, color=color, alpha=0.85, linestyle=line)
            if score.interval is not None:
                axes.vlines(centre, *score.interval, color="black", linewidth=1)
    axes.set_ylabel(next(iter(next(iter(next(iter(group.sets.values())).classes.values())))))
    axes.set_ylim(0, 1)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _part_title(name: str, group: GroupScores) -> str:
    return f"{name}: {group.images} image{'' if group.images == 1 else 's'}".replace("$", r"\$")


def _style(index: int) -> tuple[str, Line]:
    return COLORS[index % len(COLORS)], LINES[index // len(COLORS) % len(LINES)]


def _legend(figure: Figure, names: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=color, linestyle=line, linewidth=3)
        for color, line in map(_style, range(len(names)))
    ]
    letters = max(map(len, names)) + _LINE_LETTERS
    in_a_row = max(1, int(figure.get_figwidth() * _INCH_LETTERS / letters))
    figure.legend(
        handles, set_labels(names), loc="outside lower center", ncols=min(len(names), in_a_row), frameon=False
    )
