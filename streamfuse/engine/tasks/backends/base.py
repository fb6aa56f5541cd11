"""What runs a task network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # a backend whose network lies converted on disk starts without torch
    from torch import Tensor, nn

__all__ = ["GraphMaker", "Pixels", "Raw", "TaskBackend"]

Pixels: TypeAlias = "npt.NDArray[np.uint8] | Tensor"
"""An HxWx3 uint8 image in the order R, G, B; as a tensor, on the device of the backend."""
GraphMaker: TypeAlias = "Callable[[], nn.Module]"
"""Gives a graph, the caller's own: (B, H, W, 3) uint8 in, a tuple of tensors with B in front out."""


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """What a network says of one or more images, on any device.

    Valid until the next one is asked for.
    """

    predictions: npt.NDArray[Any] | Tensor
    """As of :class:`streamfuse.engine.tasks.graph.TaskGraph`, or class ids of pixels."""
    prototypes: npt.NDArray[np.float32] | Tensor | None


class TaskBackend(Protocol):
    """Runs one network on one device. Not for use from two threads at once."""

    @property
    def name(self) -> str:
        """The name it is chosen by."""

    @property
    def device(self) -> str:
        """The hardware, in words."""

    @property
    def takes_tensors(self) -> bool:
        """Whether images may be tensors on its device; else they must be arrays."""

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at HxWx3 uint8 images of one size, sides multiples of the stride.

        Yields:
            The results in the order of the images, for as many of them at a time as suits the device.

        Raises:
            MachineError: the device failed, for instance for want of memory.
        """

    def close(self) -> None:
        """Free what was compiled, and device memory; may be called twice."""
