"""The producer's end of a stream: pixels into the ring, descriptors to whoever has a credit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from streamfuse.clock import NS_PER_MS, Clock, SystemClock
from streamfuse.core.flow import GRANT_REPEAT_NS, Delivery, Outbox
from streamfuse.core.wire import Channel, EndOfStream, EndReason, FrameDescriptor, Grant, decode, encode
from streamfuse.errors import BusError
from streamfuse.frames import DropCause, Image, ImageSpec
from streamfuse.io.closing import Closing
from streamfuse.io.transport.bus import Hub, Socket
from streamfuse.io.transport.ring import RingWriter, SlotPool

__all__ = ["Fill", "Outlet", "Parcel", "slots_needed"]

_LOG = logging.getLogger(__name__)


def slots_needed(windows: Iterable[int]) -> int:
    """Slots with which a ring never overwrites a frame that is on its way to consumers of these windows.

    All windows full of different frames, one frame pending and one being written.
    """
    return sum(windows) + 2


@dataclass(frozen=True, slots=True)
class Fill:
    """An image that is still to be made: ``write`` puts it straight into the memory of its slot."""

    spec: ImageSpec
    write: Callable[[Image], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parcel:
    """A frame in the ring, as the outbox holds it: a descriptor that has no ordinal yet."""

    slot: int
    generation: int
    seq: int
    pts_ns: int
    capture_ns: int
    arrival_ns: int
    spec: ImageSpec
    meta: bytes

    def descriptor(self, stream: Channel, ordinal: int) -> FrameDescriptor:
        """The descriptor of this frame for one consumer."""
        return FrameDescriptor(
            stream=stream,
            slot=self.slot,
            generation=self.generation,
            ordinal=ordinal,
            seq=self.seq,
            pts_ns=self.pts_ns,
            capture_ns=self.capture_ns,
            arrival_ns=self.arrival_ns,
            spec=self.spec,
            meta_nbytes=len(self.meta),
        )


class Outlet(Closing):
    """The producer's end of one stream. The ring stays the caller's, who closes it after this.

    Raises:
        UsageError: an endpoint of another kind than ``ipc://`` and ``inproc://``.
        BusError: the endpoint cannot be bound.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        ring: RingWriter,
        outbox: Outbox[Parcel],
        stream: Channel,
        clock: Clock | None = None,
    ) -> None:
        self.refused = 0
        """Messages that were not grants of this version; they are logged and otherwise ignored."""
        self._ring = ring
        self._outbox = outbox
        self._stream = stream
        self._clock = SystemClock() if clock is None else clock
        self._pool = SlotPool(ring.slots)
        self._routes: dict[str, bytes] = {}
        self._told: dict[str, int | None] = {}
        """In which session each consumer was told the end: after a restart it is told again."""
        self._hub = Hub(endpoint)

    @property
    def socket(self) -> Socket:
        """Readable when a consumer has said something: then :meth:`pump`."""
        return self._hub.socket

    def has_room(self) -> bool:
        """Whether a frame may be offered now without dropping one; always so in ``realtime``."""
        return self._has_room(self._slots(guests=False))

    def has_joined(self) -> bool:
        """Whether every expected consumer is there: what is offered before that may be missed."""
        return all(state.present for state in self._outbox.states().values())

    def offer(
        self,
        image: Image | Fill,
        *,
        seq: int,
        pts_ns: int,
        capture_ns: int,
        arrival_ns: int,
        meta: bytes = b"",
        beside: Mapping[int, Image] = MappingProxyType({}),
    ) -> int:
        """Put a frame into the ring and send it to whoever has a credit; never blocks.

        ``beside`` are further images of the same moment, by the byte of the slot at which they begin. Where
        they lie is known to both sides; which of them are there is for ``meta`` to say.

        Returns:
            How many older frames it replaced, over all consumers.

        Raises:
            RuntimeError: ``every_frame`` without :meth:`has_room`.
            RingError: the image does not fit into a slot.
        """
        self._listen()
        needed = self._slots(guests=False)
        if not self._has_room(needed):
            raise RuntimeError("offer() in every_frame needs has_room() to be true first: pump() until it is")
        # What only guests hold may be overwritten: they are served as far as it costs nobody a frame.
        slot = self._pool.acquire(self._slots(guests=True), needed)
        parcel = Parcel(
            slot=slot,
            generation=self._write(image, slot, beside),
            seq=seq,
            pts_ns=pts_ns,
            capture_ns=capture_ns,
            arrival_ns=arrival_ns,
            spec=image.spec,
            meta=meta,
        )
        dropped = self._outbox.offer(parcel)
        self._send()
        return len(dropped)

    def pump(self, timeout_ms: int) -> None:
        """Wait until a consumer says something or the time is over, then send what may be sent."""
        if timeout_ms:
            self._hub.poll(timeout_ms)
        self._listen()
        for consumer in self._outbox.expire(self._clock.now_ns()):
            _LOG.warning("%s: consumer %s has gone silent", self._stream, consumer)
        self._send()

    def finish(self, reason: EndReason, *, deadline_ns: int) -> bool:
        """Deliver what is pending, say the end to every consumer, and wait until all have finished.

        Returns:
            Whether all was consumed. At the deadline what is still pending is dropped as ``stopped``.
        """
        while not self.finish_step(reason, timeout_ms=0):
            left_ms = (deadline_ns - self._clock.now_ns()) // NS_PER_MS
            if left_ms <= 0:
                self._outbox.abandon(DropCause.STOPPED)
                return False
            self.pump(min(left_ms, GRANT_REPEAT_NS // NS_PER_MS))
        return True

    def finish_step(self, reason: EndReason, *, timeout_ms: int) -> bool:
        """One turn of :meth:`finish`, for an owner that has more to look after while it waits.

        Returns:
            Whether every consumer has everything, was told the end and is done.
        """
        self.pump(timeout_ms)
        done = True
        for consumer, state in self._outbox.states().items():
            session = state.session
            may_be_told = session is not None and state.present and not state.pending
            if may_be_told and self._told.get(consumer) != session:
                end = EndOfStream(stream=self._stream, ordinal=state.ordinal, reason=reason)
                if self._post(consumer, encode(end)):
                    self._told[consumer] = session
            has_all = self._told.get(consumer) == session and not state.outstanding
            done = done and consumer in self._told and (has_all or session is None)
        return done

    def dismiss(self, consumer: str) -> None:
        """Do not wait for a consumer any more: it will not come back."""
        self._outbox.dismiss(consumer)

    def close(self) -> None:
        """Stop listening; what was sent gets a moment to leave."""
        self._hub.close()

    def _has_room(self, needed: Set[int]) -> bool:
        if self._outbox.policy is Delivery.REALTIME:
            return True
        return self._outbox.has_room() and self._pool.has_free(needed)

    def _write(self, image: Image | Fill, slot: int, beside: Mapping[int, Image]) -> int:
        if isinstance(image, Image):
            return self._ring.write(image, slot, beside=beside)
        with self._ring.view(slot, image.spec) as target:
            image.write(target)
        return self._ring.generation(slot)

    def _listen(self) -> None:
        """Take in every grant that has arrived."""
        now_ns = self._clock.now_ns()
        while (message := self._hub.receive()) is not None:
            route, data = message
            try:
                grant = _grant(data)
            except BusError as error:
                self.refused += 1
                _LOG.warning("%s: refused a message: %s", self._stream, error)
                continue
            self._routes[grant.consumer] = route
            self._outbox.grant(grant.consumer, grant.session, grant.window, grant.consumed, now_ns)

    def _send(self) -> None:
        for consumer, parcel, ordinal in self._outbox.take():
            descriptor = encode(parcel.descriptor(self._stream, ordinal))
            self._post(consumer, *((descriptor, parcel.meta) if parcel.meta else (descriptor,)))

    def _post(self, consumer: str, *parts: bytes) -> bool:
        """Send to a consumer; one whose connection is gone is forgotten until it comes again."""
        if self._hub.send(self._routes[consumer], *parts):
            return True
        self._outbox.forget(consumer)
        return False

    def _slots(self, *, guests: bool) -> set[int]:
        return {parcel.slot for parcel in self._outbox.in_use(guests=guests)}


def _grant(data: bytes) -> Grant:
    message = decode(data)
    if not isinstance(message, Grant):
        raise BusError(f"expected a grant, got {message}")
    return message
