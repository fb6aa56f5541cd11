"""Our bus in its benchmark: Outlet and Inlet as the workers of a run use them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from streamfuse.clock import NS_PER_MS, NS_PER_S, SystemClock
from streamfuse.core.flow import Delivery, Outbox
from streamfuse.core.wire import EndOfStream, EndReason
from streamfuse.errors import PromiseError
from streamfuse.io.transport.bus import wait
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.io.transport.outlet import Outlet, Parcel, slots_needed
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.rundir import RunDir
from streamfuse.io.transport.staging import Staging
from streamfuse.jobs.benching.bus_ends import Wire
from streamfuse.jobs.benching.bus_load import WINDOW, Pixels, Stamped

__all__ = ["RingReceiver", "RingSender", "slots_of"]

_POLL_MS = 100
_FAREWELL_S = 10


def slots_of(consumers: int) -> int:
    """Slots of the ring, as many as nothing is ever overwritten with."""
    return slots_needed([WINDOW] * consumers)


class RingSender:
    """A producer on our bus: newest wins when paced, back-pressure otherwise."""

    def __init__(self, wire: Wire) -> None:
        load, stream = wire.load, wire.stream
        self._clock = SystemClock()
        self._replaced = 0
        with ExitStack() as stack:
            run = stack.enter_context(RunDir.join(wire.folder))
            self._ring = stack.enter_context(
                RingWriter.create(
                    run.ring(stream.name), slots=slots_of(load.consumers), slot_nbytes=stream.spec.nbytes
                )
            )
            outbox = Outbox[Parcel](
                Delivery.REALTIME if load.paced else Delivery.EVERY_FRAME,
                [_name(number) for number in range(load.consumers)],
            )
            self._outlet = stack.enter_context(
                Outlet(run.endpoint(stream.name), ring=self._ring, outbox=outbox, stream=stream.name)
            )
            self._stack = stack.pop_all()

    def begin(self) -> None:
        """Wait for the consumers: what is sent before may be missed."""
        while not self._outlet.has_joined():
            self._outlet.pump(_POLL_MS)

    def lend(self, _frame: Stamped) -> None:
        """A frame is copied when it is sent; it has to wait for room, though."""
        while not self._outlet.has_room():
            self._outlet.pump(_POLL_MS)

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:
        """Into the ring, and the descriptor to whoever has a credit."""
        self._replaced += self._outlet.offer(
            frame.image,
            seq=seq,
            pts_ns=0,
            capture_ns=now_ns,
            arrival_ns=now_ns,
        )

    def idle(self, until_ns: int) -> None:
        """Take grants in, as a capture worker does between two frames."""
        while (left_ns := until_ns - self._clock.now_ns()) >= NS_PER_MS:
            self._outlet.pump(left_ns // NS_PER_MS)
        time.sleep(max(0, left_ns) / NS_PER_S)

    def finish(self) -> Mapping[str, float]:
        """Wait for the consumers; the memory that the ring takes in its file system."""
        deadline_ns = self._clock.now_ns() + _FAREWELL_S * NS_PER_S
        if not self._outlet.finish(EndReason.FINISHED, deadline_ns=deadline_ns):
            raise PromiseError(f"the consumers had not taken everything after {_FAREWELL_S} s")
        return {"replaced": self._replaced, "shared_nbytes": self._ring.path.stat().st_blocks * 512}

    def close(self) -> None:
        """Leave."""
        self._stack.close()


class RingReceiver:
    """A consumer on our bus."""

    def __init__(self, wire: Wire, number: int) -> None:
        self._clock = SystemClock()
        with ExitStack() as stack:
            run = stack.enter_context(RunDir.join(wire.folder))
            self._inlet = stack.enter_context(
                Inlet(
                    run.endpoint(wire.stream.name),
                    stream=wire.stream.name,
                    consumer=_name(number),
                    window=WINDOW,
                    ring_path=run.ring(wire.stream.name),
                    staging=Staging(wire.stream.spec.nbytes, buffers=WINDOW),
                )
            )
            self._stack = stack.pop_all()

    def receive(self) -> Sequence[Pixels] | None:
        """The planes of the next frame that was not overwritten."""
        while True:
            message = self._inlet.receive()
            if isinstance(message, EndOfStream):
                return None
            if isinstance(message, Arrival):
                return message.image.planes
            if message is None:
                wait([self._inlet], _POLL_MS)
                self._inlet.tick(self._clock.now_ns())

    def finished(self) -> None:
        """Give its credit back."""
        self._inlet.consumed()

    def close(self) -> None:
        """Leave."""
        self._stack.close()


def _name(number: int) -> str:
    return f"consumer-{number}"
