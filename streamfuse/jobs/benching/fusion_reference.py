"""What the fusion is measured by: networks in plain torch, float32, one operation after the other.

This is the yardstick, so it is written here anew instead of borrowed from the engine's backends: no fused
layers, no other memory layout, no tiles. What lies around the network (levels, rounding) is what the engine
promises of YUV images. The same networks say what a backend should have given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import MachineError
from streamfuse.frames import ColorRange, Image
from streamfuse.jobs.benching.fusion_turns import Fuse, Opened, Plane, Setting, take_turns
from streamfuse.jobs.benching.street import Pictures

__all__ = ["REFERENCE", "Truths", "refer"]

REFERENCE: Final = "grdb"
"""Network and weights of the reference: the one that was published, in its own layers."""

Truths = Sequence[tuple[str, str]]
"""(architecture, weights) whose result for the first pair is wanted."""

_LEVELS: Final[Mapping[ColorRange, tuple[float, float]]] = MappingProxyType(
    {ColorRange.FULL: (0.0, 255.0), ColorRange.LIMITED: (16.0, 219.0)}
)
"""Code of black, and codes from there to white."""


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    words: str


def refer(kind: str, truths: Truths, setting: Setting, parent: Connection) -> None:
    """Be the reference on ``cpu`` or ``cuda``: say what ``truths`` are, then take turns until told None."""
    torch.set_num_threads(setting.threads)
    device = _device(kind)
    if device.name == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    parent.send([_plain(model, weights, "cpu")(setting.pictures[:1])[0] for model, weights in truths])
    fuse = _plain(REFERENCE, REFERENCE, device.name)
    parent.send(
        Opened(
            architecture=REFERENCE,
            weights=REFERENCE,
            backend="plain torch",
            precision="float32",
            device=device.words,
            why="the reference",
            on_gpu=device.name == "cuda",
        )
    )
    take_turns(fuse, setting.pictures, parent, device_nbytes=lambda: _reserved(device))


def _device(kind: str) -> _Device:
    if kind == "cpu":
        return _Device("cpu", "CPU")
    if not torch.cuda.is_available():
        raise MachineError("torch finds no CUDA device for the reference")
    return _Device("cuda", torch.cuda.get_device_name())


def _reserved(device: _Device) -> int | None:
    return torch.cuda.memory_reserved() if device.name == "cuda" else None


def _plain(model: str, weights: str, device: str) -> Fuse:
    network: nn.Module = load_network(resolve(weights, model=model)).to(device)

    @torch.inference_mode()
    def fuse(pairs: Pictures) -> list[Plane]:
        black, span = _LEVELS[pairs[0][0].spec.range]
        visible = ((_stacked([pair[0] for pair in pairs], device) - black) / span).clamp(0.0, 1.0)
        infrared = _stacked([pair[1] for pair in pairs], device) / 255.0
        fused = network(visible, infrared).clamp(0.0, 1.0) * span + black
        planes: Plane = fused.round().to(torch.uint8).squeeze(1).cpu().numpy()
        return list(planes)

    return fuse


def _stacked(images: Sequence[Image], device: str) -> Tensor:
    """First planes as (B, 1, H, W) float32."""
    return torch.from_numpy(np.stack([image.planes[0] for image in images])).to(device).float().unsqueeze(1)
