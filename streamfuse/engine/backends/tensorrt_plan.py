"""The one way to TensorRT: builds plans from ONNX files and runs them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import tensorrt
import torch
from torch import Tensor

from streamfuse.engine.backends.exports import UnreadableExport
from streamfuse.errors import MachineError, OutOfMemory

__all__ = ["Plan", "build_plan", "check_device", "plan_machine"]

_DTYPES: Final = {
    tensorrt.DataType.FLOAT: torch.float32,
    tensorrt.DataType.HALF: torch.float16,
    tensorrt.DataType.UINT8: torch.uint8,
}
_DRIVER: Final = Path("/proc/driver/nvidia/version")
_LOG: Final = logging.getLogger(__name__)
_TENSORRT_LOG: Final = tensorrt.Logger(tensorrt.Logger.ERROR)


def check_device() -> str:
    """The name of the GPU.

    Raises:
        MachineError: there is none.
    """
    if not torch.cuda.is_available():
        raise MachineError("TensorRT needs an NVIDIA GPU with its driver; choose another backend")
    return torch.cuda.get_device_name()


def plan_machine() -> str:
    """What a plan is good for: this GPU, its driver and this version of TensorRT."""
    major, minor = torch.cuda.get_device_capability()
    driver = _DRIVER.read_text(encoding="utf-8").splitlines()[0] if _DRIVER.exists() else "unknown driver"
    return f"{torch.cuda.get_device_name()} {major}.{minor} | {driver} | TensorRT {tensorrt.__version__}"


def build_plan(content: bytes, *, title: str) -> bytes:
    """Build a plan: TensorRT measures which kernels are fastest on this GPU, for the shapes of the file.

    Args:
        content: of an ONNX file whose numbers say the precision of every layer.
        title: of the network, for people.

    Raises:
        MachineError: TensorRT cannot take the network or build it here.
    """
    _LOG.warning("TensorRT builds %s for this GPU: some minutes, once", title)
    builder = tensorrt.Builder(_TENSORRT_LOG)
    # The numbers of the file count, not TensorRT's own choice; from version 11 on that is always so.
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, _TENSORRT_LOG)
    if not parser.parse(content):
        raise MachineError(f"TensorRT cannot take {title}: {parser.get_error(0)}; choose another backend")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # or float32 would have the digits of half precision
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise MachineError(
            f"TensorRT could not build {title}, its messages are above; choose another backend"
        )
    return bytes(plan)


class Plan:
    """A plan on the GPU, ready to run.

    Args:
        content: what :func:`build_plan` gave.

    Raises:
        UnreadableExport: it is none, or of another GPU or version.
        OutOfMemory: the GPU has too little memory for it.
    """

    def __init__(self, content: bytes) -> None:
        self._runtime = tensorrt.Runtime(_TENSORRT_LOG)
        self._engine: Any = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None:
            raise UnreadableExport(
                "TensorRT cannot read the plan that was built for it, its messages are above"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory("the GPU has too little memory for TensorRT's plan; fuse smaller batches")
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        output = tensorrt.TensorIOMode.OUTPUT
        self._outputs = [name for name in names if self._engine.get_tensor_mode(name) == output]
        self.memory_bytes = int(self._engine.device_memory_size_v2)
        """Of the GPU, for what lies between its layers."""

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs for the inputs, by their names in the ONNX file, on torch's current stream.

        Args:
            inputs: contiguous, on the GPU, of the shapes and numbers of the file.

        Raises:
            MachineError: the device failed.
        """
        outputs = {name: self._empty(name) for name in self._outputs}
        for name, tensor in (*inputs.items(), *outputs.items()):
            self._context.set_tensor_address(name, tensor.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in inputs.values())
            raise MachineError(f"TensorRT failed on {shapes}, its messages are above")
        return outputs

    def _empty(self, name: str) -> Tensor:
        shape = tuple(self._engine.get_tensor_shape(name))
        return torch.empty(shape, dtype=_DTYPES[self._engine.get_tensor_dtype(name)], device="cuda")
