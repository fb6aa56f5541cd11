"""The network of a task alone: what its forward pass costs when nothing stands around it.

This is the yardstick, so it is written here anew instead of borrowed from the engine. The input lies ready as
the network takes it (on CUDA: in the GPU's memory), and the outputs stay where they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from streamfuse.engine.backends.base import Precision, cpu_computes_bfloat16
from streamfuse.engine.tasks.networks import TaskNetwork
from streamfuse.errors import MachineError, UsageError

__all__ = ["Forward", "open_bare"]

Forward = Callable[[], None]
"""One forward pass; returns when it is done."""
Batch = npt.NDArray[np.float32]


def open_bare(network: TaskNetwork, backend: str) -> tuple[Callable[[Batch], Forward], Precision]:
    """Prepare the bare network.

    Args:
        network: its module is changed: batch normalisation goes into the convolutions, as for any inference.
        backend: what computes it, by the engine's name.

    Returns:
        What makes a forward pass of a (B, 3, H, W) float32 batch in 0..1, and the numbers it computes in.

    Raises:
        UsageError: a backend without a bare counterpart here.
        MachineError: it does not run on this machine.
    """
    if backend not in _OPENERS:
        raise UsageError(f"bench tasks compares on {', '.join(_OPENERS)}; got backend {backend!r}")
    module: Any = network.module
    return _OPENERS[backend](module.fuse(verbose=False))


def _openvino(module: Any) -> tuple[Callable[[Batch], Forward], Precision]:
    from streamfuse.engine.backends.openvino_quiet import (  # noqa: PLC0415 - only where it is measured
        CORE,
        openvino,
    )

    for part in module.modules():
        if hasattr(part, "export"):
            part.export, part.format = True, "openvino"
    example = torch.zeros(1, 3, 64, 64)
    with warnings.catch_warnings(), torch.inference_mode():
        # What OpenVINO reads is made by torch.jit, which torch has deprecated.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced, example_input=example)
    precision = Precision.BFLOAT16 if cpu_computes_bfloat16() else Precision.FLOAT32
    hint = {Precision.BFLOAT16: "bf16", Precision.FLOAT32: "f32"}[precision]
    config = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}

    def prepare(batch: Batch) -> Forward:
        sized = model.clone()
        sized.reshape({0: openvino.PartialShape((1, *batch.shape[1:]))})
        request = CORE.compile_model(sized, "CPU", config).create_infer_request()

        def forward() -> None:
            # One by one: that is as fast on a CPU, and it is what the stage is measured against.
            for index in range(len(batch)):
                request.infer((batch[index : index + 1],), share_inputs=True, share_outputs=True)

        return forward

    return prepare, precision


def _torch(module: Any) -> tuple[Callable[[Batch], Forward], Precision]:
    def prepare(batch: Batch) -> Forward:
        pixels = torch.from_numpy(batch)

        @torch.inference_mode()
        def forward() -> None:
            module(pixels)

        return forward

    return prepare, Precision.FLOAT32


def _torch_cuda(module: Any) -> tuple[Callable[[Batch], Forward], Precision]:
    if not torch.cuda.is_available():
        raise MachineError("torch finds no CUDA device; choose --backend openvino or torch")
    device = torch.device("cuda")
    module = module.to(device, torch.float16, memory_format=torch.channels_last)

    def prepare(batch: Batch) -> Forward:
        pixels = torch.from_numpy(batch).to(device, torch.float16, memory_format=torch.channels_last)

        @torch.inference_mode()
        def forward() -> None:
            module(pixels)
            torch.cuda.synchronize(device)

        return forward

    return prepare, Precision.FLOAT16


_OPENERS: Final[Mapping[str, Callable[[Any], tuple[Callable[[Batch], Forward], Precision]]]] = (
    MappingProxyType({"openvino": _openvino, "torch": _torch, "torch-cuda": _torch_cuda})
)
