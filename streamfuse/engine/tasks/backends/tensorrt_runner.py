"""Runs task networks with TensorRT on an NVIDIA GPU: built once in half precision, which takes minutes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Final

import torch

from streamfuse.engine.backends.tensorrt_plan import Plan, build_plan, check_device, plan_machine
from streamfuse.engine.tasks.backends.base import GraphMaker, Pixels, Raw
from streamfuse.engine.tasks.backends.kept import task_exports
from streamfuse.engine.tasks.backends.onnx_export import INPUT, OUTPUTS, export_task
from streamfuse.engine.tasks.backends.tensors import batch_of

__all__ = ["TensorRtRunner"]

_KEPT_SHAPES: Final = 4


class TensorRtRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on TensorRT, one plan per shape of batch.

    Args:
        make_graph: gives what to run; convolutions in float16, as its own numbers say.
        content: what it is computed from; the plans are kept by it, the GPU, its driver and the version.

    Raises:
        MachineError: there is no CUDA device.
    """

    name = "tensorrt"
    takes_tensors = True

    def __init__(self, make_graph: GraphMaker, *, content: str) -> None:
        self.device = check_device()
        self._make_graph = make_graph
        self._exports = task_exports(f"{content} {plan_machine()}", runtime="tensorrt")
        self._plan = functools.lru_cache(_KEPT_SHAPES)(self._open)

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at all images at once."""
        batch = batch_of(images, torch.device("cuda")).contiguous()
        found = self._plan(tuple(batch.shape)).run({INPUT: batch})
        predictions, prototypes = map(found.get, OUTPUTS)
        assert predictions is not None, "a plan without predictions"
        yield Raw(predictions, prototypes)

    def close(self) -> None:
        """Free the plans."""
        self._plan.cache_clear()

    def _open(self, shape: tuple[int, ...]) -> Plan:
        return self._exports.load(shape, functools.partial(self._build, shape), Plan)

    def _build(self, shape: tuple[int, ...]) -> bytes:
        graph = self._make_graph().to("cuda").half()
        title = f"a task network for images of {'x'.join(map(str, shape))}"
        return build_plan(export_task(graph, shape), title=title)
