"""What a network asks of a machine, and what the machine can give: the roofline of the fusion.

*Multiplications* and *bytes* are counted by hooks on the layers of the real network, on torch's ``meta``
device, which computes shapes and no pixels. A layer reads its inputs and writes its output once; what a
backend saves by keeping them in a cache is its own. *Peaks* are measured: a large product of matrices in
torch, by the same libraries that a network runs on, and a copy of memory that no cache holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import torch
from torch import Tensor, nn

from streamfuse.nets.registry import build

__all__ = ["Demand", "Peak", "Roofline", "demand_of", "survey"]

_SIDE: Final = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices: large against every cache, and done in a moment."""
_COPIED: Final = 1 << 28
"""Bytes of the copy."""
_FOR_S: Final = 0.5
_GIGA: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one pair costs a network."""

    gmac: float
    """Multiplications with addition, in units of 1e9."""
    activations: int
    """Numbers that its layers read and write."""
    parameters: int

    def nbytes(self, precision: str) -> float:
        """Traffic of the activations when each layer goes to memory."""
        return self.activations * {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}[precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What a device gave at best."""

    gmac_per_s: Mapping[str, float]
    """By precision."""
    gb_per_s: float
    """Read and written, of its memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Demand by architecture and size, peaks by ``cpu`` or ``cuda``."""

    demands: Mapping[tuple[str, tuple[int, int]], Demand]
    peaks: Mapping[str, Peak]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "networks": [
                {
                    "architecture": architecture,
                    "size_wh": list(size_wh),
                    "gmac": round(demand.gmac, 3),
                    "activation_mb_float32": round(demand.nbytes("float32") / 1e6, 1),
                    "parameters": demand.parameters,
                }
                for (architecture, size_wh), demand in self.demands.items()
            ],
            "peaks": {
                device: {
                    "gmac_per_s": {name: round(value, 1) for name, value in peak.gmac_per_s.items()},
                    "gb_per_s": round(peak.gb_per_s, 1),
                }
                for device, peak in self.peaks.items()
            },
        }


def survey(
    architectures: Sequence[str], sizes: Sequence[tuple[int, int]], threads: int, parent: Connection
) -> None:
    """Send the :class:`Roofline` of some networks on this machine."""
    torch.set_num_threads(threads)
    demands = {
        (name, size_wh): demand_of(build(name), size_wh) for name in architectures for size_wh in sizes
    }
    kinds = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    parent.send(Roofline(demands=demands, peaks={kind: _peak(kind) for kind in kinds}))
    parent.recv()


def demand_of(network: nn.Module, size_wh: tuple[int, int]) -> Demand:
    """Count what one pair of this size costs ``network``, which is moved to the ``meta`` device."""
    macs = activations = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs, activations
        activations += output.numel() + sum(given.numel() for given in inputs)
        if isinstance(layer, nn.Conv2d):
            macs += output.numel() * layer.weight[0].numel()

    leaves = [layer for layer in network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(count) for layer in leaves]
    width, height = size_wh
    blank = torch.zeros(1, 1, height, width, device="meta")
    with torch.inference_mode():
        network.to("meta").eval()(blank, blank)
    for hook in hooks:
        hook.remove()
    parameters = sum(each.numel() for each in network.parameters())
    return Demand(gmac=macs / _GIGA, activations=activations, parameters=parameters)


def _peak(device: str) -> Peak:
    halves = {"cpu": torch.bfloat16, "cuda": torch.float16}
    dtypes = {"float32": torch.float32, str(halves[device]).removeprefix("torch."): halves[device]}
    rates = {name: _product_rate(device, dtype) for name, dtype in dtypes.items()}
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    copied = _best_rate(device, lambda: target.copy_(source))
    return Peak(gmac_per_s=rates, gb_per_s=2 * _COPIED * copied / _GIGA)


@torch.inference_mode()
def _product_rate(device: str, dtype: torch.dtype) -> float:
    side = _SIDE[device]
    left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    return side**3 * _best_rate(device, lambda: left @ right) / _GIGA


def _best_rate(device: str, work: Callable[[], object]) -> float:
    """How often a second ``work`` is done, at best."""
    best_s = float("inf")
    work()
    end_s = time.perf_counter() + _FOR_S
    while time.perf_counter() < end_s:
        began_s = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - began_s)
    return 1 / best_s
