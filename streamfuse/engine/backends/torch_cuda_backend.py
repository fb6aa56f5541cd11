"""Runs networks with torch on a CUDA device.

A batch goes in chunks through three lanes, so that one chunk comes while another is computed and a third
goes (:mod:`streamfuse.engine.backends.cuda_device`)::

    host ──page-locked──► upload │ compute │ download ──page-locked──► host
                                    graph

A shape that comes again is computed by a CUDA graph: all its kernels, those around the network too, start
by one call. What is cut, kept and chosen is decided in :mod:`streamfuse.engine.backends.cuda_plan`.
"""

from __future__ import annotations

import copy
import functools
import gc
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.cuda_device import Captured, Cuda, Function, Lane, Marker
from streamfuse.engine.backends.cuda_plan import (
    PLAIN,
    Choice,
    Shelf,
    choose,
    chunk_sizes,
    chunks,
    graph_budget_bytes,
    largest_chunk,
    one_by_one,
)
from streamfuse.engine.backends.cuda_trials import networks, tried
from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.errors import MachineError, OutOfMemory

__all__ = ["TorchCudaBackend"]

_LOG = logging.getLogger(__name__)
_IMAGES = 2
"""Of the arrays of a recipe, the first two are images; what follows goes with every one of them."""
_KEPT_BUDGETS = 2
"""How often the budget of the graphs torch may keep for later: they count, too, while none of them runs."""

_DTYPES: Mapping[Precision, torch.dtype] = MappingProxyType(
    {
        Precision.FLOAT32: torch.float32,
        Precision.BFLOAT16: torch.bfloat16,
        Precision.FLOAT16: torch.float16,
    }
)

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """A batch on its way."""

    arrays: Sequence[npt.NDArray[Any]]
    there: Sequence[Tensor]
    """The same on the device."""
    fused: Tensor
    """The result on the device."""
    home: Tensor
    """The result in page-locked memory of the host."""


class TorchCudaBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on torch and CUDA.

    It may be made in one thread and used in another; one at a time.

    Args:
        blueprint: of the network.
        precision: None for float16.
        cuda: the device; the current one if None.

    Raises:
        MachineError: there is no CUDA device.
    """

    name = "torch-cuda"
    useful_batch = None

    def __init__(
        self, blueprint: Blueprint, *, precision: Precision | None = None, cuda: Cuda | None = None
    ) -> None:
        self._cuda = cuda or Cuda()
        self.device = self._cuda.name
        self.precision = precision or Precision.FLOAT16
        self.kernels: Choice | None = None
        """Which kernels compute the network, and why. It is measured at the first warm-up, or when something
        that has a graph comes again; None before."""
        self._network = blueprint.build()
        self._functions: dict[Recipe, nn.Module] = {}
        self._budget_bytes = graph_budget_bytes(self._cuda.total_bytes)
        self._shelf: Shelf[Captured] = Shelf(self._budget_bytes)
        self._is_cramped = False
        self._has_warned = False
        self.last_result: Tensor | None = None
        """What :meth:`run` gave last, on the device; None before, after it failed and after :meth:`close`.
        It is the caller's own: a later call does not write into it."""

    @property
    def memory_bytes(self) -> int | None:
        """What torch has taken of the GPU's memory, used or kept for later."""
        return self._cuda.reserved_bytes

    @torch.no_grad()
    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Make graphs for all chunks of batches up to this one; the first time, choose the kernels too."""
        width, height = size_wh
        self._choose_kernels(recipe, size_wh)
        for size in chunk_sizes(batch, width * height):
            for _ in range(2):  # what comes twice gets a graph
                self.run(recipe, *blank_inputs(recipe, size, size_wh))

    # Not inference mode: what CUDA graphs share with others in the process must stay ordinary tensors.
    @torch.no_grad()
    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> Bytes:
        """Fuse one batch."""
        self.last_result = None
        try:
            if len(self._shelf):  # something comes again and again: it is worth to know the fastest way
                self._choose_kernels(recipe, (arrays[1].shape[2], arrays[1].shape[1]))
            return self._run(recipe, arrays)
        except OutOfMemory:
            if self._is_cramped:
                raise
        # Outside of the handler, as the error refers to all that was allocated.
        self._forget()
        self._is_cramped = True
        _LOG.warning("%s has too little memory: from now on image by image and without graphs", self.device)
        return self._run(recipe, arrays)

    def close(self) -> None:
        """Free the networks and the graphs."""
        self._functions.clear()
        self.last_result = None
        self._forget()

    def _run(self, recipe: Recipe, arrays: Sequence[npt.NDArray[Any]]) -> Bytes:
        cuda = self._cuda
        count, height, width = arrays[1].shape
        parts = one_by_one(count) if self._is_cramped else chunks(count, height * width)
        result = np.empty(arrays[0].shape, np.uint8)
        with cuda.work(f"{self.device} failed to fuse a batch of {count} images of {width}x{height}"):
            batch = _Batch(
                arrays=arrays,
                # On the caller's stream, which is where others will use and free them.
                there=[_like(array, cuda.device) for array in arrays],
                fused=_like(arrays[0], cuda.device),
                home=cuda.page_locked(arrays[0].shape, torch.uint8),
            )
            landed = [self._queue(recipe, batch, part) for part in parts]
            for part, marker in zip(parts, landed, strict=True):
                marker.synchronize()
                result[part] = batch.home[part].numpy()
        if cuda.unused_bytes > _KEPT_BUDGETS * self._budget_bytes:
            cuda.release_unused()
        self.last_result = batch.fused
        return result

    def _queue(self, recipe: Recipe, batch: _Batch, part: slice) -> Marker:
        """Queue one part of a batch; the marker stands where it is back on the host."""
        cuda, there = self._cuda, _part_of(batch.there, part)
        with cuda.lane(Lane.UPLOAD):
            for array, tensor in zip(_part_of(batch.arrays, part), there, strict=True):
                tensor.copy_(self._staged(array), non_blocking=True)
        cuda.wait(Lane.COMPUTE, cuda.mark(Lane.UPLOAD))
        with cuda.lane(Lane.COMPUTE):
            self._compute(recipe, there, batch.fused[part])
        cuda.wait(Lane.DOWNLOAD, cuda.mark(Lane.COMPUTE))
        with cuda.lane(Lane.DOWNLOAD):
            batch.home[part].copy_(batch.fused[part], non_blocking=True)
        return cuda.mark(Lane.DOWNLOAD)

    def _staged(self, array: npt.NDArray[Any]) -> Tensor:
        """The array in page-locked memory: where it lies, or copied there."""
        if array.flags.c_contiguous and array.flags.writeable:  # torch warns of arrays that are read-only
            tensor = torch.from_numpy(array)
            if self._cuda.is_page_locked(tensor):
                return tensor
        staged = self._cuda.page_locked(array.shape, _dtype(array))
        np.copyto(staged.numpy(), array)
        return staged

    def _compute(self, recipe: Recipe, inputs: Sequence[Tensor], out: Tensor) -> None:
        function = self._function(recipe)
        key = (recipe, *out.shape)
        graph = self._shelf.get(key)
        if graph is None and not self._is_cramped and self._shelf.wants(key):
            graph = self._recorded(key, function, inputs)
        if graph is None:
            self._cuda.run(function, inputs, out)
        else:
            graph(inputs, out)

    def _recorded(self, key: object, function: Function, inputs: Sequence[Tensor]) -> Captured | None:
        """A new graph, if it can be made and kept."""
        self._cuda.release_unused()
        before = self._cuda.reserved_bytes
        try:
            graph = self._cuda.capture(function, inputs, self._shelf.one())
        except OutOfMemory:
            raise
        except MachineError as error:
            self._shelf.refuse(key)
            if not self._has_warned:
                _LOG.warning("%s; such images are fused without a CUDA graph", error)
            self._has_warned = True
            return None
        self._shelf.put(key, graph, grew_bytes=max(0, self._cuda.reserved_bytes - before))
        return self._shelf.get(key)

    def _function(self, recipe: Recipe) -> nn.Module:
        if recipe not in self._functions:
            network = self._network
            if recipe is not Recipe.REFERENCE and self.kernels is not None and self.kernels.name != PLAIN:
                network = networks(network)[self.kernels.name]
            self._functions[recipe] = self._built(recipe, network)
        return self._functions[recipe]

    def _built(self, recipe: Recipe, network: nn.Module) -> nn.Module:
        precision = Precision.FLOAT32 if recipe is Recipe.REFERENCE else self.precision
        there = copy.deepcopy(network).to(self._cuda.device, _DTYPES[precision])
        return build_graph(recipe, there.to(memory_format=torch.channels_last))

    def _choose_kernels(self, recipe: Recipe, size_wh: tuple[int, int]) -> None:
        """Measure once which kernels compute a full chunk fastest; only float16 has a choice."""
        if self.kernels is not None or recipe is Recipe.REFERENCE:
            return
        fitting = self.precision is Precision.FLOAT16 and self._cuda.has_half_tensor_cores
        ours = networks(self._network) if fitting else {}
        if not ours:
            self.kernels = Choice(PLAIN, "torch's kernels: there are no others for this network on this GPU")
            return
        width, height = size_wh
        images = blank_inputs(recipe, largest_chunk(width * height), size_wh)
        for seed, image in enumerate(images[:_IMAGES]):
            image[:] = np.random.default_rng(seed).integers(0, 256, image.shape, np.uint8)
        with self._cuda.work(f"{self.device} failed to measure kernels"):
            ways = {
                name: functools.partial(self._built, recipe, network)
                for name, network in {PLAIN: self._network, **ours}.items()
            }
            with self._cuda.lane(Lane.COMPUTE):
                inputs = [torch.from_numpy(array).to(self._cuda.device) for array in images]
                self.kernels = choose(tried(self._cuda, ways, inputs))
        _LOG.info("%s: %s", self.device, self.kernels.why)
        self._functions.clear()
        self._forget()

    def _forget(self) -> None:
        self._shelf.clear()
        gc.collect()  # torch's graphs may refer to themselves
        self._cuda.release_unused()


def _part_of(arrays: Sequence[Any], part: slice) -> list[Any]:
    """A part of the images, and all of what goes with them."""
    return [array[part] if index < _IMAGES else array for index, array in enumerate(arrays)]


def _dtype(array: npt.NDArray[Any]) -> torch.dtype:
    return torch.uint8 if array.dtype == np.uint8 else torch.float32


def _like(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    return torch.empty(array.shape, dtype=_dtype(array), device=device)
