"""The values of every image as the papers draw them: a panel for each metric, a curve for each set."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from streamfuse.errors import UsageError
from streamfuse.jobs.evaluating.drawing import COLORS, LINES, save, set_labels
from streamfuse.jobs.evaluating.report import FusionReport, in_short
from streamfuse.metrics.fusion import METRICS

__all__ = ["PLOT_SUFFIXES", "check_plot", "write_plot"]

PLOT_SUFFIXES: Final = (".png", ".svg", ".pdf")

_ARROWS: Final = {"higher": " ↑", "lower": " ↓", "neither": ""}
_MARKED: Final = 30
"""Images up to which each has a dot of its own."""
_COLUMNS: Final = 5
_PANEL_INCHES: Final = (4.0, 3.0)
_PANEL_LETTERS: Final = 44
"""Letters of a legend that the width of a panel has room for."""
_LINE_LETTERS: Final = 8
"""Letters in whose place a legend draws a line."""


def check_plot(path: Path) -> None:
    """Make sure that the name says a kind of picture that can be drawn.

    Raises:
        UsageError: another suffix than .png, .svg or .pdf.
    """
    if path.suffix.lower() not in PLOT_SUFFIXES:
        raise UsageError(f"{path}: a plot is a {', '.join(PLOT_SUFFIXES)} file; end its name in one of these")


def write_plot(path: Path, report: FusionReport) -> None:
    """Draw a report; the file appears whole or not at all, and replaces an older one.

    The curve of a set runs through the values of its images, sorted: at x = n it is the value that n
    images do not exceed. Their means stand beside the panel.

    Raises:
        OutputError: the file cannot be written.
    """
    save(_draw(report), path)


def _draw(report: FusionReport) -> Figure:
    columns = min(_COLUMNS, len(report.metrics))
    rows = math.ceil(len(report.metrics) / columns)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(columns * width, rows * height + 1.0), layout="constrained")
    figure.suptitle(
        f"{len(report.stems)} images, {report.convention} convention\n"
        "x: number of images with at most the value y",
        fontsize="medium",
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, metric in zip(panels, report.metrics, strict=False):
        _draw_panel(panel, report, metric)
    for empty in panels[len(report.metrics) :]:
        empty.set_axis_off()
    names = set_labels(tuple(report.sets))
    in_a_row = int(columns * _PANEL_LETTERS / (max(map(len, names)) + _LINE_LETTERS))
    figure.legend(
        panels[0].get_lines(), names, loc="outside lower center", ncols=max(1, in_a_row), frameon=False
    )
    return figure


def _draw_panel(axes: Axes, report: FusionReport, metric: str) -> None:
    unit = f" [{report.unit(metric)}]" if report.unit(metric) else ""
    axes.set_title(f"{metric}{_ARROWS[METRICS[metric].better]}{unit}", fontsize="medium")
    undefined = set(report.undefined(metric))
    for index, (name, images) in enumerate(report.sets.items()):
        values = sorted(image[metric] for stem, image in images.items() if stem not in undefined)
        mean = report.mean(name, metric)
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=COLORS[index % len(COLORS)],
            linestyle=LINES[index // len(COLORS) % len(LINES)],
            marker="o" if len(values) <= _MARKED else None,
            markersize=3,
            label="undefined" if mean is None else in_short(mean),
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    # Beside the panel: there is no corner that all kinds of curves leave free.
    axes.legend(
        title="mean", loc="upper left", bbox_to_anchor=(1, 1), frameon=False, handlelength=1, fontsize="small"
    )
