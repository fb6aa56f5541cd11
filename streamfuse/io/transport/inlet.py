"""A consumer's end of a stream: descriptors from the bus, pixels from the ring, credits back."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from streamfuse.core.flow import GRANT_REPEAT_NS, Ledger, MemoryLedger
from streamfuse.core.wire import WINDOW_MAX, Channel, EndOfStream, FrameDescriptor, Grant, decode, encode
from streamfuse.errors import BusError
from streamfuse.frames import Image
from streamfuse.io.closing import Closing
from streamfuse.io.transport.bus import Socket, Spoke
from streamfuse.io.transport.ring import RingReader
from streamfuse.io.transport.staging import Staging

__all__ = ["Arrival", "Inlet", "Overrun", "inlet_counters"]

_COUNTERS = ("delivered", "overrun", "lost", "finished", "orphaned")


def inlet_counters(stream: Channel) -> tuple[str, ...]:
    """The counters that an :class:`Inlet` of this stream keeps in its ledger."""
    return tuple(f"from.{stream}.{word}" for word in _COUNTERS)


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A frame that arrived; the image is a copy and belongs to whoever holds it."""

    image: Image
    descriptor: FrameDescriptor
    meta: bytes
    memory: memoryview
    """All that was copied of the slot: the image, and what its producer put beside it."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """A frame that was overwritten before it was read; it is counted and needs no ``consumed()``."""

    descriptor: FrameDescriptor


class Inlet(Closing):
    """A consumer's end of one stream.

    Its counters, in the ledger: ``delivered`` (handed out), ``overrun`` (overwritten before it was read),
    ``lost`` (sent, but never came), ``finished`` (given back by :meth:`consumed`) and ``orphaned`` (delivered
    to an earlier life of this consumer that died before it finished them). A consumer without a lasting
    ledger counts all that its earlier lives got as lost.

    Args:
        endpoint: where the producer listens.
        stream: what it sends.
        consumer: the name under which the producer knows this consumer.
        window: frames that may be under way or in its hands at a time.
        ring_path: where the pixels lie.
        ledger: keeps the counters.
        staging: the memory that images are copied into; without it each is in memory of its own.
        beside_nbytes: how much to copy of what lies behind the image in its slot.

    Raises:
        ValueError: a window outside 1..1024 or a name that a grant cannot carry.
        UsageError: an endpoint of another kind than ``ipc://`` and ``inproc://``.
    """

    def __init__(  # noqa: PLR0913 - who, where from, how much at a time, and into which memory
        self,
        endpoint: str,
        *,
        stream: Channel,
        consumer: str,
        window: int,
        ring_path: Path,
        ledger: Ledger | None = None,
        staging: Staging | None = None,
        beside_nbytes: int = 0,
    ) -> None:
        if not 1 <= window <= WINDOW_MAX:
            raise ValueError(f"window must be within 1..{WINDOW_MAX}, got {window}")
        self._stream = stream
        self._consumer = consumer
        self._session = secrets.randbits(64)
        self._window = window
        self._ring_path = ring_path
        self._ring: RingReader | None = None
        self._staging = staging
        self._beside_nbytes = beside_nbytes
        self._ledger = MemoryLedger() if ledger is None else ledger
        self._last = sum(self.count(word) for word in ("delivered", "overrun", "lost"))
        self._held: deque[int] = deque()
        self._repeat_ns = 0
        self._grant(window)  # refuses a name that it cannot carry before anything is opened
        self._add("orphaned", self.count("delivered") - self.count("finished") - self.count("orphaned"))
        self._spoke = Spoke(endpoint, window=window)
        self._say(window)

    @property
    def socket(self) -> Socket:
        """Readable when something has come: then :meth:`receive` until it returns None."""
        return self._spoke.socket

    def count(self, word: str) -> int:
        """One of this inlet's counters, by its last word."""
        return self._ledger.get(f"from.{self._stream}.{word}")

    def receive(self) -> Arrival | Overrun | EndOfStream | None:
        """What has come next, None when nothing has; never blocks.

        An :class:`Arrival` occupies one place of the window until :meth:`consumed`; the others do not.

        Raises:
            BusError: a message that is not one of this stream.
            RingError: there is no ring where it should be.
        """
        parts = self._spoke.receive()
        if parts is None:
            return None
        message, meta = decode(parts[0]), b"".join(parts[1:])
        if isinstance(message, Grant) or message.stream is not self._stream:
            raise BusError(f"expected frames of {self._stream}, got {message}")
        if isinstance(message, EndOfStream):
            self._skip_to(message.ordinal + 1)
            return message
        if len(meta) != message.meta_nbytes:
            raise BusError(f"{self._stream}: {message.meta_nbytes} bytes of meta announced, got {len(meta)}")
        return self._take(message, meta)

    def consumed(self, n: int = 1) -> None:
        """The ``n`` oldest arrivals are finished: the producer may send as many more.

        Raises:
            ValueError: there are not so many.
        """
        if not 0 <= n <= len(self._held):
            raise ValueError(f"{self._stream}: {len(self._held)} frames are held, cannot finish {n}")
        for _ in range(n):
            self._held.popleft()
        self._add("finished", n)
        self._say(self._window)

    def tick(self, now_ns: int) -> None:
        """Repeat the grant when it is time to; call this at least every 250 ms."""
        if now_ns >= self._repeat_ns:
            self._repeat_ns = now_ns + GRANT_REPEAT_NS
            self._say(self._window)

    def close(self) -> None:
        """Say goodbye, so that the producer need not wait for this consumer, and end the connection."""
        if self._spoke.closed:
            return
        self._say(0)
        self._spoke.close()
        if self._ring is not None:
            self._ring.close()

    def _take(self, descriptor: FrameDescriptor, meta: bytes) -> Arrival | Overrun:
        nbytes = descriptor.spec.nbytes + self._beside_nbytes
        memory = self._reader().read_bytes(
            descriptor.slot, descriptor.generation, nbytes, staging=self._staging
        )
        self._skip_to(descriptor.ordinal)
        self._last = descriptor.ordinal
        if memory is None:
            self._add("overrun")
            self._say(self._window)
            return Overrun(descriptor)
        self._held.append(descriptor.ordinal)
        self._add("delivered")
        return Arrival(Image.from_buffer(descriptor.spec, memory), descriptor, meta, memory)

    def _skip_to(self, ordinal: int) -> None:
        """``ordinal`` comes next: whatever lies between it and the last one is lost."""
        self._add("lost", max(0, ordinal - self._last - 1))
        self._last = ordinal - 1

    def _reader(self) -> RingReader:
        """The ring as it is now: a restarted producer may have put another in its place."""
        if self._ring is not None and self._ring.is_current():
            return self._ring
        if self._ring is not None:
            self._ring.close()
        self._ring = RingReader.open(self._ring_path)
        return self._ring

    def _say(self, window: int) -> None:
        """Send the grant. One that cannot be sent is not kept: the next tick says it all again."""
        if not self._spoke.send(encode(self._grant(window))):
            self._repeat_ns = 0

    def _grant(self, window: int) -> Grant:
        """How things stand: finished is what lies before the oldest frame held, or else all that came."""
        consumed = self._held[0] - 1 if self._held else self._last
        return Grant(consumer=self._consumer, session=self._session, window=window, consumed=consumed)

    def _add(self, word: str, n: int = 1) -> None:
        self._ledger.add(f"from.{self._stream}.{word}", n)
