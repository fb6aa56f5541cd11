"""Measures ways to compute a network on the GPU at hand, against torch's own kernels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from streamfuse.engine.backends.cuda_device import Cuda, Function
from streamfuse.engine.backends.cuda_plan import Trial
from streamfuse.errors import MachineError

__all__ = ["networks", "tried"]

_RUNS: Final = 20


def networks(network: nn.Module) -> dict[str, nn.Module]:
    """The network with kernels of ours, by their names; none without Triton, which compiles them."""
    try:
        from streamfuse.engine.backends.triton_grdb import with_kernels  # noqa: PLC0415 - loads Triton
    except ImportError:
        return {}
    return with_kernels(network)


def tried(cuda: Cuda, ways: Mapping[str, Callable[[], Function]], inputs: Sequence[Tensor]) -> list[Trial]:
    """Record, run and time each way, one after the other.

    Args:
        cuda: the device.
        ways: what builds each of them; the plain one is first.
        inputs: on the device.
    """
    trials: list[Trial] = []
    plain: Tensor | None = None
    for name, build in ways.items():
        fused = torch.empty_like(inputs[0])
        try:
            times_ms = _timed(cuda, build(), inputs, fused)
        except MachineError as error:
            trials.append(Trial(name=name, failure=str(error)))
            continue
        plain = fused if plain is None else plain
        trials.append(Trial(name=name, times_ms=times_ms, psnr_db=_psnr_db(fused, plain)))
    return trials


def _timed(cuda: Cuda, function: Function, inputs: Sequence[Tensor], fused: Tensor) -> tuple[float, ...]:
    captured = cuda.capture(function, inputs, None)
    work = functools.partial(captured, inputs, fused)
    cuda.times_ms(work, 1)
    return cuda.times_ms(work, _RUNS)


def _psnr_db(one: Tensor, other: Tensor) -> float:
    """Of 8-bit images; equal ones count as 120 dB."""
    error = (one.double() - other.double()).square().mean().item()
    return float(10 * np.log10(255**2 / max(error, 255**2 / 1e12)))
