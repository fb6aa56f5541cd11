"""torch, CUDA and OpenVINO: each fuses a few pictures, because a driver that loads need not compute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from streamfuse.clock import NS_PER_MS, SystemClock
from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import MachineError
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.jobs.doctor.finding import Finding, Level

__all__ = ["NVIDIA_TRACES", "look_at_cuda", "look_at_openvino", "look_at_torch", "try_backend"]

NVIDIA_TRACES: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/nvmap"))
"""What a machine with a driver of NVIDIA has; the last one is a Jetson's."""
_SIZE_WH: Final = (640, 480)
_UNCOUNTED: Final = 3
"""Rounds in which threads, caches and clocks of the processor wake up."""
_ROUNDS: Final = 5
_ENOUGH_MS: Final = 300.0
"""The rounds go on until they have had this time."""


def look_at_torch() -> Iterator[Finding]:
    """The processor with torch, which everything falls back to."""
    try:
        text = try_backend("torch")
    except MachineError as error:
        fix = "install streamfuse into a fresh virtual environment"
        yield Finding(what="torch", level=Level.FAIL, text=str(error), fix=fix)
    else:
        yield Finding(what="torch", level=Level.OK, text=text)


def look_at_openvino() -> Iterator[Finding]:
    """OpenVINO, which is what fuses where there is no GPU."""
    try:
        text = try_backend("openvino")
    except MachineError as error:
        fix = "`pip install --force-reinstall openvino`; until then torch does it, slower"
        yield Finding(what="openvino", level=Level.WARNING, text=str(error), fix=fix)
    else:
        yield Finding(what="openvino", level=Level.OK, text=text)


def look_at_cuda(traces: tuple[Path, ...] = NVIDIA_TRACES) -> Iterator[Finding]:
    """A GPU: used, absent, or there and out of reach.

    Args:
        traces: files of which a machine with NVIDIA's driver has at least one.
    """
    try:
        text = try_backend("torch-cuda")
    except MachineError as error:
        found = [str(trace) for trace in traces if trace.exists()]
        if found:
            fix = (
                "look at `nvidia-smi`; a container needs `--gpus all` and NVIDIA's container toolkit, "
                "and a driver at least as new as torch's CUDA"
            )
            text = f"a driver of NVIDIA is there ({found[0]}), but: {error}"
            yield Finding(what="cuda", level=Level.WARNING, text=text, fix=fix)
        else:
            yield Finding(what="cuda", level=Level.OK, text="no GPU of NVIDIA; the processor fuses")
    else:
        yield Finding(what="cuda", level=Level.OK, text=text)


def try_backend(name: str) -> str:
    """Fuse a pair with a backend, and say how fast it was at best: other programs can only add to that.

    Args:
        name: one of ``torch``, ``torch-cuda`` and ``openvino``.

    Raises:
        MachineError: it does not work here.
    """
    spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=_SIZE_WH)
    plane = np.full(spec.plane_shapes[0], 128, np.uint8)
    pair = Image(spec, (plane,)), Image(spec, (plane,))
    clock = SystemClock()
    with FusionEngine.load(backend=name) as engine:
        engine.warm_up(spec)
        for _ in range(_UNCOUNTED):
            engine.fuse_images([pair])
        took_ms: list[float] = []
        while len(took_ms) < _ROUNDS or sum(took_ms) < _ENOUGH_MS:
            begun_ns = clock.now_ns()
            engine.fuse_images([pair])
            took_ms.append((clock.now_ns() - begun_ns) / NS_PER_MS)
        width, height = _SIZE_WH
        return (
            f"{engine.device} fuses {width}x{height} with {engine.network} in {min(took_ms):.1f} ms at best, "
            f"in {engine.precision}; longer on a busy machine"
        )
