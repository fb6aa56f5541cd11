"""What the processes of the benchmark of the task stage tell each other, and what each of them does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS, SystemClock
from streamfuse.jobs.benching.child import own_nbytes

__all__ = ["BARE", "PREDICT", "STAGE", "Images", "Opened", "Setting", "Turn", "compete"]

STAGE: Final = "stage"
"""`TaskRunner.run`: images in, checked objects with masks out."""
BARE: Final = "bare"
"""The network alone."""
PREDICT: Final = "predict"
"""`YOLO.predict` of Ultralytics, with its own settings."""

Images = Sequence[npt.NDArray[np.uint8]]
"""HxWx3 in the order R, G, B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all contestants are given."""

    weights: str
    backend: str
    images: Images
    threads: int
    """That torch may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a contestant says of itself once it is ready."""

    kind: str
    """``detect`` or ``segment``."""
    backend: str
    device: str
    precision: str
    """Numbers that the network is computed in, where it is known."""
    network_wh: tuple[int, int]
    """Size of the network's input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a contestant."""

    took_ms: tuple[float, ...]
    """Of each call with the whole batch."""
    cpu_ms: float
    """Processor time of such a call, all threads; other programs hardly change it."""
    objects: int
    """That the last call found in all its images; 0 for the bare network, which does not look."""
    memory_nbytes: int
    """Of the whole process, after the turn."""


def compete(name: str, setting: Setting, parent: Connection) -> None:
    """Be a contestant: open, then take turns of (images in a batch, calls) until told None."""
    import torch  # noqa: PLC0415 - in the process that measures, not in the one that asks

    from streamfuse.jobs.benching.tasks_contestants import open_contestant  # noqa: PLC0415 - as torch

    torch.set_num_threads(setting.threads)
    clock = SystemClock()
    with open_contestant(name, setting) as (opened, run):
        parent.send(opened)
        while (asked := parent.recv()) is not None:
            batch, calls = asked
            images = [setting.images[index % len(setting.images)] for index in range(batch)]
            objects = run(images)  # settles caches and threads after the others' turns; not counted
            took_ms, began_cpu_ns = [], time.process_time_ns()
            for _ in range(calls):
                began_ns = clock.now_ns()
                objects = run(images)
                took_ms.append((clock.now_ns() - began_ns) / NS_PER_MS)
            cpu_ms = (time.process_time_ns() - began_cpu_ns) / NS_PER_MS / calls
            parent.send(
                Turn(took_ms=tuple(took_ms), cpu_ms=cpu_ms, objects=objects, memory_nbytes=own_nbytes())
            )
