"""Runs task networks with OpenVINO on the CPU."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from streamfuse.engine.backends.base import cpu_computes_bfloat16
from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.backends.openvino_quiet import openvino
from streamfuse.engine.tasks.backends.base import Pixels, Raw
from streamfuse.errors import MachineError

__all__ = ["OpenVinoRunner"]

_KEPT_SHAPES: Final = 4
"""Compiled shapes kept; a small network holds some 60 MB at 640x480."""
_FILE: Final = "network.xml"


class OpenVinoRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on OpenVINO, with all cores.

    Compiled for each size of image, one image at a time: one keeps the cores busy. Convolutions are computed
    in bfloat16 where the CPU has it, boxes and scores always in float32.

    Args:
        graph: what to run.
        content: what it is computed from; converted forms are kept by it.

    Raises:
        MachineError: OpenVINO has no CPU plugin here.
    """

    name = "openvino"
    takes_tensors = False

    def __init__(self, graph: nn.Module, *, content: str) -> None:
        self._graph = graph
        self._exports = Exports(content, runtime="openvino")
        self._core = openvino.Core()
        try:
            self.device = str(self._core.get_property("CPU", "FULL_DEVICE_NAME"))
        except RuntimeError as error:
            raise MachineError(f"OpenVINO cannot use this CPU: {error}") from error
        self._request = functools.lru_cache(_KEPT_SHAPES)(self._compile)

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at images one by one."""
        for image in images:
            try:
                request = self._request(image.shape)
                found = request.infer((image[None],), share_inputs=True, share_outputs=True)
            except RuntimeError as error:
                raise MachineError(f"OpenVINO failed to look at {image.shape}: {error}") from error
            predictions, *prototypes = (torch.from_numpy(found[index]) for index in range(len(found)))
            yield Raw(predictions, prototypes[0] if prototypes else None)

    def close(self) -> None:
        """Free the compiled networks."""
        self._request.cache_clear()

    def _compile(self, shape: tuple[int, ...]) -> openvino.InferRequest:
        precision = "bf16" if cpu_computes_bfloat16() else "f32"
        config = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(self._model(shape), "CPU", config).create_infer_request()

    def _model(self, shape: tuple[int, ...]) -> openvino.Model:
        """The network for one shape: from the cache, or converted now."""
        try:
            place = self._exports.find(shape, functools.partial(self._export, shape))
        except OSError:  # a cache that cannot be written costs time only
            return self._convert(shape)
        try:
            return self._core.read_model(place / _FILE)
        except RuntimeError:  # damaged, or pruned by another process at this moment
            self._exports.drop(place)
            return self._convert(shape)

    def _export(self, shape: tuple[int, ...], folder: Path) -> None:
        openvino.save_model(self._convert(shape), folder / _FILE, compress_to_fp16=False)

    def _convert(self, shape: tuple[int, ...]) -> openvino.Model:
        example: Any = torch.zeros((1, *shape), dtype=torch.uint8)
        with warnings.catch_warnings(), torch.inference_mode():
            # What OpenVINO reads is made by torch.jit, which torch has deprecated; and the tracer warns that
            # the anchors become constants, which is right for one shape.
            warnings.simplefilter("ignore")
            self._graph(example)  # what it keeps per shape must be there before it is traced
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch leaves it untyped
                self._graph, example, check_trace=False
            )
            model = openvino.convert_model(traced, example_input=example)
        model.reshape(openvino.PartialShape(example.shape))
        return model
