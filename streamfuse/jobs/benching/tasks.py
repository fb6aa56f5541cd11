"""`streamfuse bench tasks`: the task stage beside its bare network and beside Ultralytics, in one run.

Each contestant is a process of its own, so that none has the threads, settings or memory of another. They
take turns, in another order in every round; the first call of a turn is not counted. What is compared are
ratios within a round: whatever else the machine does falls on all of them.

The pictures are those of the synthetic street, at dusk, so that there is something to find.
"""

from __future__ import annotations

import multiprocessing as mp
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from streamfuse.config.tasks import TaskBackend
from streamfuse.errors import UsageError
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.jobs.benching.child import Child, answers
from streamfuse.jobs.benching.tasks_report import TasksReport
from streamfuse.jobs.benching.tasks_turns import BARE, PREDICT, STAGE, Opened, Setting, Turn, compete

__all__ = ["TasksBench", "bench_tasks"]

_PICTURES: Final = 4
_EVERY_S: Final = 3.0
"""Between two of them."""
_PATIENCE_S: Final = 300
"""For one turn, or for a network to be read and compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksBench:
    """What to measure.

    Raises:
        UsageError: a number, size or backend that makes no sense.
    """

    weights: str = "default"
    batches: tuple[int, ...] = (1, 8)
    size_wh: tuple[int, int] = (640, 480)
    """Of the pictures; even sides."""
    backend: str = "auto"
    rounds: int = 20
    calls: int = 2
    """Counted calls of each turn."""

    def __post_init__(self) -> None:
        if not self.batches or not all(1 <= batch <= 64 for batch in self.batches):
            raise UsageError(f"batches must be within 1..64, got {list(self.batches)}")
        if not 1 <= self.rounds <= 1000:
            raise UsageError(f"rounds must be within 1..1000, got {self.rounds}")
        if not 1 <= self.calls <= 100:
            raise UsageError(f"calls must be within 1..100, got {self.calls}")
        if self.backend not in get_args(TaskBackend):
            raise UsageError(
                f"backend must be one of {', '.join(get_args(TaskBackend))}; got {self.backend!r}"
            )
        try:
            StreetSpec(size_wh=self.size_wh)
        except ValueError as error:
            raise UsageError(f"size: {error}") from error


def bench_tasks(bench: TasksBench, *, on_progress: Callable[[int, int, str], None]) -> TasksReport:
    """Measure everything; ``on_progress`` is told how many turns are done, of how many, and whose is next.

    Raises:
        WeightsError: weights that are missing or no YOLO network.
        UsageError: a backend whose bare network cannot be measured here.
        MachineError: the backend does not work on this machine.
        PromiseError: a process failed or did not come to its end.
    """
    load_before = os.getloadavg()[0]
    threads = len(os.sched_getaffinity(0))
    setting = Setting(
        weights=bench.weights, backend=bench.backend, images=_pictures(bench.size_wh), threads=threads
    )
    with ExitStack() as stack:
        on_progress(0, 0, "starting")
        children, opened = _open(setting, stack)
        turns = _measure(bench, children, on_progress)
        for child in children.values():
            child.tell(None)
    return TasksReport(
        weights=bench.weights,
        size_wh=bench.size_wh,
        threads=threads,
        load_before=load_before,
        opened=opened,
        turns=turns,
    )


def _pictures(size_wh: tuple[int, int]) -> list[npt.NDArray[np.uint8]]:
    street = Street(StreetSpec(seed=7, size_wh=size_wh))
    return [street.visible(_EVERY_S * (1 + number)) for number in range(_PICTURES)]


def _open(setting: Setting, stack: ExitStack) -> tuple[dict[str, Child], dict[str, Opened]]:
    """Start the contestants; the others use the backend that the stage has chosen."""
    context = mp.get_context("spawn")

    def child(name: str, given: Setting) -> Child:
        return stack.enter_context(closing(Child(context, name, compete, (name, given))))

    stage = child(STAGE, setting)
    (first,) = answers([stage], timeout_s=_PATIENCE_S)
    chosen = replace(setting, backend=first.backend)
    others = {name: child(name, chosen) for name in (BARE, PREDICT)}
    opened = answers(list(others.values()), timeout_s=_PATIENCE_S)
    return {STAGE: stage, **others}, {STAGE: first, **dict(zip(others, opened, strict=True))}


def _measure(
    bench: TasksBench, children: dict[str, Child], on_progress: Callable[[int, int, str], None]
) -> dict[int, dict[str, Sequence[Turn]]]:
    """The turns of every contestant, in the order of the rounds, by batch and name."""
    names = list(children)
    total = len(bench.batches) * bench.rounds * len(names)
    found: dict[int, dict[str, Sequence[Turn]]] = {}
    done = 0
    for batch in bench.batches:
        turns: dict[str, list[Turn]] = defaultdict(list)
        for name in names:  # compiles for this batch
            _turn(children[name], batch, 1)
        for number in range(bench.rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                on_progress(done, total, f"{name}, batch {batch}")
                turns[name].append(_turn(children[name], batch, bench.calls))
                done += 1
        found[batch] = dict(turns)
    on_progress(total, total, "")
    return found


def _turn(child: Child, batch: int, calls: int) -> Turn:
    child.tell((batch, calls))
    (turn,) = answers([child], timeout_s=_PATIENCE_S)
    if not isinstance(turn, Turn):
        raise TypeError(f"expected a turn, got {turn!r}")
    return turn
