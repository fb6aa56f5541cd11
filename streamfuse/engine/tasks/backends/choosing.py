"""Opens what runs a task network: by name, or the fastest that works on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from streamfuse.engine.backends.driver import has_cuda_driver
from streamfuse.engine.tasks.backends.base import GraphMaker, TaskBackend
from streamfuse.errors import MachineError

__all__ = ["open_task_backend"]


def _open_torch(graph: GraphMaker, content: str) -> TaskBackend:  # noqa: ARG001 - one form for all
    from streamfuse.engine.tasks.backends.torch_runner import TorchRunner  # noqa: PLC0415 - one at a time

    return TorchRunner(graph(), device="cpu")


def _open_torch_cuda(graph: GraphMaker, content: str) -> TaskBackend:  # noqa: ARG001 - one form for all
    from streamfuse.engine.tasks.backends.torch_runner import TorchRunner  # noqa: PLC0415 - one at a time

    return TorchRunner(graph(), device="cuda")


def _open_openvino(graph: GraphMaker, content: str) -> TaskBackend:
    try:
        from streamfuse.engine.tasks.backends.openvino_runner import OpenVinoRunner  # noqa: PLC0415 - the same
    except ImportError as error:
        raise MachineError(f"OpenVINO cannot be loaded ({error}); reinstall it or use torch") from error
    return OpenVinoRunner(graph, content=content)


def _open_onnx(graph: GraphMaker, content: str) -> TaskBackend:
    try:
        from streamfuse.engine.tasks.backends.onnx_runner import OnnxRunner  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MachineError(f"no ONNX Runtime here ({error}): pip install 'streamfuse[onnx]'") from error
    return OnnxRunner(graph, content=content)


def _open_tensorrt(graph: GraphMaker, content: str) -> TaskBackend:
    try:
        from streamfuse.engine.tasks.backends.tensorrt_runner import TensorRtRunner  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MachineError(
            f"no TensorRT here ({error}): pip install 'streamfuse[tensorrt,onnx]' on a machine with an "
            "NVIDIA GPU"
        ) from error
    return TensorRtRunner(graph, content=content)


_OPENERS: Final[Mapping[str, Callable[[GraphMaker, str], TaskBackend]]] = MappingProxyType(
    {
        "torch-cuda": _open_torch_cuda,
        "openvino": _open_openvino,
        "torch": _open_torch,
        "onnx": _open_onnx,
        "tensorrt": _open_tensorrt,
    }
)
_AUTOMATIC: Final = ("torch-cuda", "openvino", "torch")
"""In the order in which ``auto`` tries them; the others take minutes to build, or are no faster."""


def open_task_backend(name: str, graph: GraphMaker, *, content: str) -> TaskBackend:
    """Open a backend for a network.

    Args:
        name: one of :data:`streamfuse.config.tasks.TaskBackend`.
        graph: makes the network with what belongs around it; not asked where a converted form is kept.
        content: what it is computed from, such as the digest of its weights; exports are kept by it.

    Raises:
        MachineError: the named backend, or every one of them, does not work here.
    """
    if name != "auto":
        return _OPENERS[name](graph, content)
    failures: list[str] = []
    for candidate in _AUTOMATIC:
        if candidate == "torch-cuda" and not has_cuda_driver():
            failures.append(f"{candidate}: no NVIDIA driver is installed")
            continue
        try:
            return _OPENERS[candidate](graph, content)
        except MachineError as error:
            failures.append(f"{candidate}: {error}")
    raise MachineError(f"no backend for task networks works on this machine: {'; '.join(failures)}")
