"""What a synthetic street is asked to be, from Python or from a ``synthetic://`` URI."""

from __future__ import annotations

import enum
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from streamfuse.errors import SourceError
from streamfuse.io.synthetic.uri import Keys, read_gray16, read_size, values_of

__all__ = ["Light", "StreetSpec"]

_MAX_SIDE = 4096
_MAX_ACTORS = MappingProxyType({"people": 32, "cyclists": 8, "cars": 12})


class Light(enum.StrEnum):
    """Time of day and state of the air."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    SMOKE = "smoke"
    """An overcast afternoon with drifting smoke, opaque to the visible camera alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetSpec:
    """A street and the two cameras that look at it; equal specs render equal bytes.

    Raises:
        ValueError: a value is outside its range; the message names the key, the range and the value.
    """

    seed: int = 0
    light: Light = Light.DUSK
    size_wh: tuple[int, int] = (640, 480)
    """Of the visible image; even sides of 64 to 4096 pixels."""
    infrared_size_wh: tuple[int, int] | None = None
    """Of the infrared image; None: as the visible one."""
    fps: float = 30.0
    infrared_fps: float = 0.0
    """0: as the visible stream."""
    duration_s: float = 0.0
    """0: without end."""
    people: int = 9
    """On foot; riders of bicycles come on top."""
    cyclists: int = 2
    cars: int = 5
    skew_ms: float = 4.0
    """Time of infrared frame ``i`` minus that of visible frame ``i`` at equal rates."""
    gray16: bool = False
    """Raw infrared counts (uint16, 100 per kelvin) instead of 8 bits after AGC."""
    ffc_every_s: float = 0.0
    """Period of the thermal camera's shutter (flat-field correction); 0: never."""
    ffc_s: float = 0.5
    """How long the infrared image stands still at the end of each such period."""
    bump_at_s: float = 0.0
    """When somebody bumps into the infrared camera."""
    bump_px: float = 0.0
    """How far that turns it: the scene is then so many pixels of the visible image farther to the left."""

    def __post_init__(self) -> None:
        for key, (low, high) in _RANGES.items():
            value = getattr(self, key)
            if not low <= value <= high:
                raise ValueError(f"{key} must be within {low:g}..{high:g}, got {value:g}")
        for key, size in (("size_wh", self.size_wh), ("infrared_size_wh", self.infrared_wh)):
            if any(side % 2 or not 64 <= side <= _MAX_SIDE for side in size):
                raise ValueError(f"{key} must be even sides within 64..{_MAX_SIDE}, got {size[0]}x{size[1]}")
        if 0 < self.ffc_every_s <= self.ffc_s:
            raise ValueError(f"ffc_s must be below ffc_every_s = {self.ffc_every_s:g}, got {self.ffc_s:g}")

    @property
    def infrared_wh(self) -> tuple[int, int]:
        """Width and height of the infrared image in pixels."""
        return self.infrared_size_wh or self.size_wh

    @property
    def infrared_rate(self) -> float:
        """Infrared frames per second."""
        return self.infrared_fps or self.fps

    @classmethod
    def from_uri(cls, uri: str) -> StreetSpec:
        """Read ``synthetic://street?seed=7&light=night&size=640x480&fps=25&duration=10``.

        Keys: ``seed``, ``light``, ``size``, ``infrared_size``, ``fps``, ``infrared_fps``, ``duration``,
        ``people``, ``cyclists``, ``cars``, ``skew_ms``, ``format`` (``gray8`` or ``gray16``), ``ffc_every``,
        ``ffc``, ``bump_at`` and ``bump_px``; times in seconds unless the key says otherwise.

        Raises:
            SourceError: another scene, an unknown key, or a value that the key does not take.
        """
        parts = urllib.parse.urlsplit(uri)
        if parts.scheme != "synthetic" or parts.netloc != "street":
            raise SourceError(f"the only synthetic scene is synthetic://street, got {uri!r}")
        try:
            return cls(**values_of(parts.query, _KEYS))
        except ValueError as error:
            raise SourceError(f"synthetic street {uri!r}: {error}") from error


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "seed": (0, 2**63 - 1),
        "fps": (1, 1000),
        "infrared_fps": (0, 1000),
        "duration_s": (0, 1e6),
        **{key: (0, most) for key, most in _MAX_ACTORS.items()},
        "skew_ms": (-1000, 1000),
        "ffc_every_s": (0, 1e6),
        "ffc_s": (0, 1e6),
        "bump_at_s": (0, 1e6),
        "bump_px": (-100, 100),
    }
)


_KEYS: Keys = MappingProxyType(
    {
        "seed": ("seed", int, "a whole number"),
        "light": ("light", Light, "one of " + ", ".join(Light)),
        "size": ("size_wh", read_size, "WIDTHxHEIGHT, for example 640x480"),
        "infrared_size": ("infrared_size_wh", read_size, "WIDTHxHEIGHT, for example 640x480"),
        "fps": ("fps", float, "frames per second"),
        "infrared_fps": ("infrared_fps", float, "frames per second"),
        "duration": ("duration_s", float, "seconds"),
        "people": ("people", int, "a whole number"),
        "cyclists": ("cyclists", int, "a whole number"),
        "cars": ("cars", int, "a whole number"),
        "skew_ms": ("skew_ms", float, "milliseconds"),
        "format": ("gray16", read_gray16, "gray8 or gray16"),
        "ffc_every": ("ffc_every_s", float, "seconds"),
        "ffc": ("ffc_s", float, "seconds"),
        "bump_at": ("bump_at_s", float, "seconds"),
        "bump_px": ("bump_px", float, "pixels"),
    }
)
