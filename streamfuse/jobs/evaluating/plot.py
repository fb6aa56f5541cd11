"""The values of every image as the papers draw them: a panel for each metric, a curve for each set."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from streamfuse.errors import OutputError, UsageError
from streamfuse.jobs.evaluating.report import FusionReport, in_short
from streamfuse.metrics.fusion import METRICS

__all__ = ["PLOT_SUFFIXES", "check_plot", "write_plot"]

PLOT_SUFFIXES: Final = (".png", ".svg", ".pdf")

_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Of Okabe and Ito: told apart by people who see few colours."""
_LINES: Final = ("-", "--", ":", "-.")
"""A further set of the same colour has another line."""
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
    figure = _draw(report)
    part = path.with_name(f".{path.name}.part")
    try:
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=120)
        part.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its space"
        ) from error
    finally:
        part.unlink(missing_ok=True)


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
    # Neither a formula ($) nor hidden (_), whatever a folder is called.
    names = [f" {name}".replace("$", r"\$") for name in report.sets]
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
            color=_COLORS[index % len(_COLORS)],
            linestyle=_LINES[index // len(_COLORS) % len(_LINES)],
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
