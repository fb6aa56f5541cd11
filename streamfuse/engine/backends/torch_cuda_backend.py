"""Runs networks with torch on a CUDA device."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.errors import MachineError

__all__ = ["TorchCudaBackend"]

_DTYPES: Mapping[Precision, torch.dtype] = MappingProxyType(
    {
        Precision.FLOAT32: torch.float32,
        Precision.BFLOAT16: torch.bfloat16,
        Precision.FLOAT16: torch.float16,
    }
)


class TorchCudaBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on torch and CUDA.

    Args:
        blueprint: of the network.
        precision: None for float16.

    Raises:
        MachineError: there is no CUDA device.
    """

    name = "torch-cuda"
    useful_batch = None

    def __init__(self, blueprint: Blueprint, *, precision: Precision | None = None) -> None:
        if not torch.cuda.is_available():
            raise MachineError("torch finds no CUDA device; install a driver or choose another backend")
        self._device = torch.device("cuda")
        self.device = torch.cuda.get_device_name()
        self.precision = precision or Precision.FLOAT16
        self._network = blueprint.build()
        self._graphs: dict[Recipe, nn.Module] = {}
        self.last_result: torch.Tensor | None = None
        """What :meth:`run` gave last, on the device; None before, after it failed and after :meth:`close`."""

    @property
    def memory_bytes(self) -> int | None:
        """What torch has taken of the GPU's memory, used or kept for later."""
        return torch.cuda.memory_reserved()

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
