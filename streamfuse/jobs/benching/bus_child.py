"""The processes of the benchmark of the bus: what each does, and how the parent holds them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Final, cast

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.errors import PromiseError
from streamfuse.jobs.benching.bus_ends import Wire
from streamfuse.jobs.benching.bus_load import END, noise, stamp_of
from streamfuse.jobs.benching.bus_transports import TRANSPORTS

__all__ = ["Child", "answers", "consume", "produce"]

Job = Callable[[Wire, int, Connection], None]

READY: Final = "ready"
_GRACE_S: Final = 5


class Child:
    """A spawned process with a pipe to it."""

    pipe: Connection

    def __init__(self, context: SpawnContext, job: Job, wire: Wire, number: int) -> None:
        self.what = f"{wire.load.transport}: {job.__name__} {wire.stream.name}"
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(job, wire, number, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def tell(self, word: str) -> None:
        """Let it go on."""
        self.pipe.send(word)

    def answer(self) -> Any:
        """What it says next.

        Raises:
            PromiseError: it failed.
        """
        try:
            said = self.pipe.recv()
        except EOFError as error:
            raise PromiseError(f"{self.what}: the process died") from error
        if isinstance(said, str) and said != READY:
            raise PromiseError(f"{self.what}: {said}")
        return said

    def close(self) -> None:
        """End it: at once, unless it is leaving anyway."""
        self.pipe.close()
        self._process.join(_GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def answers(children: Sequence[Child], *, timeout_s: float) -> list[Any]:
    """What each child says next, in their order; the first that fails ends the wait for the others.

    Raises:
        PromiseError: one failed, or not all have spoken in time.
    """
    said: dict[int, Any] = {}
    waiting = {child.pipe: index for index, child in enumerate(children)}
    while waiting:
        if not (ready := connection.wait(list(waiting), timeout_s)):
            raise PromiseError(f"{children[min(waiting.values())].what}: no answer within {timeout_s:g} s")
        for pipe in ready:
            index = waiting.pop(cast("Connection", pipe))
            said[index] = children[index].answer()
    return [said[index] for index in range(len(children))]


def produce(wire: Wire, _number: int, parent: Connection) -> None:
    """Send frames for the time of the load."""
    load, clock = wire.load, SystemClock()
    frames = noise(wire.stream)
    with closing(TRANSPORTS[load.transport].sender(wire)) as sender:
        before_nbytes = _own_nbytes()
        parent.send(READY)
        parent.recv()
        sender.begin()
        period_ns = NS_PER_S / wire.stream.fps
        start_ns, start_cpu_ns, sent = clock.now_ns(), time.process_time_ns(), 0
        while clock.now_ns() - start_ns < load.seconds * NS_PER_S:
            if load.paced:
                sender.idle(start_ns + round(sent * period_ns))
            frame = frames[sent % len(frames)]
            sender.lend(frame)
            now_ns = clock.now_ns()
            frame.stamp(sent, now_ns)
            sender.send(frame, seq=sent, now_ns=now_ns)
            sent += 1
        took_ns, cpu_ns = clock.now_ns() - start_ns, time.process_time_ns() - start_cpu_ns
        memory_nbytes = _own_nbytes() - before_nbytes
        extra = sender.finish()
        parent.send(
            {
                "frames": sent,
                "took_ns": took_ns,
                "cpu_ns": cpu_ns,
                "memory_nbytes": memory_nbytes,
                "extra": dict(extra),
            }
        )
        parent.recv()


def consume(wire: Wire, number: int, parent: Connection) -> None:
    """Take frames until the end, and note how long each was on its way."""
    clock = SystemClock()
    hops_ns: list[int] = []
    with closing(TRANSPORTS[wire.load.transport].receiver(wire, number)) as receiver:
        before_nbytes = _own_nbytes()
        parent.send(READY)
        parent.recv()
        first_ns = last_ns = clock.now_ns()
        while (planes := receiver.receive()) is not None:
            now_ns = clock.now_ns()
            seq, sent_ns = stamp_of(planes)
            if seq == END:
                break
            if not hops_ns:
                first_ns = sent_ns
            last_ns = now_ns
            hops_ns.append(now_ns - sent_ns)
            receiver.finished()
        parent.send(
            {
                "hops_ns": hops_ns,
                "took_ns": last_ns - first_ns,
                "memory_nbytes": _own_nbytes() - before_nbytes,
            }
        )
        parent.recv()


def _run(job: Job, wire: Wire, number: int, parent: Connection) -> None:
    try:
        job(wire, number, parent)
    except (EOFError, BrokenPipeError):
        return  # the parent is gone
    except Exception as error:  # noqa: BLE001 - told to the parent, which raises it
        parent.send(f"{type(error).__name__}: {error}")


def _own_nbytes() -> int:
    """Memory of this process alone, and its part of mapped files; shared memory is counted elsewhere."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_File:")))
