"""The plot of a report, as a data URI: the page needs no other file."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from streamfuse.jobs.calibrating.report_parallax import LIMITS_PX, Parallax
from streamfuse.jobs.calibrating.report_verdict import metres
from streamfuse.jobs.evaluating.drawing import COLORS

__all__ = ["parallax_plot"]


def parallax_plot(parallaxes: Sequence[Parallax]) -> str:
    """Registration error versus distance for each plane, as SVG in a data URI."""
    fair_px = max(LIMITS_PX)
    ranges = [each.range_m(fair_px) for each in parallaxes]
    nearest = max(min(near for near, _ in ranges) / 2, 0.05)
    farthest = max(far if math.isfinite(far) else 4 * near for near, far in ranges)
    distances = np.geomspace(nearest, 1.5 * farthest, 600)
    figure = Figure(figsize=(7.0, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for place, each in enumerate(parallaxes):
        errors = [each.error_px(float(distance)) for distance in distances]
        style = "-" if place < len(COLORS) - 1 else ":"
        axes.plot(
            distances,
            errors,
            style,
            color=COLORS[place % (len(COLORS) - 1)],
            linewidth=2,
            label=f"plane at {metres(each.plane_distance_m)}",
        )
    for limit_px in LIMITS_PX:
        axes.axhline(limit_px, color=COLORS[-1], linestyle="--", linewidth=0.8)
        axes.annotate(f"{limit_px:g} px", (distances[0], limit_px), (3, 2), textcoords="offset points")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(distances[0], distances[-1])
    axes.set_ylim(0, 4 * fair_px)
    axes.set_xlabel("distance of an object, m")
    axes.set_ylabel("registration error, visible px")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
