"""What the processes of the benchmark of the fusion tell each other, and what each of them does."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS, SystemClock
from streamfuse.jobs.benching.child import own_nbytes
from streamfuse.jobs.benching.street import Pictures

__all__ = ["Ask", "Contestant", "Fuse", "Opened", "Plane", "Setting", "Turn", "compete", "take_turns"]

Plane = npt.NDArray[np.uint8]
Fuse = Callable[[Pictures], list[Plane]]
"""One call with a batch of pairs: the fused luma of each."""

_BYTES_PER_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A way to fuse, as it was asked for."""

    model: str
    weights: str
    backend: str
    precision: str

    def __str__(self) -> str:
        asked = [self.backend] if self.precision == "auto" else [self.backend, self.precision]
        return f"{self.model}/{self.weights} on {' '.join(asked)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all contestants are given."""

    pictures: Pictures
    threads: int
    """That the reference may use: all. The engine has its own mind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a contestant says of itself once it is ready."""

    architecture: str
    """The network that the weights are of."""
    weights: str
    """Their name."""
    backend: str
    precision: str
    device: str
    why: str
    """Why it is this backend."""
    on_gpu: bool
    """Whether the device has memory of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A turn that a contestant is to take."""

    batch: int
    calls: int
    """Counted ones."""
    settles: bool = True
    """Whether there is one before them that is not counted: the turns of others leave caches cold."""
    shows: bool = False
    """Whether the fused luma of the first pair is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a contestant."""

    took_ms: tuple[float, ...]
    """Of each call with the whole batch: from images in memory to fused images in memory."""
    cpu_ms: float
    """Processor time of such a call, all threads; other programs hardly change it."""
    memory_nbytes: int
    """Of the whole process, after the turn."""
    peak_nbytes: int
    """The most that the process has had in memory so far, shared libraries included."""
    device_nbytes: int | None
    """Of the device's own memory, after the turn; None where it has none."""
    shown: Plane | None = None


def compete(contestant: Contestant, setting: Setting, parent: Connection) -> None:
    """Be a contestant: open, then take turns until told None."""
    from streamfuse.engine.fusion import FusionEngine  # noqa: PLC0415 - where it works, not where it is asked for

    with FusionEngine.load(
        contestant.model,
        weights=contestant.weights,
        backend=contestant.backend,
        precision=contestant.precision,
    ) as engine:

        def fuse(pairs: Pictures) -> list[Plane]:
            return [image.planes[0].astype(np.uint8, copy=False) for image in engine.fuse_images(pairs)]

        fuse(setting.pictures[:1])  # compiles: memory and failures show from here on
        assert engine.weights is not None  # it came from a file
        card = engine.weights.card
        parent.send(
            Opened(
                architecture=card.architecture,
                weights=card.name,
                backend=engine.backend,
                precision=str(engine.precision),
                device=engine.device,
                why=engine.why,
                on_gpu=engine.memory_bytes is not None,
            )
        )
        take_turns(fuse, setting.pictures, parent, device_nbytes=lambda: engine.memory_bytes)


def take_turns(
    fuse: Fuse, pictures: Pictures, parent: Connection, *, device_nbytes: Callable[[], int | None]
) -> None:
    """Fuse as often as asked and say how long it took, until told None."""
    clock = SystemClock()
    while isinstance(ask := parent.recv(), Ask):
        pairs = tuple(pictures[index % len(pictures)] for index in range(ask.batch))
        fused = fuse(pairs) if ask.settles else []
        took_ms, began_cpu_ns = [], time.process_time_ns()
        for _ in range(ask.calls):
            began_ns = clock.now_ns()
            fused = fuse(pairs)
            took_ms.append((clock.now_ns() - began_ns) / NS_PER_MS)
        parent.send(
            Turn(
                took_ms=tuple(took_ms),
                cpu_ms=(time.process_time_ns() - began_cpu_ns) / NS_PER_MS / ask.calls,
                memory_nbytes=own_nbytes(),
                peak_nbytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_KIB,
                device_nbytes=device_nbytes(),
                shown=fused[0] if ask.shows else None,
            )
        )
