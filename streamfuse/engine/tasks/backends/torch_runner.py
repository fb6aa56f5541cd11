"""Runs task networks with torch, on the CPU or on a CUDA device."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from streamfuse.engine.tasks.backends.base import Pixels, Raw
from streamfuse.engine.tasks.backends.tensors import batch_of
from streamfuse.errors import MachineError

__all__ = ["TorchRunner"]


class TorchRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on torch.

    On CUDA the convolutions are computed in float16 and all images at once.

    Args:
        graph: becomes the runner's own.
        device: ``cpu`` or ``cuda``.

    Raises:
        MachineError: there is no CUDA device.
    """

    takes_tensors = True

    def __init__(self, graph: nn.Module, *, device: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise MachineError("torch finds no CUDA device; install a driver or choose another backend")
        self._device = torch.device(device)
        self.name = "torch-cuda" if device == "cuda" else "torch"
        self.device = torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}"
        graph = graph.to(self._device).to(memory_format=torch.channels_last)
        self._graph: nn.Module | None = graph.half() if device == "cuda" else graph

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at all images at once."""
        assert self._graph is not None, "run after close"
        try:
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
                batch = batch_of(images, self._device)
                predictions, *prototypes = self._graph(batch)
        except RuntimeError as error:
            shape = "x".join(map(str, images[0].shape))
            raise MachineError(
                f"{self.device} failed to look at {len(images)} images of {shape}: {error}"
            ) from error
        yield Raw(predictions, prototypes[0] if prototypes else None)

    def close(self) -> None:
        """Free the network."""
        self._graph = None
