"""Runs task networks with TensorRT on an NVIDIA GPU: built once in half precision, which takes minutes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import tensorrt
import torch
from torch import nn

from streamfuse.engine.backends.exports import Exports
from streamfuse.engine.tasks.backends.base import Pixels, Raw, batch_of
from streamfuse.engine.tasks.backends.onnx_export import ONNX_FILE, export_onnx
from streamfuse.errors import MachineError

__all__ = ["TensorRtRunner"]

_KEPT_SHAPES: Final = 4
_PLAN: Final = "network.plan"
_DTYPES: Final = {tensorrt.DataType.FLOAT: torch.float32, tensorrt.DataType.UINT8: torch.uint8}


class TensorRtRunner:
    """:class:`~streamfuse.engine.tasks.backends.base.TaskBackend` on TensorRT, one plan per shape of batch.

    Args:
        graph: what to run; convolutions in float16, as its own numbers say.
        content: what it is computed from; the plans are kept by it and the GPU's name.

    Raises:
        MachineError: there is no CUDA device.
    """

    name = "tensorrt"
    takes_tensors = True

    def __init__(self, graph: nn.Module, *, content: str) -> None:
        if not torch.cuda.is_available():
            raise MachineError("TensorRT needs an NVIDIA GPU with its driver; choose another backend")
        self.device = torch.cuda.get_device_name()
        self._graph = graph.to("cuda").half()
        self._exports = Exports(f"{content} {self.device}", runtime="tensorrt")
        self._logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        self._engine = functools.lru_cache(_KEPT_SHAPES)(self._open)

    def run(self, images: Sequence[Pixels]) -> Iterator[Raw]:
        """Look at all images at once."""
        batch = batch_of(images, torch.device("cuda"))
        engine, context = self._engine(tuple(batch.shape))
        outputs: list[torch.Tensor] = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            tensor = batch
            if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.OUTPUT:
                dtype = _DTYPES[engine.get_tensor_dtype(name)]
                tensor = torch.empty(tuple(engine.get_tensor_shape(name)), dtype=dtype, device="cuda")
                outputs.append(tensor)
            context.set_tensor_address(name, tensor.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise MachineError(f"TensorRT failed to look at a batch of {tuple(batch.shape)}")
        yield Raw(outputs[0], outputs[1] if len(outputs) > 1 else None)

    def close(self) -> None:
        """Free the engines."""
        self._engine.cache_clear()

    def _open(self, shape: tuple[int, ...]) -> tuple[Any, Any]:
        place = self._exports.find(shape, functools.partial(self._build, shape))
        engine = tensorrt.Runtime(self._logger).deserialize_cuda_engine((place / _PLAN).read_bytes())
        if engine is None:
            self._exports.drop(place)
            raise MachineError("TensorRT cannot read its own plan; it was removed, start again")
        return engine, engine.create_execution_context()

    def _build(self, shape: tuple[int, ...], folder: Path) -> None:
        export_onnx(self._graph, shape, folder)
        builder = tensorrt.Builder(self._logger)
        network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = tensorrt.OnnxParser(network, self._logger)
        if not parser.parse_from_file(str(folder / ONNX_FILE)):
            raise MachineError(f"TensorRT cannot take this network: {parser.get_error(0)}")
        plan = builder.build_serialized_network(network, builder.create_builder_config())
        if plan is None:
            raise MachineError("TensorRT could not build the network; its messages are above")
        (folder / _PLAN).write_bytes(bytes(plan))
        (folder / ONNX_FILE).unlink()
