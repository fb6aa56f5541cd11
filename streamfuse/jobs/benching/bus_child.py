"""What each process of the benchmark of the bus does."""

from __future__ import annotations

import time
from contextlib import closing
from multiprocessing.connection import Connection

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.jobs.benching.bus_ends import Wire
from streamfuse.jobs.benching.bus_load import END, noise, stamp_of
from streamfuse.jobs.benching.bus_transports import TRANSPORTS
from streamfuse.jobs.benching.child import READY, own_nbytes

__all__ = ["consume", "produce"]


def produce(wire: Wire, _number: int, parent: Connection) -> None:
    """Send frames for the time of the load."""
    load, clock = wire.load, SystemClock()
    frames = noise(wire.stream)
    with closing(TRANSPORTS[load.transport].sender(wire)) as sender:
        before_nbytes = own_nbytes()
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
        memory_nbytes = own_nbytes() - before_nbytes
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
        before_nbytes = own_nbytes()
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
                "memory_nbytes": own_nbytes() - before_nbytes,
            }
        )
        parent.recv()
