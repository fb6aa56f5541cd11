"""What a synthetic calibration board is asked to be, from Python or from a ``synthetic://board`` URI."""

from __future__ import annotations

import enum
import math
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from streamfuse.errors import SourceError
from streamfuse.io.synthetic.board_pattern import BoardPattern
from streamfuse.io.synthetic.uri import Keys, read_gray16, read_size, values_of

__all__ = ["BoardSpec", "Inside"]

_MAX_SIDE: Final = 4096


class Inside(enum.StrEnum):
    """Whose picture the whole board stays in."""

    BOTH = "both"
    VISIBLE = "visible"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSpec:
    """A board that somebody moves before the two cameras; equal specs render equal bytes.

    Raises:
        ValueError: a value is outside its range; the message names the key, the range and the value.
    """

    seed: int = 0
    board: str = "chessboard:9x6:23.1mm"
    size_wh: tuple[int, int] = (640, 480)
    """Of the visible image; even sides of 64 to 4096 pixels."""
    infrared_size_wh: tuple[int, int] | None = None
    """Of the infrared image; None: as the visible one."""
    fps: float = 20.0
    duration_s: float = 0.0
    """0: without end."""
    skew_ms: float = 4.0
    """Time of infrared frame ``i`` minus that of visible frame ``i``."""
    gray16: bool = False
    """Raw infrared counts (uint16, 100 per kelvin) instead of 8 bits after AGC."""
    contrast_k: float = 0.6
    """Kelvin between dark and light parts of the board."""
    gradient_k: float = 6.0
    """Kelvin between the coldest and the warmest end of the board."""
    noise_k: float = 0.06
    """Standard deviation of the infrared camera's noise."""
    grain: float = 2.0
    """Standard deviation of the visible camera's noise in grey levels."""
    blur_px: float = 0.7
    """Standard deviation of what each lens spreads a point to."""
    infrared_blur_px: float = 1.0
    inverted: bool = True
    """In infrared the dark parts, which the heat warms most, are the bright ones."""
    inside: Inside = Inside.BOTH
    hold_s: float = 1.5
    """How long the board is held still in each pose."""
    move_s: float = 0.8
    """How long it takes to the next pose."""

    def __post_init__(self) -> None:
        for key, (low, high) in _RANGES.items():
            value = getattr(self, key)
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{key} must be within {low:g}..{high:g}, got {value:g}")
        for key, size in (("size_wh", self.size_wh), ("infrared_size_wh", self.infrared_wh)):
            if any(side % 2 or not 64 <= side <= _MAX_SIDE for side in size):
                raise ValueError(f"{key} must be even sides within 64..{_MAX_SIDE}, got {size[0]}x{size[1]}")
        BoardPattern.parse(self.board)

    @property
    def infrared_wh(self) -> tuple[int, int]:
        """Width and height of the infrared image in pixels."""
        return self.infrared_size_wh or self.size_wh

    @classmethod
    def from_uri(cls, uri: str) -> BoardSpec:
        """Read ``synthetic://board?seed=7&board=circles:7x5:30mm&format=gray16&duration=10``.

        Keys: ``seed``, ``board``, ``size``, ``infrared_size``, ``fps``, ``duration``, ``skew_ms``, ``format``
        (``gray8`` or ``gray16``), ``contrast_k``, ``gradient_k``, ``noise_k``, ``grain``, ``blur_px``,
        ``infrared_blur_px``, ``inverted`` (``yes`` or ``no``), ``inside`` (``both``, ``visible`` or
        ``infrared``), ``hold`` and ``move``; times in seconds unless the key says otherwise.

        Raises:
            SourceError: an unknown key, or a value that the key does not take.
        """
        try:
            return cls(**values_of(urllib.parse.urlsplit(uri).query, _KEYS))
        except ValueError as error:
            raise SourceError(f"synthetic board {uri!r}: {error}") from error


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "seed": (0, 2**63 - 1),
        "fps": (1, 1000),
        "duration_s": (0, 1e6),
        "skew_ms": (-1000, 1000),
        "contrast_k": (0, 50),
        "gradient_k": (0, 100),
        "noise_k": (0, 10),
        "grain": (0, 50),
        "blur_px": (0, 10),
        "infrared_blur_px": (0, 10),
        "hold_s": (0, 60),
        "move_s": (0.05, 60),
    }
)


def _yes(text: str) -> bool:
    return {"yes": True, "no": False}[text]


_NUMBER: Final = "a number"
_KEYS: Keys = MappingProxyType(
    {
        "seed": ("seed", int, "a whole number"),
        "board": ("board", str, "a board"),
        "size": ("size_wh", read_size, "WIDTHxHEIGHT, for example 640x480"),
        "infrared_size": ("infrared_size_wh", read_size, "WIDTHxHEIGHT, for example 640x480"),
        "fps": ("fps", float, "frames per second"),
        "duration": ("duration_s", float, "seconds"),
        "skew_ms": ("skew_ms", float, "milliseconds"),
        "format": ("gray16", read_gray16, "gray8 or gray16"),
        **{
            key: (key, float, _NUMBER)
            for key in ("contrast_k", "gradient_k", "noise_k", "grain", "blur_px", "infrared_blur_px")
        },
        "inverted": ("inverted", _yes, "yes or no"),
        "inside": ("inside", Inside, "one of " + ", ".join(Inside)),
        "hold": ("hold_s", float, "seconds"),
        "move": ("move_s", float, "seconds"),
    }
)
