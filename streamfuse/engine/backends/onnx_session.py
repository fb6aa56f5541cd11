"""The one way to ONNX Runtime: on CUDA where its GPU build and a device are, else on the CPU."""

from __future__ import annotations

import os
import platform
from typing import Any, Final

import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from streamfuse.engine.backends.exports import UnreadableExport
from streamfuse.errors import MachineError, OutOfMemory

__all__ = ["OnnxSession", "device_name", "finds_cuda"]

_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"
_ERRORS: Final = (
    native.EPFail,
    native.Fail,
    native.InvalidArgument,
    native.NotImplemented,
    native.RuntimeException,
)
_UNREADABLE: Final = (native.InvalidGraph, native.InvalidProtobuf, native.NoModel)
_NO_MEMORY: Final = ("failed to allocate memory", "bad_alloc", "bad allocation")
"""What its messages say of it; it has no error of its own for that."""


def finds_cuda() -> bool:
    """Whether ONNX Runtime was built for CUDA, and there is a device."""
    if _CUDA not in onnxruntime.get_available_providers():
        return False
    import torch  # noqa: PLC0415 - slow; and loads the libraries of CUDA, which the provider then finds

    return torch.cuda.is_available()


def device_name() -> str:
    """What it runs on, in words."""
    return "CUDA" if finds_cuda() else f"CPU {platform.machine()}"


class OnnxSession:
    """An ONNX file that can be run, in the numbers it says.

    Args:
        content: of the file.

    Raises:
        UnreadableExport: that is no ONNX file, or is damaged.
        MachineError: it cannot be run here.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        # By default it would take each core of the machine for itself, those that we may not use among them.
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        # Threads that wait by spinning take the cores from those who decode and encode.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A plan of memory is kept for each shape, and does not make it faster.
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # what fails is said by our errors
        # Convolutions in TF32 would not be float32.
        cuda = [(_CUDA, {"use_tf32": "0"})] if finds_cuda() else []
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=[*cuda, _CPU])
        except _UNREADABLE as error:
            raise UnreadableExport(
                f"ONNX Runtime cannot read the exported network: {_line(error)}"
            ) from error
        except _ERRORS as error:
            raise MachineError(f"ONNX Runtime cannot run the exported network: {_line(error)}") from error
        if cuda and _CUDA not in self._session.get_providers():
            raise MachineError(
                "ONNX Runtime cannot load its CUDA provider, its message is above; install the libraries it "
                "names, or onnxruntime in place of onnxruntime-gpu"
            )
        self.input_names = tuple(one.name for one in self._session.get_inputs())

    def run(self, *arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The outputs for the inputs, in the order of the file.

        Raises:
            OutOfMemory: there is too little memory for this much at once.
            MachineError: the device failed.
        """
        try:
            found: list[npt.NDArray[Any]] = self._session.run(
                None, dict(zip(self.input_names, arrays, strict=True))
            )
        except _ERRORS as error:
            shape = "x".join(map(str, arrays[0].shape))
            kind = OutOfMemory if any(word in str(error).lower() for word in _NO_MEMORY) else MachineError
            raise kind(f"ONNX Runtime failed with {shape}: {_line(error)}") from error
        return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
