"""Any instant of a synthetic street, in either camera, with its ground truth."""

from __future__ import annotations

import functools
import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.actors import cast, on_stage
from streamfuse.io.synthetic.arrays import Doubles
from streamfuse.io.synthetic.backdrop import Street3d
from streamfuse.io.synthetic.cameras import homography_visible_from_infrared, infrared_camera, visible_camera
from streamfuse.io.synthetic.climate import CLIMATES
from streamfuse.io.synthetic.infrared import InfraredCamera
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.truth import Surveyor, TruthObject
from streamfuse.io.synthetic.visible import VisibleCamera

__all__ = ["Street"]


class Street:
    """Renders any time of a street; the same time always gives the same bytes.

    What a camera needs is made when it is first asked for an image. Not for use by two threads at once.
    """

    def __init__(self, spec: StreetSpec) -> None:
        self.spec = spec
        climate = CLIMATES[spec.light]
        self._street = Street3d.from_seed(spec.seed, climate)
        self._actors = cast(spec, climate)
        self._eye = visible_camera(spec.size_wh)

    @property
    def H_visible_from_infrared(self) -> Doubles:  # noqa: N802 - H names a matrix
        """3x3, maps homogeneous infrared pixels to visible pixels, at every distance; last element 1.

        Of the cameras as they were mounted: before a bump.
        """
        return homography_visible_from_infrared(self.spec.size_wh, self.spec.infrared_wh)

    def visible(self, t_s: float) -> NDArray[np.uint8]:
        """RGB HxWx3 at a time in seconds."""
        return self._visible.render(on_stage(self._actors, t_s), t_s, self._token(t_s, "visible"))

    def infrared(self, t_s: float) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """HxW at a time in seconds: uint8 after AGC, or with ``gray16`` uint16 in hundredths of a kelvin."""
        t_s = self._shutter(t_s)
        bumped = self.spec.bump_px != 0.0 and t_s >= self.spec.bump_at_s
        camera = self._bumped_infrared if bumped else self._infrared
        counts = camera.render(on_stage(self._actors, t_s), self._token(t_s, "infrared"))
        return counts if self.spec.gray16 else camera.automatic_gain(counts)

    def truth(self, t_s: float) -> tuple[TruthObject, ...]:
        """What the visible camera would see in perfect light and clear air, the farthest first."""
        return self._surveyor.survey(on_stage(self._actors, t_s))

    @functools.cached_property
    def _visible(self) -> VisibleCamera:
        return VisibleCamera(self._street, self._eye)

    @functools.cached_property
    def _infrared(self) -> InfraredCamera:
        return InfraredCamera(self._street, infrared_camera(self._eye, self.spec.infrared_wh))

    @functools.cached_property
    def _bumped_infrared(self) -> InfraredCamera:
        turned = infrared_camera(self._eye, self.spec.infrared_wh, turned_px=self.spec.bump_px)
        return InfraredCamera(self._street, turned)

    @functools.cached_property
    def _surveyor(self) -> Surveyor:
        return Surveyor(self._street, self._eye)

    def _token(self, t_s: float, stream: str) -> int:
        """A number that stands for this frame's noise."""
        text = f"{self.spec.seed}/{stream}/{round(t_s * 1e6)}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")

    def _shutter(self, t_s: float) -> float:
        """The time whose image the infrared camera gives: behind a closed shutter that of the last frame."""
        spec = self.spec
        if not spec.ffc_every_s:
            return t_s
        closes_s = (math.floor(t_s / spec.ffc_every_s) + 1) * spec.ffc_every_s - spec.ffc_s
        if t_s < closes_s - 1e-9:
            return t_s
        skew_s = spec.skew_ms / 1e3
        last = math.ceil((closes_s - skew_s) * spec.infrared_rate - 1e-6) - 1
        return round((last / spec.infrared_rate + skew_s) * 1e9) / 1e9
