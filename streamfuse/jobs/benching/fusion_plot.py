"""The benchmark of the fusion as a picture: what a pair costs, and how that grows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from streamfuse.jobs.evaluating.drawing import COLORS, LINES, save

__all__ = ["write_fusion_plot"]

_PANEL_INCHES: Final = (7.0, 3.6)
_BAR_INCHES: Final = 0.3


def write_fusion_plot(path: Path, values: Mapping[str, Any]) -> None:
    """Draw the JSON of a run; the file appears whole or not at all, and replaces an older one.

    Args:
        path: a .png, .svg or .pdf file.
        values: of :meth:`streamfuse.jobs.benching.fusion_report.FusionReport.as_dict`.

    Raises:
        OutputError: the file cannot be written.
    """
    results = values["results"]
    sizes = {tuple(result["size_wh"]) for result in results}
    home = (640, 480) if (640, 480) in sizes else min(sizes)
    bars = [result for result in results if tuple(result["size_wh"]) == home]
    width, height = _PANEL_INCHES
    height = max(height, 1.5 + _BAR_INCHES * (len(bars) + 1))
    panels = 2 if len(sizes) > 1 else 1
    figure = Figure(figsize=(width * panels, height), layout="constrained")
    machine = values["machine"]
    figure.suptitle(f"{machine['processor']}, {machine['cores']} cores", fontsize="medium")
    first, *rest = figure.subplots(1, panels, squeeze=False).flat
    _draw_bars(first, bars, values["reference"]["all"], home)
    for axes in rest:
        _draw_growth(axes, results, values["reference"]["all"])
    save(figure, path)


def _draw_bars(
    axes: Axes,
    bars: Sequence[Mapping[str, Any]],
    references: Sequence[Mapping[str, Any]],
    home: tuple[int, int],
) -> None:
    reference = next(each for each in references if tuple(each["size_wh"]) == home)
    names = ["published network, plain torch float32", *map(_named, bars)]
    times_ms = [reference["ms_per_pair"], *(bar["ms_per_pair"] for bar in bars)]
    words = ["", *(f"{bar['ratio_vs_reference']:.0f}x" for bar in bars)]
    colors = [COLORS[-1], *(COLORS[0] if bar["default"] else COLORS[4] for bar in bars)]
    drawn = axes.barh(names, times_ms, color=colors)
    labels = [f"{ms:.1f} ms  {word}" for ms, word in zip(times_ms, words, strict=True)]
    axes.bar_label(drawn, labels, padding=3, fontsize="small")
    axes.set_xscale("log")
    axes.set_xlim(min(times_ms) / 4, 6 * max(times_ms))  # room for the shortest bar, and for words
    axes.invert_yaxis()
    dark = " (dark: the engine's own choice)" if any(bar["default"] for bar in bars) else ""
    axes.set_title(f"a pair of {home[0]}x{home[1]}, ms{dark}", fontsize="medium")
    axes.grid(axis="x", alpha=0.3)


def _draw_growth(
    axes: Axes, results: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]
) -> None:
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for reference in references:
        lines["published network, plain torch float32"].append(_point(reference))
    for result in results:
        lines[_named(result)].append(_point(result))
    for index, (name, points) in enumerate(lines.items()):
        axes.plot(
            *zip(*sorted(points), strict=True),
            label=name,
            marker="o",
            markersize=4,
            color=COLORS[(index - 1) % len(COLORS)],
            linestyle=LINES[index // len(COLORS) % len(LINES)],
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("megapixels")
    axes.set_title("ms a megapixel (flat: linear in pixels)", fontsize="medium")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize="small")


def _point(result: Mapping[str, Any]) -> tuple[float, float]:
    megapixels = result["size_wh"][0] * result["size_wh"][1] / 1e6
    return megapixels, result["ms_per_pair"] / megapixels


def _named(result: Mapping[str, Any]) -> str:
    name = f"{result['weights']}, {result['backend']} {result['precision']}"
    return name if result["batch"] == 1 else f"{name}, batch {result['batch']}"
