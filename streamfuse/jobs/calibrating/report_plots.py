"""The plot and the pictures of a report, as data URIs: the page needs no other file."""

from __future__ import annotations

import base64
import io
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.image import imsave

from streamfuse.core.convert import image_to_rgb
from streamfuse.frames import Image
from streamfuse.geometry.gray import gray8
from streamfuse.jobs.calibrating.report import GOOD_PX, Parallax
from streamfuse.jobs.evaluating.drawing import COLORS

__all__ = ["checkerboard", "edges_over", "parallax_plot", "picture"]

Rgb = npt.NDArray[np.uint8]

_SQUARES: Final = 8
"""Across a checkerboard picture."""
_EDGES: Final = 0.93
"""Quantile of the gradient from which a pixel is drawn as an edge."""
_ORANGE: Final = (255, 140, 0)


def parallax_plot(parallax: Parallax) -> str:
    """Registration error versus distance, as SVG in a data URI."""
    distances = np.geomspace(max(parallax.near_m / 5, 0.05), max(100.0, parallax.near_m * 20), 300)
    errors = [parallax.error_px(float(each)) for each in distances]
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(distances, errors, color=COLORS[0], linewidth=2)
    axes.axhline(GOOD_PX, color=COLORS[1], linestyle="--", label=f"{GOOD_PX:g} px")
    far_m = min(parallax.far_m, float(distances[-1]))
    axes.axvspan(parallax.near_m, far_m, color=COLORS[2], alpha=0.15, label="good")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(distances[0], distances[-1])
    axes.set_ylim(0, max(8 * GOOD_PX, 1.2 * min(errors)))
    axes.set_xlabel("distance of an object, m")
    axes.set_ylabel("registration error, visible px")
    axes.grid(alpha=0.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _uri(buffer.getvalue(), "image/svg+xml")


def picture(rgb: Rgb) -> str:
    """A picture HxWx3 as PNG in a data URI."""
    buffer = io.BytesIO()
    imsave(buffer, rgb, format="png")
    return _uri(buffer.getvalue(), "image/png")


def checkerboard(visible: Image, infrared: Image) -> Rgb:
    """Squares of one and of the other picture in turn; both of one size."""
    left, right = image_to_rgb(visible), gray_rgb(infrared)
    height, width = left.shape[:2]
    side = max(width // _SQUARES, 1)
    rows, columns = np.arange(height) // side, np.arange(width) // side
    odd = (rows[:, None] + columns[None]) % 2 == 1
    return np.where(odd[..., None], right, left)


def edges_over(visible: Image, infrared: Image) -> Rgb:
    """The visible picture, darkened, with the edges of the infrared one in orange."""
    down, across = np.gradient(gray8(infrared).astype(np.float32))
    strength = np.hypot(down, across)
    strong = strength > max(float(np.quantile(strength, _EDGES)), 1.0)
    shown = (image_to_rgb(visible) * 0.65).astype(np.uint8)
    shown[strong] = _ORANGE
    return shown


def gray_rgb(image: Image) -> Rgb:
    """A grey picture as HxWx3."""
    return np.repeat(gray8(image)[..., None], 3, axis=2)


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
