"""Runs networks with torch on the CPU: the plain way, which all others are compared with."""

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

from streamfuse.engine.backends.base import Blueprint, Precision, cpu_computes_bfloat16
from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
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
        blueprint: of the network.
        precision: None for bfloat16 if the CPU has it, else float32.
    """

    name = "torch"
    useful_batch = 1
    memory_bytes = None
    last_result = None

    def __init__(self, blueprint: Blueprint, *, precision: Precision | None = None) -> None:
        self.device = f"CPU {platform.machine()}"
        self.precision = precision or (Precision.BFLOAT16 if cpu_computes_bfloat16() else Precision.FLOAT32)
        self._network = blueprint.build()
        self._graphs: dict[Recipe, nn.Module] = {}

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Fuse black images, which makes torch pick its kernels."""
        self.run(recipe, *blank_inputs(recipe, batch, size_wh))

    @torch.inference_mode()
    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch."""
        graph = self._graph(recipe)
        try:
            # torch.tensor copies: the arrays may be read-only views, which from_numpy warns of.
            result: npt.NDArray[np.uint8] = graph(*(torch.tensor(array) for array in arrays)).numpy()
        except RuntimeError as error:
            shape = "x".join(map(str, arrays[0].shape))
            raise MachineError(f"{self.device} failed to fuse a batch of {shape}: {error}") from error
        return result

    def close(self) -> None:
        """Free the networks."""
        self._graphs.clear()

    def _graph(self, recipe: Recipe) -> nn.Module:
        if recipe not in self._graphs:
            precision = Precision.FLOAT32 if recipe is Recipe.REFERENCE else self.precision
            network = copy.deepcopy(self._network).to(_DTYPES[precision])
            network = network.to(memory_format=torch.channels_last)
            self._graphs[recipe] = build_graph(recipe, network)
        return self._graphs[recipe]
