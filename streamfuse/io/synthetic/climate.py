"""Light and warmth: the four settings of the street as numbers.

Light is linear, in units where 1 is the white of the visible image at exposure 1. Temperatures are
apparent ones, in degrees Celsius, as a long-wave camera of emissivity 1 reports them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, Point3, floats
from streamfuse.io.synthetic.spec import Light

__all__ = ["CLIMATES", "Climate"]

Colour = Point3


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """One setting."""

    zenith: Colour
    """Radiance of the sky above."""
    horizon: Colour
    sun: Colour
    """Irradiance of the sun on a surface that faces it; black when it is not up."""
    sun_towards: Colour
    """Direction to the sun, unit length, world frame."""
    ambient: Colour
    """Irradiance of the sky on the ground."""
    cloud: float
    """0..1, share of the sky that clouds cover."""
    lamps: float
    """0..1: street lamps, headlights and windows."""
    exposure: float
    """Gain of the visible camera."""
    grain: float
    """Deviation of the shot noise at white, in units of white."""
    smoke: float
    """Optical density of the smoke in 1/m where it is thickest."""
    air_c: float
    road_c: float
    facade_c: float
    leaves_c: float
    sun_warms_c: float
    """How much warmer a sunlit surface is than the same one in shade."""
    sky_c: tuple[float, float]
    """At the horizon and at the zenith."""
    skin_c: float
    """Of a bare face."""

    @property
    def lit(self) -> bool:
        """Whether lamps are on."""
        return self.lamps > 0.05

    @property
    def sunlit(self) -> bool:
        """Whether the sun is up."""
        return any(self.sun)

    def sky_towards(self, up: Floats) -> Floats:
        """Clear-sky radiance Nx3 in directions with these z components (of unit vectors)."""
        share = np.clip(1.9 * up, 0, 1)[:, None] ** 0.7
        return np.asarray(floats(self.horizon) * (1 - share) + floats(self.zenith) * share)


def _unit(x: float, y: float, z: float) -> Colour:
    length = float(np.sqrt(x * x + y * y + z * z))
    return (x / length, y / length, z / length)


CLIMATES: Mapping[Light, Climate] = MappingProxyType(
    {
        Light.DAY: Climate(
            zenith=(0.26, 0.46, 0.86),
            horizon=(0.80, 0.90, 1.02),
            sun=(2.3, 2.1, 1.75),
            sun_towards=_unit(0.36, -0.5, 0.79),
            ambient=(0.62, 0.72, 0.88),
            cloud=0.45,
            lamps=0.0,
            exposure=0.84,
            grain=0.012,
            smoke=0.0,
            air_c=15.0,
            road_c=19.0,
            facade_c=17.0,
            leaves_c=15.5,
            sun_warms_c=2.6,
            sky_c=(4.0, -24.0),
            skin_c=33.5,
        ),
        Light.DUSK: Climate(
            zenith=(0.035, 0.058, 0.13),
            horizon=(0.50, 0.27, 0.15),
            sun=(0.0, 0.0, 0.0),
            sun_towards=_unit(0.1, 0.9, 0.2),
            ambient=(0.085, 0.095, 0.135),
            cloud=0.55,
            lamps=0.8,
            exposure=1.0,
            grain=0.030,
            smoke=0.0,
            air_c=11.0,
            road_c=14.5,
            facade_c=13.5,
            leaves_c=11.5,
            sun_warms_c=0.0,
            sky_c=(3.0, -25.0),
            skin_c=32.0,
        ),
        Light.NIGHT: Climate(
            zenith=(0.0035, 0.004, 0.0065),
            horizon=(0.018, 0.015, 0.012),
            sun=(0.0, 0.0, 0.0),
            sun_towards=_unit(0.1, 0.9, 0.2),
            ambient=(0.0075, 0.0085, 0.011),
            cloud=0.3,
            lamps=0.75,
            exposure=0.62,
            grain=0.038,
            smoke=0.0,
            air_c=6.0,
            road_c=8.0,
            facade_c=8.5,
            leaves_c=6.0,
            sun_warms_c=0.0,
            sky_c=(-3.0, -32.0),
            skin_c=30.5,
        ),
        Light.SMOKE: Climate(
            zenith=(0.42, 0.46, 0.52),
            horizon=(0.62, 0.60, 0.57),
            sun=(0.0, 0.0, 0.0),
            sun_towards=_unit(0.5, -0.2, 0.8),
            ambient=(0.78, 0.78, 0.76),
            cloud=0.9,
            lamps=0.12,
            exposure=0.95,
            grain=0.016,
            smoke=0.17,
            air_c=13.0,
            road_c=15.0,
            facade_c=14.5,
            leaves_c=13.0,
            sun_warms_c=0.0,
            sky_c=(6.0, -8.0),
            skin_c=33.0,
        ),
    }
)
