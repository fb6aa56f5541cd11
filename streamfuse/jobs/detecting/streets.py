"""Scenes of synthetic streets, whose every object is known to the pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from streamfuse.config.training_detector import DetectorStreets
from streamfuse.frames import Image
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.warp import Registration
from streamfuse.io.synthetic.spec import Light, StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.jobs.detecting.rendering import Renderer
from streamfuse.jobs.detecting.scene import Scene, Thing

__all__ = ["LEAST_PIXELS", "street_scenes"]

LEAST_PIXELS = 40
"""Objects that show fewer pixels are specks: neither learnt nor asked for."""


def street_scenes(streets: DetectorStreets, classes: Sequence[str], renderer: Renderer) -> Iterator[Scene]:
    """Pictures of each street, with its light's turn."""
    first, count = streets.seeds
    for number in range(count):
        light = Light(streets.lights[number % len(streets.lights)])
        street = Street(StreetSpec(seed=first + number, light=light, cyclists=streets.cyclists))
        registration = _registration(street)
        for moment in range(streets.moments):
            t_s = 1.0 + streets.every_s * moment
            visible = street.visible(t_s)
            seen = Image.from_gray(street.infrared(t_s).astype(np.uint8))
            infrared = gray8(registration.apply(seen, Image.from_rgb(visible)))
            renderings = renderer.render(visible, infrared)
            yield Scene(
                name=f"street-{first + number}-{moment}",
                renderings=renderings,
                things=tuple(
                    Thing(class_id=classes.index(one.class_name), box_xyxy=one.box_xyxy, mask=one.mask)
                    for one in street.truth(t_s)
                    if one.class_name in classes and np.count_nonzero(one.mask) >= LEAST_PIXELS
                ),
            )


def _registration(street: Street) -> Registration:
    """From the infrared camera's view to the visible one's, in which the truth is told."""
    spec = street.spec
    return Registration(
        street.H_visible_from_infrared,
        visible_size_wh=spec.size_wh,
        infrared_size_wh=spec.infrared_wh,
    )
