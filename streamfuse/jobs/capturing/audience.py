"""To whom a capture node's frames go: its consumers, each with credits, an encoder and books of its own.

What one consumer does not take is dropped for it alone, and before it is coded, so that a compressed
stream has no holes; the newest frame always wins. Pictures are shared, so that a frame costs its memory once.
"""

from __future__ import annotations

import logging
import secrets
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.core.flow import Delivery, Dropped, MemoryLedger, Outbox
from streamfuse.core.layout import Channel
from streamfuse.core.packet import (
    PICTURE_MAX_BYTES,
    CameraAway,
    Codec,
    FramePacket,
    encode_node,
)
from streamfuse.core.stats import Accounting
from streamfuse.core.wire import EndOfStream, EndReason, Grant, decode
from streamfuse.errors import BusError, UsageError
from streamfuse.frames import DropCause, ImageSpec
from streamfuse.io.cameras.camera import CameraFrame
from streamfuse.io.transport.codec import PacketEncoder, check_codec
from streamfuse.io.transport.netbus import NodeHub

__all__ = ["CONSUMERS_MAX", "WINDOW_MAX", "Audience", "Coding"]

_LOG = logging.getLogger(__name__)

CONSUMERS_MAX: Final = 32
"""Books are kept of so many consumers; when one more comes, the one that left first is forgotten."""
WINDOW_MAX: Final = 8
"""Most frames under way to one consumer, whatever it grants: it bounds the node's memory."""
_MESSAGES_PER_TURN: Final = 200
"""A consumer that talks without end does not keep the others waiting."""
_AWAY_EVERY_NS: Final = NS_PER_S // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How frames are coded for the wire."""

    codec: Codec
    quality: int = 90
    """For JPEG, 1 to 100."""


@dataclass(slots=True, eq=False)
class _Shot:
    """A captured frame and what has become of it."""

    frame: CameraFrame
    seq: int
    fps: float
    holders: int = 0
    """Consumers for whom it is pending."""
    is_emitted: bool = False


class _Consumer:
    """One of those that listen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outbox: Outbox[_Shot] = Outbox(Delivery.REALTIME, [name], ledger=MemoryLedger())
        self.route = b""
        self.session: int | None = None
        self.encoder: PacketEncoder | None = None
        self.told_away_ns = 0
        self.nbytes = 0

    @property
    def is_present(self) -> bool:
        """Whether it is heard."""
        return self.outbox.states()[self.name].present

    @property
    def account(self) -> Accounting:
        """Where its frames went: what it did not confirm before it left is lost with it."""
        state = self.outbox.states()[self.name]
        dropped = Counter(state.dropped)
        dropped[DropCause.WORKER_LOST] += state.lost
        return Accounting(
            captured=state.offered,
            emitted=state.sent - state.lost - state.outstanding,
            dropped=dropped,
            in_flight=state.pending + state.outstanding,
        )


class Audience:
    """All consumers of one node.

    Args:
        hub: Where they are heard.
        stream: What they get.
        coding: How it is coded.
        clock: Monotonic time.
    """

    def __init__(self, hub: NodeHub, *, stream: Channel, coding: Coding, clock: Clock) -> None:
        self.refused = 0
        """Messages that were not grants."""
        self._hub = hub
        self._stream = stream
        self._coding = coding
        self._clock = clock
        self._life = secrets.randbits(64)
        self._consumers: dict[str, _Consumer] = {}
        self._captured = 0
        self._emitted = 0
        self._dropped: Counter[DropCause] = Counter()
        self._spec: ImageSpec | None = None

    @property
    def present(self) -> list[str]:
        """Names of those that are heard."""
        return [consumer.name for consumer in self._consumers.values() if consumer.is_present]

    @property
    def account(self) -> Accounting:
        """Where the camera's frames went: emitted is what was sent to at least one consumer."""
        waiting = {
            id(shot)
            for consumer in self._consumers.values()
            for shot in consumer.outbox.in_use()
            if not shot.is_emitted
        }
        return Accounting(
            captured=self._captured,
            emitted=self._emitted,
            dropped=self._dropped,
            in_flight=len(waiting),
        )

    def books(self) -> dict[str, Any]:
        """The account of each consumer, with the bytes that were sent to it."""
        return {
            name: {**consumer.account.as_dict(), "bytes": consumer.nbytes}
            for name, consumer in self._consumers.items()
        }

    def offer(self, frame: CameraFrame, *, fps: float) -> None:
        """Take a frame of the camera in, for everybody who is there.

        Raises:
            UsageError: pictures that cannot travel, or not with this codec.
        """
        if frame.image.spec != self._spec:
            _check(self._coding.codec, frame.image.spec)
            self._spec = frame.image.spec
        self._captured += 1 + sum(frame.lost.values())
        self._dropped.update(frame.lost)
        shot = _Shot(frame=frame, seq=self._captured - 1, fps=fps)
        listeners = [consumer for consumer in self._consumers.values() if consumer.is_present]
        shot.holders = len(listeners)
        if not listeners:
            self._dropped[DropCause.SUPERSEDED] += 1
        for consumer in listeners:
            self._let_go(consumer.outbox.offer(shot))

    def pump(self) -> None:
        """Take in what the consumers have said, and send what they may have."""
        self._listen()
        now_ns = self._clock.now_ns()
        for consumer in self._consumers.values():
            if consumer.outbox.expire(now_ns):
                _LOG.warning("%s: consumer %s has gone silent", self._stream, consumer.name)
                self._leave(consumer)
            for _, shot, ordinal in consumer.outbox.take():
                self._send(consumer, shot, ordinal)

    def tell_away(self) -> None:
        """Say to everybody that there is no camera; at most twice a second."""
        now_ns = self._clock.now_ns()
        away = encode_node(CameraAway(stream=self._stream, node=self._life, captured=self._captured))
        for consumer in self._consumers.values():
            if consumer.is_present and now_ns - consumer.told_away_ns >= _AWAY_EVERY_NS:
                consumer.told_away_ns = now_ns
                self._post(consumer, away)

    def finish(self, reason: EndReason) -> None:
        """Drop what nobody has taken, and say the end to everybody."""
        for consumer in self._consumers.values():
            self._let_go(consumer.outbox.abandon(DropCause.STOPPED))
            state = consumer.outbox.states()[consumer.name]
            if state.present:
                end = EndOfStream(stream=self._stream, ordinal=state.ordinal, reason=reason)
                self._post(consumer, encode_node(end))

    @property
    def is_served(self) -> bool:
        """Whether everybody who is there has confirmed all that was sent."""
        states = (consumer.outbox.states()[consumer.name] for consumer in self._consumers.values())
        return not any(state.present and (state.pending or state.outstanding) for state in states)

    def _listen(self) -> None:
        now_ns = self._clock.now_ns()
        for _ in range(_MESSAGES_PER_TURN):
            message = self._hub.receive()
            if message is None:
                return
            route, data = message
            try:
                grant = _grant(data)
            except BusError as error:
                self.refused += 1
                _LOG.debug("%s: refused a message: %s", self._stream, error)
                continue
            self._hear(grant, route, now_ns)

    def _hear(self, grant: Grant, route: bytes, now_ns: int) -> None:
        consumer = self._consumers.get(grant.consumer)
        if consumer is None:
            if grant.window == 0 or not self._make_room():
                return
            consumer = self._consumers[grant.consumer] = _Consumer(grant.consumer)
        if grant.window and consumer.session != grant.session:
            consumer.session = grant.session
            consumer.encoder = None  # whoever begins needs a key frame
        consumer.route = route
        window = min(grant.window, WINDOW_MAX)
        consumer.outbox.grant(grant.consumer, grant.session, window, grant.consumed, now_ns)
        if not consumer.is_present:
            self._leave(consumer)

    def _make_room(self) -> bool:
        """Forget the first who left, if there are too many; whether one more may come."""
        if len(self._consumers) < CONSUMERS_MAX:
            return True
        gone = next((c.name for c in self._consumers.values() if not c.is_present), None)
        return gone is not None and self._consumers.pop(gone) is not None

    def _send(self, consumer: _Consumer, shot: _Shot, ordinal: int) -> None:
        frame = shot.frame
        encoder = consumer.encoder
        if encoder is None or encoder.spec != frame.image.spec:
            encoder = consumer.encoder = PacketEncoder(
                self._coding.codec, frame.image.spec, fps=shot.fps, quality=self._coding.quality
            )
        payload, is_key = encoder.encode(frame.image)
        dropped = consumer.outbox.states()[consumer.name].dropped
        packet = FramePacket(
            stream=self._stream,
            spec=frame.image.spec,
            codec=self._coding.codec,
            is_key=is_key,
            node=self._life,
            ordinal=ordinal,
            seq=shot.seq,
            dropped=sum(dropped.values()),
            pts_ns=frame.pts_ns,
            capture_ns=frame.capture_ns,
            arrival_ns=frame.arrival_ns,
            fps=shot.fps,
            payload_nbytes=len(payload),
            payload_crc=zlib.crc32(payload),
            shutter_closed=frame.shutter_closed,
        )
        shot.holders -= 1
        if not shot.is_emitted:
            shot.is_emitted = True
            self._emitted += 1
        if self._post(consumer, encode_node(packet), payload):
            consumer.nbytes += len(payload)

    def _post(self, consumer: _Consumer, *parts: bytes) -> bool:
        """Send to a consumer; one whose connection is gone has left until it is heard again."""
        if self._hub.send(consumer.route, *parts):
            return True
        self._leave(consumer)
        return False

    def _leave(self, consumer: _Consumer) -> None:
        """It is gone: what it holds is lost, what waits for it is dropped."""
        consumer.outbox.forget(consumer.name)
        consumer.encoder = None
        consumer.session = None
        self._let_go(consumer.outbox.abandon(DropCause.WORKER_LOST))

    def _let_go(self, dropped: Iterable[Dropped[_Shot]]) -> None:
        """A frame is dropped when the last who could have taken it has not."""
        for drop in dropped:
            drop.item.holders -= 1
            if drop.item.holders == 0 and not drop.item.is_emitted:
                self._dropped[drop.cause] += 1


def _check(codec: Codec, spec: ImageSpec) -> None:
    """Make sure that pictures of ``spec`` can travel.

    Raises:
        UsageError: they cannot.
    """
    check_codec(codec, spec)
    if spec.nbytes > PICTURE_MAX_BYTES:
        width, height = spec.size_wh
        raise UsageError(
            f"pictures of {width}x{height} {spec.format} have {spec.nbytes} bytes, "
            f"at most {PICTURE_MAX_BYTES} can travel; set a smaller `size`"
        )


def _grant(data: bytes) -> Grant:
    message = decode(data)
    if not isinstance(message, Grant):
        raise BusError(f"expected a grant, got {message}")
    return message
