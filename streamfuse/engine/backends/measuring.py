"""Finds by measurement which backend runs a network fastest on this machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamfuse.clock import NS_PER_MS, Clock, SystemClock
from streamfuse.engine.backends.base import Backend
from streamfuse.engine.backends.choices import Choice, Measured
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.errors import MachineError, UsageError

__all__ = ["SIZE_WH", "Candidate", "Opened", "measure_all"]

SIZE_WH: Final = (320, 240)
_ENOUGH_MS: Final = 50.0
_RUNS: Final = 3
"""A candidate runs this often, and on until it has had its time; its fastest run counts."""
_HOPELESS: Final = 2.0
"""A candidate whose first run takes this many times the fastest is not run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend that may be the fastest."""

    backend: str
    open: Callable[[], Backend]
    unless: str | None = None
    """A backend that this one is no faster than wherever that works, so that it need not be tried."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The fastest backend, open, and what was measured."""

    backend: Backend
    choice: Choice


def measure_all(candidates: Sequence[Candidate], *, clock: Clock | None = None) -> Opened | Choice:
    """Open candidates one after the other, measure them, and keep the fastest open.

    Args:
        candidates: best put in an order in which the likely winner comes first: the others are cut short.
        clock: what time is taken by; the system's if None.

    Returns:
        The fastest; or, where none works, a choice with the failures alone.
    """
    best: Backend | None = None
    ranking: list[Measured] = []
    failures: list[str] = []
    for candidate in candidates:
        if any(measured.backend == candidate.unless for measured in ranking):
            continue
        fastest_ms = min((one.ms for one in ranking), default=math.inf)
        try:
            backend, took_ms = _try(candidate, fastest_ms, clock or SystemClock())
        except (MachineError, UsageError) as error:
            failures.append(f"{candidate.backend}: {error}")
            continue
        ranking.append(Measured(candidate.backend, backend.precision, took_ms))
        best, slower = (backend, best) if took_ms < fastest_ms else (best, backend)
        if slower is not None:
            slower.close()
    choice = Choice(tuple(sorted(ranking, key=lambda one: one.ms)), tuple(failures))
    return choice if best is None else Opened(best, choice)


def _try(candidate: Candidate, fastest_ms: float, clock: Clock) -> tuple[Backend, float]:
    """Open a candidate and measure it; it is closed again if it fails."""
    backend = candidate.open()
    try:
        return backend, _measure_ms(backend, fastest_ms, clock)
    except (MachineError, UsageError):
        backend.close()
        raise


def _measure_ms(backend: Backend, fastest_ms: float, clock: Clock) -> float:
    """Milliseconds that one pair takes at best; whatever else the machine does can only add to it."""
    inputs = blank_inputs(Recipe.LUMA, 1, SIZE_WH)
    for index, plane in enumerate(inputs[:2]):  # not black: some hardware multiplies zeros faster
        plane[:] = np.random.default_rng(index).integers(0, 256, plane.shape, np.uint8)
    backend.warm_up(Recipe.LUMA, 1, SIZE_WH)
    took_ms: list[float] = []
    while len(took_ms) < _RUNS or sum(took_ms) < _ENOUGH_MS:
        begun_ns = clock.now_ns()
        backend.run(Recipe.LUMA, *inputs)
        took_ms.append((clock.now_ns() - begun_ns) / NS_PER_MS)
        if took_ms[0] > _HOPELESS * fastest_ms:
            break
    return min(took_ms)
