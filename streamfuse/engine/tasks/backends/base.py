"""What runs a task network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Pixels", "Raw", "TaskBackend", "batch_of"]

Pixels = npt.NDArray[np.uint8] | Tensor
"""An HxWx3 uint8 image in the order R, G, B; as a tensor, on the device of the backend."""


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """What a network says of one or more images, on any device.

    Valid until the next one is asked for.
    """

    predictions: Tensor
    """As of :class:`streamfuse.engine.tasks.graph.TaskGraph`, or class ids of pixels."""
    prototypes: Tensor | None


def batch_of(images: Sequence[Pixels], device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 on a device; arrays travel there together."""
    if not any(isinstance(image, Tensor) for image in images):
        # torch.tensor copies: the arrays may be read-only views, which from_numpy warns of.
        return torch.tensor(np.stack([np.asarray(image) for image in images]), device=device)
    return torch.stack(
        [
            torch.as_tensor(np.array(one) if isinstance(one, np.ndarray) else one, device=device)
            for one in images
        ]
    )


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
