"""The part of the picture that both cameras see, as a rectangle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamfuse.errors import UsageError

__all__ = ["Field", "field_of", "largest_rectangle"]


class Field(NamedTuple):
    """An upright rectangle of whole pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    @property
    def evened(self) -> Field:
        """The largest one within whose sides and place are even: that of chroma in 4:2:0."""
        x, y = self.x + self.x % 2, self.y + self.y % 2
        width, height = self.x + self.width - x, self.y + self.height - y
        return Field(x, y, max(width - width % 2, 0), max(height - height % 2, 0))


def largest_rectangle(mask: npt.NDArray[np.bool_]) -> Field:
    """The upright rectangle of most pixels (HxW) that are all true; of no width if there is none."""
    from streamfuse.geometry.kernels import largest  # noqa: PLC0415 - numba takes long to load

    x, y, width, height = largest(np.ascontiguousarray(mask))
    return Field(int(x), int(y), int(width), int(height))


def field_of(seen: npt.NDArray[np.bool_]) -> Field:
    """The field of a mask (HxW) of visible pixels that the infrared camera sees too.

    Raises:
        UsageError: there is none.
    """
    field = largest_rectangle(seen).evened
    if min(field.width, field.height) < 2:
        raise UsageError("rig: the cameras see nothing in common; calibrate them again")
    return field
