"""Metrics of many images in several processes, one image an order."""

from __future__ import annotations

import itertools
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Final

from streamfuse.errors import MachineError, SourceError
from streamfuse.jobs.evaluating.matching import Triple
from streamfuse.metrics.convention import Convention

__all__ = ["Order", "measure_all"]

_COMMAND: Final = (sys.executable, "-m", "streamfuse.jobs.evaluating.worker")
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""The processes share the cores; threads inside them would only get in each other's way."""
_WORTH_A_PROCESS: Final = 2
"""Images that take about as long as a process needs to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to measure of one fused image."""

    set_name: str
    stem: str
    files: Triple
    convention: Convention
    metrics: tuple[str, ...]

    def to_json(self) -> str:
        """The order as one line that a worker understands."""
        files = self.files
        return json.dumps(
            {
                "visible": str(files.visible),
                "infrared": str(files.infrared),
                "fused": str(files.fused),
                "convention": self.convention,
                "metrics": self.metrics,
            }
        )


def measure_all(orders: Sequence[Order], *, processes: int) -> Generator[tuple[Order, Mapping[str, float]]]:
    """Measure images, ``processes`` at a time; results come in the order in which they are ready.

    The processes end with the iterator, also when it is closed or interrupted half-way.

    Raises:
        SourceError: an image cannot be read or measured.
        MachineError: a process died.
    """
    waiting = iter(orders)
    count = min(processes, -(-len(orders) // _WORTH_A_PROCESS))
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for first in itertools.islice(waiting, count):
            worker = stack.enter_context(_Worker())
            worker.start(first)
            selector.register(worker.answers, selectors.EVENT_READ, worker)
        while selector.get_map():
            for key, _ in selector.select():
                worker = key.data
                result = worker.finish()
                if (order := next(waiting, None)) is not None:
                    worker.start(order)
                else:
                    selector.unregister(worker.answers)
                yield result


class _Worker:
    """A process that measures one image at a time.

    It leads a process group of its own, so that Ctrl-C in a terminal reaches only the command,
    which ends it; if the command dies, the worker sees the end of its input and ends too.
    """

    def __init__(self) -> None:
        self._order: Order | None = None
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | _ONE_THREAD,
            process_group=0,
        )

    def __enter__(self) -> _Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # it holds nothing that could be half-done
        self._process.communicate()

    @property
    def answers(self) -> IO[str]:
        """Where its answers come from, to be registered in a selector."""
        assert self._process.stdout is not None  # asked for in the constructor
        return self._process.stdout

    def start(self, order: Order) -> None:
        """Have an image measured."""
        assert self._process.stdin is not None  # asked for in the constructor
        self._order = order
        with suppress(BrokenPipeError):  # it died: `finish` will say so
            self._process.stdin.write(order.to_json() + "\n")
            self._process.stdin.flush()

    def finish(self) -> tuple[Order, Mapping[str, float]]:
        """Wait for the answer to the last order."""
        assert self._order is not None  # the caller has started it
        line = self.answers.readline()
        if not line:
            status = self._process.wait()
            raise MachineError(
                f"{self._order.files.fused}: the process that measured it ended with status {status}; "
                "if memory was short, try fewer --jobs"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SourceError(answer["error"])
        return self._order, answer["values"]
