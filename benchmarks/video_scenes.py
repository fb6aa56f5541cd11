"""What the benchmark of steadiness looks at: three real videos, and worst cases made of one of them.

The worst cases change the sources, not the fused frames: what the network makes of them is part of the
question.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamfuse.frames import Image, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.media import VideoSource

__all__ = ["REAL", "SCENES", "Moment"]

Bytes = npt.NDArray[np.uint8]

REAL = ("0111_1716", "0117_1605", "0117_1620")
"""Clips of M3SVD: stairs; people in smoke that clears; the same yard without."""

_BASE = "0117_1620"
_FRAMES = 90
"""Length of a worst case: 3 s at 30 frames per second."""
_EVENT = 30
"""Frame at which something happens in it."""


class Moment(NamedTuple):
    """A registered pair of frames."""

    visible: Image
    """YUV420P, limited range."""
    infrared: Bytes
    """HxW, full range."""
    time_ns: int


def _clip(folder: Path, stem: str) -> Iterator[Moment]:
    """The frames of a real pair of videos, which were taken at the same times."""
    with contextlib.ExitStack() as stack:
        visible, infrared = (
            stack.enter_context(
                contextlib.closing(VideoSource(folder / stream / f"{stem}.mp4", stream=stream))
            )
            for stream in StreamName
        )
        while (seen := visible.read()) is not None and (felt := infrared.read()) is not None:
            yield Moment(seen.image, gray8(felt.image), seen.pts_ns)


def _base(folder: Path) -> Iterator[tuple[int, Moment]]:
    return enumerate(itertools.islice(_clip(folder, _BASE), _FRAMES))


def _lamp(folder: Path) -> Iterator[Moment]:
    """A bright lamp comes in from the right within a second and stays: at last 4 % of the visible image."""
    for index, moment in _base(folder):
        luma = moment.visible.planes[0]
        height, width = luma.shape
        way = min(max(index - _EVENT, 0) / 30, 1.0)
        y, x = np.ogrid[:height, :width]
        disc = np.hypot(y - height / 3, x - width * (1.1 - 0.4 * way)) < 0.13 * height
        yield moment._replace(visible=_with_luma(moment.visible, np.where(disc, 235, luma)))


def _ffc(folder: Path) -> Iterator[Moment]:
    """Flat-field correction: the infrared image stands still for 8 frames and goes on 30 levels brighter."""
    held = None
    for index, moment in _base(folder):
        infrared = moment.infrared
        if index == _EVENT:
            held = infrared
        if held is not None and index < _EVENT + 8:
            infrared = held
        elif held is not None:
            infrared = np.minimum(infrared.astype(np.int16) + 30, 255).astype(np.uint8)
        yield moment._replace(infrared=infrared)


def _fade(folder: Path) -> Iterator[Moment]:
    """Both sources fade to a third within two seconds."""
    for index, moment in _base(folder):
        gain = 1.0 - 2 / 3 * min(index / 60, 1.0)
        yield moment._replace(
            visible=_dimmed(moment.visible, gain), infrared=np.rint(moment.infrared * gain).astype(np.uint8)
        )


def _light(folder: Path) -> Iterator[Moment]:
    """The visible scene is dark until, from one frame to the next, somebody switches on the light."""
    for index, moment in _base(folder):
        yield moment if index >= _EVENT else moment._replace(visible=_dimmed(moment.visible, 0.3))


def _cut(folder: Path) -> Iterator[Moment]:
    """Another scene from one frame to the next, dimmer and flatter than the one before."""
    for (index, before), after in zip(_base(folder), _clip(folder, REAL[0]), strict=False):
        if index < _EVENT:
            yield before
        else:
            infrared = np.rint(after.infrared * 0.5).astype(np.uint8)
            yield Moment(_dimmed(after.visible, 0.5), infrared, before.time_ns)


def _dimmed(image: Image, gain: float) -> Image:
    return _with_luma(image, np.rint((image.planes[0].astype(np.float32) - 16).clip(0) * gain + 16))


def _with_luma(image: Image, luma: npt.NDArray[np.generic]) -> Image:
    return Image(image.spec, (luma.astype(np.uint8), *image.planes[1:]))


def _real(stem: str) -> Callable[[Path], Iterator[Moment]]:
    return lambda folder: _clip(folder, stem)


SCENES: Mapping[str, Callable[[Path], Iterator[Moment]]] = MappingProxyType(
    {stem: _real(stem) for stem in REAL}
    | {"lamp": _lamp, "ffc": _ffc, "fade": _fade, "light": _light, "cut": _cut}
)
"""The moments of each scene, from the folder that holds ``visible`` and ``infrared`` videos."""
