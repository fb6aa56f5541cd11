"""Opens a backend by name, or the fastest one that works on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from streamfuse.engine.backends.base import (
    Backend,
    Blueprint,
    Precision,
    cpu_computes_bfloat16,
    cpu_multiplies_bfloat16_tiles,
)
from streamfuse.engine.backends.choices import Choice, ChoiceFile
from streamfuse.engine.backends.measuring import SIZE_WH, Candidate, measure_all
from streamfuse.errors import MachineError, UsageError

__all__ = ["BACKEND_NAMES", "open_backend"]


def _open_openvino(
    blueprint: Blueprint, precision: Precision | None, *, on: Literal["CPU", "GPU"] = "CPU"
) -> Backend:
    try:
        from streamfuse.engine.backends.openvino_backend import OpenVinoBackend  # noqa: PLC0415 - loads openvino
    except ImportError as error:
        raise MachineError(f"OpenVINO cannot be loaded ({error}); reinstall it or use torch") from error
    return OpenVinoBackend(blueprint, precision=precision, on=on)


def _open_torch(blueprint: Blueprint, precision: Precision | None) -> Backend:
    from streamfuse.engine.backends.torch_backend import TorchBackend  # noqa: PLC0415 - one at a time

    return TorchBackend(blueprint, precision=precision)


def _open_torch_cuda(blueprint: Blueprint, precision: Precision | None) -> Backend:
    from streamfuse.engine.backends.torch_cuda_backend import TorchCudaBackend  # noqa: PLC0415 - the same

    return TorchCudaBackend(blueprint, precision=precision)


def _open_onnx(blueprint: Blueprint, precision: Precision | None) -> Backend:
    try:
        from streamfuse.engine.backends.onnx_backend import OnnxBackend  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MachineError(f"no ONNX Runtime here ({error}): pip install 'streamfuse[onnx]'") from error
    return OnnxBackend(blueprint, precision=precision)


def _open_tensorrt(blueprint: Blueprint, precision: Precision | None) -> Backend:
    try:
        from streamfuse.engine.backends.tensorrt_backend import TensorRtBackend  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MachineError(
            f"no TensorRT here ({error}): pip install 'streamfuse[tensorrt]' on a machine with an NVIDIA GPU"
        ) from error
    return TensorRtBackend(blueprint, precision=precision)


_OPENERS: Mapping[str, Callable[[Blueprint, Precision | None], Backend]] = MappingProxyType(
    {
        "torch-cuda": _open_torch_cuda,
        "openvino": _open_openvino,
        "openvino-gpu": functools.partial(_open_openvino, on="GPU"),
        "torch": _open_torch,
        "onnx": _open_onnx,
        "tensorrt": _open_tensorrt,
    }
)

BACKEND_NAMES = ("auto", *_OPENERS)


def open_backend(name: str, blueprint: Blueprint, *, precision: str = "auto") -> tuple[Backend, str]:
    """Open a backend by name, or with ``auto`` the one that is fastest on this machine.

    The first ``auto`` for a network measures. What it finds is kept in the cache folder, for this machine,
    its driver and the versions of the libraries; the next one opens the fastest at once.

    Args:
        name: one of :data:`BACKEND_NAMES`.
        blueprint: of the network to run.
        precision: a :class:`Precision`, or ``auto`` for what the device computes fastest.

    Returns:
        The backend, and why it was chosen: one sentence, with what the others took and why some do not work.

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
    file = None if blueprint.content is None else ChoiceFile(f"{blueprint.content} {precision}")
    opened = _open_kept(file, blueprint) if file else None
    return opened or _open_measured(_candidates(blueprint, wanted), file)


def _candidates(blueprint: Blueprint, wanted: Precision | None) -> list[Candidate]:
    """What ``auto`` measures, the one that is likely to be the fastest first.

    ONNX Runtime, whose file takes seconds to make, stands in for OpenVINO. TensorRT is opened only by name:
    it builds for minutes, and again for every size of image.
    """

    def candidate(backend: str, precision: Precision | None = wanted, unless: str | None = None) -> Candidate:
        return Candidate(backend=backend, open=lambda: _OPENERS[backend](blueprint, precision), unless=unless)

    found = [candidate("torch-cuda"), candidate("openvino")]
    if wanted is None and cpu_computes_bfloat16() and not cpu_multiplies_bfloat16_tiles():
        found.append(candidate("openvino", Precision.FLOAT32))
    return [
        *found,
        candidate("openvino-gpu", unless="torch-cuda"),
        candidate("onnx", unless="openvino"),
        candidate("torch"),
    ]


def _open_kept(file: ChoiceFile, blueprint: Blueprint) -> tuple[Backend, str] | None:
    """The fastest of those measured earlier that opens now; None if none does: measure again."""
    if (kept := file.read()) is None:
        return None
    failures: list[str] = []
    for place, one in enumerate(kept.ranking):
        try:
            backend = _OPENERS[one.backend](blueprint, one.precision)
        except (KeyError, MachineError, UsageError) as error:
            failures.append(f"{one.backend}, which was faster, fails now: {error}")
        else:
            rest = Choice(kept.ranking[place:], (*failures, *kept.failures))
            return backend, _why(rest, f"measured on {file.written_on()}, kept")
    return None


def _open_measured(candidates: Sequence[Candidate], file: ChoiceFile | None) -> tuple[Backend, str]:
    """Measure now, and keep what was found where it can be kept."""
    found = measure_all(candidates)
    if isinstance(found, Choice):
        raise MachineError(f"no fusion backend works on this machine: {'; '.join(found.failures)}")
    kept = file is not None and file.write(found.choice)
    return found.backend, _why(found.choice, "measured now, kept" if kept else "measured now, not kept")


def _why(choice: Choice, when: str) -> str:
    """One sentence with the numbers."""
    best, *others = choice.ranking
    width, height = SIZE_WH
    first = (
        f"{best.backend} is the fastest here: {best.ms:.3g} ms per {width}x{height} pair in {best.precision}"
    )
    return "; ".join((first, *map(str, others), *choice.failures)) + f" ({when})"
