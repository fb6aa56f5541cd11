"""Opens a backend by name, or the fastest one that works on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from streamfuse.engine.backends.base import Backend, Blueprint, Precision
from streamfuse.errors import MachineError, UsageError

__all__ = ["BACKEND_NAMES", "open_backend"]


def _open_openvino(blueprint: Blueprint, precision: Precision | None) -> Backend:
    try:
        from streamfuse.engine.backends.openvino_backend import OpenVinoBackend  # noqa: PLC0415 - loads openvino
    except ImportError as error:
        raise MachineError(f"OpenVINO cannot be loaded ({error}); reinstall it or use torch") from error
    return OpenVinoBackend(blueprint, precision=precision)


def _open_torch(blueprint: Blueprint, precision: Precision | None) -> Backend:
    from streamfuse.engine.backends.torch_backend import TorchBackend  # noqa: PLC0415 - one at a time

    return TorchBackend(blueprint, precision=precision)


def _open_torch_cuda(blueprint: Blueprint, precision: Precision | None) -> Backend:
    from streamfuse.engine.backends.torch_cuda_backend import TorchCudaBackend  # noqa: PLC0415 - the same

    return TorchCudaBackend(blueprint, precision=precision)


_OPENERS: Mapping[str, Callable[[Blueprint, Precision | None], Backend]] = MappingProxyType(
    {"torch-cuda": _open_torch_cuda, "openvino": _open_openvino, "torch": _open_torch}
)
"""In the order in which ``auto`` tries them."""

BACKEND_NAMES = ("auto", *_OPENERS)


def open_backend(name: str, blueprint: Blueprint, *, precision: str = "auto") -> tuple[Backend, str]:
    """Open a backend by name, or with ``auto`` the fastest one that this machine can run.

    Args:
        name: one of :data:`BACKEND_NAMES`.
        blueprint: of the network to run.
        precision: a :class:`Precision`, or ``auto`` for what the device computes fastest.

    Returns:
        The backend, and why it was chosen: one sentence, with the failures of those tried before it.

    Raises:
        UsageError: an unknown name or precision, or a precision that the backend does not have.
        MachineError: the named backend, or every one of them, does not work here.
    """
    if name not in BACKEND_NAMES:
        raise UsageError(f"fusion backend must be one of {', '.join(BACKEND_NAMES)}; got {name!r}")
    if precision not in {"auto", *Precision}:
        raise UsageError(f"precision must be one of auto, {', '.join(Precision)}; got {precision!r}")
    wanted = None if precision == "auto" else Precision(precision)
    if name != "auto":
        return _OPENERS[name](blueprint, wanted), f"{name} was asked for"
    failures: list[str] = []
    for candidate, opener in _OPENERS.items():
        try:
            backend = opener(blueprint, wanted)
        except MachineError as error:
            failures.append(f"{candidate}: {error}")
        else:
            return backend, "; ".join((f"{candidate} is the fastest that works here", *failures))
    raise MachineError(f"no fusion backend works on this machine: {'; '.join(failures)}")
