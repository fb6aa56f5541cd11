"""Runs networks with OpenVINO, on the CPU or on a GPU of Intel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from streamfuse.engine.backends.base import Blueprint, Precision, cpu_computes_bfloat16
from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.backends.openvino_quiet import CORE, openvino
from streamfuse.engine.backends.recipe import GRAPH_REVISION, Recipe, blank_inputs
from streamfuse.errors import MachineError, UsageError

__all__ = ["OpenVinoBackend"]

_PRECISION_HINTS: Final[Mapping[str, Mapping[Precision, str]]] = MappingProxyType(
    {
        "CPU": {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"},
        "GPU": {Precision.FLOAT32: "f32", Precision.FLOAT16: "f16"},
    }
)
_OWN_GRAPHS: Final = 4
"""Sizes with a graph of their own. Each holds its activations: some 300 MB at 640x480 in float32."""
_KEPT_KERNELS: Final = 16
"""Of the graph for all other sizes: how many combinations of layer and size stay compiled."""
_FILE: Final = "network.xml"


class OpenVinoBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` on OpenVINO, with all cores of a device.

    The first sizes it meets, and those it is warmed up for, have compiled graphs of their own. All others
    share one for any size, which is some 15 % slower: a folder of 500 sizes is not compiled 500 times. Graphs
    take one image: a network of convolutions keeps the cores busy with one, so larger batches are no faster.

    Args:
        blueprint: of the network.
        precision: None for float16 on a GPU, and on a CPU for bfloat16 if it has it, else float32.
        on: the device; ``GPU`` is one of Intel, with its OpenCL driver. It has never been run on one.

    Raises:
        UsageError: a precision that the device does not have.
        MachineError: OpenVINO finds no such device here, or the CPU has no bfloat16.
    """

    useful_batch = 1
    memory_bytes = None
    last_result = None

    def __init__(
        self, blueprint: Blueprint, *, precision: Precision | None = None, on: Literal["CPU", "GPU"] = "CPU"
    ) -> None:
        self._on = on
        self.name = "openvino" if on == "CPU" else "openvino-gpu"
        if precision not in {None, *_PRECISION_HINTS[on]}:
            known = ", ".join(_PRECISION_HINTS[on])
            raise UsageError(f"{self.name} computes in {known}; got {precision}")
        self.device, capabilities = self._examine()
        if precision is Precision.BFLOAT16 and "BF16" not in capabilities:
            raise MachineError(f"{self.device} has no bfloat16; choose precision float32")
        self.precision = precision or _best_precision(on, capabilities)
        self._blueprint = blueprint
        self._model = functools.cache(self._read)
        self._model(Recipe.LUMA)  # weights that cannot be read are an error now, not at the first image
        self._for_any_size = functools.cache(self._compile)
        self._own: dict[tuple[Recipe, tuple[int, int]], openvino.InferRequest] = {}

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:  # noqa: ARG002 - protocol
        """Compile for one size; the batch does not matter."""
        if (recipe, size_wh) not in self._own and len(self._own) >= _OWN_GRAPHS:
            del self._own[next(iter(self._own))]  # the oldest
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
        self._own.clear()
        self._for_any_size.cache_clear()
        self._model.cache_clear()

    def _request(self, recipe: Recipe, size_wh: tuple[int, int]) -> openvino.InferRequest:
        key = recipe, size_wh
        if key not in self._own:
            if len(self._own) >= _OWN_GRAPHS:
                return self._for_any_size(recipe)
            self._own[key] = self._compile(recipe, size_wh)
        return self._own[key]

    def _examine(self) -> tuple[str, list[str]]:
        """The device in words, and what it computes in."""
        try:
            return (
                str(CORE.get_property(self._on, "FULL_DEVICE_NAME")),
                CORE.get_property(self._on, "OPTIMIZATION_CAPABILITIES"),
            )
        except RuntimeError as error:
            if self._on == "GPU":
                raise MachineError("OpenVINO finds no GPU of Intel, or no OpenCL driver for it") from error
            raise MachineError(f"OpenVINO cannot use this CPU: {error}") from error

    def _read(self, recipe: Recipe) -> openvino.Model:
        """The model of a recipe, for images of any size: from the cache folder, or converted now."""
        content = self._blueprint.content
        if content is None:
            return self._convert(recipe)
        exports = Exports(f"{content} {recipe} {GRAPH_REVISION}", runtime="openvino")
        try:
            place = exports.find((), functools.partial(self._export, recipe))
        except OSError:  # a cache that cannot be written costs time only
            return self._convert(recipe)
        try:
            return CORE.read_model(place / _FILE)
        except RuntimeError:  # damaged, or pruned by another process at this moment
            exports.drop(place)
            return self._convert(recipe)

    def _export(self, recipe: Recipe, folder: Path) -> None:
        model = self._convert(recipe)
        try:
            openvino.save_model(model, folder / _FILE, compress_to_fp16=False)
        except RuntimeError as error:  # as it says that a disk is full
            raise OSError(f"OpenVINO cannot write {folder / _FILE}: {error}") from error

    def _convert(self, recipe: Recipe) -> openvino.Model:
        from streamfuse.engine.backends.openvino_convert import convert  # noqa: PLC0415 - loads torch

        return convert(self._blueprint, recipe)

    def _compile(self, recipe: Recipe, size_wh: tuple[int, int] | None = None) -> openvino.InferRequest:
        """Compile for one size, or for any."""
        precision = Precision.FLOAT32 if recipe is Recipe.REFERENCE else self.precision
        config = {
            "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[self._on][precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = self._model(recipe).clone()
        shapes = [list(array.shape) for array in blank_inputs(recipe, 1, size_wh or (1, 1))]
        if size_wh is None:
            if self._on == "CPU":
                config["CPU_RUNTIME_CACHE_CAPACITY"] = str(_KEPT_KERNELS)
            for shape in shapes[:2]:  # of the images; -1 is any
                shape[1:3] = -1, -1
        model.reshape({index: openvino.PartialShape(shape) for index, shape in enumerate(shapes)})
        return CORE.compile_model(model, self._on, config).create_infer_request()


def _best_precision(on: str, capabilities: Sequence[str]) -> Precision:
    if on == "GPU":
        return Precision.FLOAT16
    fast = "BF16" in capabilities and cpu_computes_bfloat16()
    return Precision.BFLOAT16 if fast else Precision.FLOAT32
