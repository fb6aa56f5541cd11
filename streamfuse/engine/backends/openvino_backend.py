"""Runs networks with OpenVINO on the CPU."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from streamfuse.engine.backends.base import Blueprint, Precision, cpu_computes_bfloat16
from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.openvino_quiet import openvino
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.errors import MachineError, UsageError

__all__ = ["OpenVinoBackend"]

_PRECISION_HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}
_KEPT_SHAPES = 4
"""Compiled graphs kept. Each holds its activations: some 300 MB at 640x480 in float32."""
_TRACE_SIZE_WH = (32, 16)


class OpenVinoBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on OpenVINO, with all cores.

    A graph is compiled per image size, for one image: a network of convolutions keeps the cores busy
    with one, so larger batches are no faster, and they would be compiled for every size of batch.

    Args:
        blueprint: of the network.
        precision: None for bfloat16 where the CPU has it, else float32.

    Raises:
        UsageError: a precision that the CPU plugin does not have.
        MachineError: OpenVINO has no CPU plugin here, or the CPU no bfloat16.
    """

    name = "openvino"
    useful_batch = 1
    memory_bytes = None
    last_result = None

    def __init__(self, blueprint: Blueprint, *, precision: Precision | None = None) -> None:
        if precision is None:
            precision = Precision.BFLOAT16 if cpu_computes_bfloat16() else Precision.FLOAT32
        if precision not in _PRECISION_HINTS:
            known = ", ".join(_PRECISION_HINTS)
            raise UsageError(f"openvino on a CPU computes in {known}; got {precision}")
        self.precision = precision
        self._core = openvino.Core()
        try:
            self.device = str(self._core.get_property("CPU", "FULL_DEVICE_NAME"))
            capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        except RuntimeError as error:
            raise MachineError(f"OpenVINO cannot use this CPU: {error}") from error
        if precision is Precision.BFLOAT16 and "BF16" not in capabilities:
            raise MachineError(f"{self.device} has no bfloat16; choose precision float32")
        self._network = blueprint.build().float().eval()
        self._model = functools.cache(self._convert)
        self._request = functools.lru_cache(_KEPT_SHAPES)(self._compile)

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:  # noqa: ARG002 - protocol
        """Compile for one size; the batch does not matter."""
        self.run(recipe, *blank_inputs(recipe, 1, size_wh))

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch, image by image."""
        images, infrared, *levels = arrays
        batch, height, width = infrared.shape
        fused = np.empty(images.shape, np.uint8)
        try:
            request = self._request(recipe, (width, height))
            for index in range(batch):
                one = slice(index, index + 1)
                outputs = request.infer(
                    (images[one], infrared[one], *levels), share_inputs=True, share_outputs=True
                )
                fused[one] = outputs[0]
        except RuntimeError as error:
            raise MachineError(f"OpenVINO failed to fuse {width}x{height} images: {error}") from error
        return fused

    def close(self) -> None:
        """Free the compiled graphs."""
        self._request.cache_clear()
        self._model.cache_clear()

    def _convert(self, recipe: Recipe) -> openvino.Model:
        """Trace the graph of a recipe; images of any size fit the result."""
        example = tuple(torch.from_numpy(array) for array in blank_inputs(recipe, 1, _TRACE_SIZE_WH))
        with warnings.catch_warnings():
            # What OpenVINO reads is made by torch.jit, which torch has deprecated.
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=FutureWarning)
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
            # Checking the trace would run it again twice; that costs most of the time to start.
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch leaves it untyped
                build_graph(recipe, self._network), example, check_trace=False
            )
            return openvino.convert_model(traced, example_input=example)

    def _compile(self, recipe: Recipe, size_wh: tuple[int, int]) -> openvino.InferRequest:
        model = self._model(recipe).clone()
        shapes = [array.shape for array in blank_inputs(recipe, 1, size_wh)]
        model.reshape({index: openvino.PartialShape(shape) for index, shape in enumerate(shapes)})
        precision = Precision.FLOAT32 if recipe is Recipe.REFERENCE else self.precision
        config = {"INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(model, "CPU", config).create_infer_request()
