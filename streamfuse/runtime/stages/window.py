"""Window: shows the fused stream on the screen of this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.thermal import palette
from streamfuse.frames import FusedFrame, Image, Layer
from streamfuse.io.overlay import draw_overlay
from streamfuse.io.window import Window
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.sink import consume

__all__ = ["Look", "draw", "run"]

_MODES: Final = MappingProxyType({"1": "fused", "2": "visible", "3": "infrared", "4": "side"})
_LEAVE: Final = frozenset({"q", "\x1b"})
_HELP: Final = "1 fused  2 visible  3 infrared  4 side by side  b boxes  p palette  q close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a person wants to see; the keys change it."""

    mode: str = "fused"
    """fused, visible, infrared or side: visible and infrared beside each other."""
    boxes: bool = True
    palette: str = palette.NAMES[0]
    """Of infrared, as :func:`streamfuse.core.thermal.palette.named_palette` knows it."""

    def after(self, key: str) -> Look:
        """The look after a key was pressed; keys that mean nothing change nothing."""
        if key in _MODES:
            return replace(self, mode=_MODES[key])
        if key == "b":
            return replace(self, boxes=not self.boxes)
        if key == "p":
            at = palette.NAMES.index(self.palette) + 1
            return replace(self, palette=palette.NAMES[at % len(palette.NAMES)])
        return self


def draw(frame: FusedFrame, look: Look) -> npt.NDArray[np.uint8]:
    """The picture for the window: HxWx3 uint8, R, G, B; black where a camera is silent."""
    names = ("visible", "infrared") if look.mode == "side" else (look.mode,)
    pictures = [_picture(frame, name, look.palette) for name in names]
    if look.boxes:
        pictures = [
            draw_overlay(picture, frame.detections, counts=frame.counts, areas=frame.areas)
            for picture in pictures
        ]
    return np.hstack(pictures)


def run(context: Context) -> None:
    """Show the frames until the stream ends. Closing the window ends the window, not the run."""
    look = Look()
    with Window(f"streamfuse {context.plan.config.name}") as window:
        context.link.send("log", text=f"the window's keys: {_HELP}")

        def turn() -> None:
            nonlocal look
            key = window.key()
            look = look if key is None else look.after(key)
            if key in _LEAVE:
                window.close()

        def show(frame: FusedFrame) -> bool:
            turn()  # under load frames come without a pause
            if window.is_open:
                window.show(draw(frame, look))
            return True

        consume(context, show, on_turn=turn)


def _picture(frame: FusedFrame, name: str, colors: str) -> npt.NDArray[np.uint8]:
    image = frame.image if name == "fused" else frame.layers.get(Layer(name))
    if image is None:
        width, height = frame.image.spec.size_wh
        return np.zeros((height, width, 3), np.uint8)
    return _colored(image, colors) if name == "infrared" else image_to_rgb(image)


def _colored(image: Image, colors: str) -> npt.NDArray[np.uint8]:
    return palette.named_palette(colors)[image.planes[0]]
