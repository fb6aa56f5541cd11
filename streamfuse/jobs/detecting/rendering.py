"""A pair in the ways a detector is to know it: visible, infrared, fused."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from streamfuse.core.convert import image_to_rgb
from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.frames import Image

__all__ = ["Renderer"]

Rgb = npt.NDArray[np.uint8]
_MODES = (Mode.STREAM, Mode.STEADY)


@dataclass(slots=True)
class Renderer:
    """Makes the renderings of pairs.

    Fused images are made as ``stream`` and as ``steady`` in turn: a detector meets the one in folders and the
    other in pipelines.
    """

    engine: FusionEngine
    kinds: Sequence[str] = ("visible", "infrared", "fused")
    _count: Any = field(default_factory=itertools.count)

    def render(self, visible: Rgb, infrared: npt.NDArray[np.uint8]) -> dict[str, Rgb]:
        """HxWx3 RGB by rendering.

        Args:
            visible: HxWx3 uint8 RGB.
            infrared: HxW uint8, registered to it.
        """
        made: dict[str, Rgb] = {}
        for kind in self.kinds:
            if kind == "visible":
                made[kind] = visible
            elif kind == "infrared":
                made[kind] = np.repeat(infrared[..., None], 3, axis=2)
            else:
                mode = _MODES[next(self._count) % len(_MODES)]
                pair = (Image.from_rgb(visible), Image.from_gray(infrared))
                made[kind] = image_to_rgb(self.engine.fuse_images([pair], mode)[0])
        return made
