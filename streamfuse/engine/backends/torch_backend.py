"""Runs networks with torch, on the CPU or on a CUDA device."""

from __future__ import annotations

import copy
import platform
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from streamfuse.engine.backends.base import Precision, cpu_computes_bfloat16
from streamfuse.engine.backends.graph import Recipe, blank_inputs, build_graph
from streamfuse.errors import MachineError

__all__ = ["TorchBackend"]

_DTYPES: Mapping[Precision, torch.dtype] = MappingProxyType(
    {
        Precision.FLOAT32: torch.float32,
        Precision.BFLOAT16: torch.bfloat16,
        Precision.FLOAT16: torch.float16,
    }
)


class TorchBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on torch.

    Args:
        network: copied, so the caller's stays as it is.
        device: ``cpu`` or ``cuda``.
        precision: None for float16 on CUDA, and on a CPU for bfloat16 if it has it, else float32.

    Raises:
        MachineError: there is no CUDA device.
    """

    def __init__(self, network: nn.Module, *, device: str, precision: Precision | None = None) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise MachineError("torch finds no CUDA device; install a driver or choose another backend")
        self._device = torch.device(device)
        self.name = "torch-cuda" if device == "cuda" else "torch"
        self.useful_batch = None if device == "cuda" else 1
        self.device = torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}"
        self.precision = precision or _best_precision(device)
        self._network = copy.deepcopy(network)
        self._graphs: dict[Recipe, nn.Module] = {}
        self.last_result: torch.Tensor | None = None
        """What :meth:`run` gave last, on the device; None before, after it failed and after :meth:`close`."""

    @property
    def memory_bytes(self) -> int | None:
        """What torch has taken of the GPU's memory, used or kept for later."""
        return torch.cuda.memory_reserved() if self._device.type == "cuda" else None

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Fuse black images, which makes torch pick its kernels."""
        self.run(recipe, *blank_inputs(recipe, batch, size_wh))

    @torch.inference_mode()
    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch."""
        graph = self._graph(recipe)
        self.last_result = None
        try:
            # TF32 would cost the reference recipe its float32.
            with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
                # torch.tensor copies: the arrays may be read-only views, which from_numpy warns of.
                fused = graph(*(torch.tensor(array, device=self._device) for array in arrays))
                result: npt.NDArray[np.uint8] = fused.cpu().numpy()
                self.last_result = fused
        except RuntimeError as error:
            shape = "x".join(map(str, arrays[0].shape))
            raise MachineError(f"{self.device} failed to fuse a batch of {shape}: {error}") from error
        return result

    def close(self) -> None:
        """Free the networks."""
        self._graphs.clear()
        self.last_result = None

    def _graph(self, recipe: Recipe) -> nn.Module:
        if recipe not in self._graphs:
            precision = Precision.FLOAT32 if recipe is Recipe.REFERENCE else self.precision
            network = copy.deepcopy(self._network).to(self._device, _DTYPES[precision])
            network = network.to(memory_format=torch.channels_last)
            self._graphs[recipe] = build_graph(recipe, network)
        return self._graphs[recipe]


def _best_precision(device: str) -> Precision:
    if device == "cuda":
        return Precision.FLOAT16
    return Precision.BFLOAT16 if cpu_computes_bfloat16() else Precision.FLOAT32
