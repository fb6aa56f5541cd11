"""A camera on another machine: the source that a capture node (``streamfuse capture``) feeds.

The node sends a frame only against a credit, and drops the others before it codes them, so that what
comes is new. Frames that never came show as gaps in the node's numbers (``network``), damaged ones are
counted (``corrupt``). A node that was killed and comes back in time goes on as a new life of the same camera.
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S, SystemClock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import Stamp, TimeSource
from streamfuse.core.flow import GRANT_REPEAT_NS
from streamfuse.core.layout import Channel
from streamfuse.core.packet import (
    PAYLOAD_MAX_BYTES,
    CameraAway,
    FramePacket,
    NodeMessage,
    check_payload,
    decode_node,
    payload_max,
)
from streamfuse.core.wire import CONSUMER_MAX_BYTES, EndOfStream, EndReason, Grant, encode
from streamfuse.errors import BusError, SourceError, UsageError
from streamfuse.frames import DropCause, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.source import SourceFrame, SourceInfo
from streamfuse.io.transport.codec import PacketDecoder
from streamfuse.io.transport.curve import Link, load_client_keys
from streamfuse.io.transport.netbus import NodeSpoke

__all__ = ["NODE_WINDOW", "NodeSource"]

NODE_WINDOW: Final = 3
"""Frames under way: one on the wire, one arriving, one being decoded."""
_OPTION: Final = "consumer"


class NodeSource:
    """The frames of a capture node, as live as its camera.

    Args:
        config: ``uri`` is ``tcp://HOST:PORT``; ``keys`` are needed beyond this machine. The only option is
            ``consumer``, the name under which the node keeps books of us.
        stream: What the node has to serve.

    Raises:
        UsageError: plain text beyond this machine, a key that cannot be used, or an unknown option.
        SourceError: no frame came within ``timeout_s``; it says who did what.
    """

    def __init__(self, config: SourceConfig, *, stream: StreamName) -> None:
        self._stream = Channel(stream)
        self._uri = config.uri
        self._timeout_ns = round(config.timeout_s * NS_PER_S)
        self._keys = config.keys
        self._consumer = _consumer(config)
        self._clock = SystemClock()
        self._session = secrets.randbits(64)
        self._consumed = 0
        self._repeat_ns = 0
        self._node: int | None = None
        """The life of the node that we hear."""
        self._newest: FramePacket | None = None
        """The last frame that was handed out."""
        self._seq = -1
        """Its number, or the one before the first that could be ours."""
        self._damaged = 0
        """Frames since then that came and could not be used."""
        self._epoch_ns = 0
        self._decoder: PacketDecoder | None = None
        self._is_away = False
        self._complaint = ""
        try:
            keys = None if config.keys is None else load_client_keys(config.keys.own, config.keys.node)
            self._spoke = NodeSpoke(
                config.uri, window=NODE_WINDOW, keys=keys, part_max=_part_max(config.size)
            )
        except UsageError as error:
            raise UsageError(f"{stream}: {error}") from error
        except BusError as error:
            raise SourceError(f"{stream}: {error}") from error
        try:
            self._first = self._next()
            self._info = self._describe()
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> SourceInfo:
        """What the node's first packet told."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next frame; None when the node has played its recording to the end.

        Raises:
            SourceError: none came in time, the node was stopped, or its pictures have changed.
        """
        first, self._first = self._first, None
        return self._next() if first is None else first

    def skip(self, count: int) -> None:
        """A camera has no past to skip."""

    def close(self) -> None:
        """Say goodbye and end the connection; may be called twice."""
        self._say(0)
        self._spoke.close()

    def _describe(self) -> SourceInfo:
        """What the first packet says of all that follow."""
        if self._newest is None:
            raise SourceError(f"{self._stream}: the node at {self._uri} has nothing more to send")
        return SourceInfo(spec=self._newest.spec, fps=self._newest.fps, frame_count=None, live=True)

    def _next(self) -> SourceFrame | None:
        """Wait for a frame that can be shown; None at the end of a recording."""
        give_up_ns = self._clock.now_ns() + self._timeout_ns
        while True:
            now_ns = self._clock.now_ns()
            if now_ns >= self._repeat_ns:
                self._say(NODE_WINDOW)
            if now_ns >= give_up_ns or self._spoke.link is Link.REFUSED:
                raise SourceError(f"{self._stream}: {self._why()}")
            parts = self._spoke.receive()
            if parts is None:
                left_ns = min(give_up_ns, self._repeat_ns) - now_ns
                self._spoke.wait(max(1, left_ns // NS_PER_MS))
                continue
            message = self._read(parts)
            if isinstance(message, EndOfStream):
                if message.reason is EndReason.FINISHED:
                    return None
                raise SourceError(f"{self._stream}: the node at {self._uri} was stopped")
            if isinstance(message, FramePacket):
                frame = self._take(message, parts[1])
                self._say(NODE_WINDOW)
                if frame is not None:
                    return frame

    def _read(self, parts: list[bytes]) -> NodeMessage | None:
        """The message, if it is one; what cannot be read is counted like a damaged frame."""
        try:
            message = _parsed(parts)
        except BusError as error:
            self._complaint = str(error)
            if len(parts) > 1:  # one of the frames that we granted, whatever was left of it
                self._damaged += 1
                self._consumed += 1
            return None
        if message.stream is not self._stream:
            raise SourceError(
                f"{self._stream}: the node at {self._uri} serves {message.stream}; "
                f"start it with --stream {self._stream}, or connect to another port"
            )
        self._is_away = isinstance(message, CameraAway)
        return message

    def _take(self, packet: FramePacket, payload: bytes) -> SourceFrame | None:
        """What a packet becomes: a frame, or None when it cannot be shown."""
        self._consumed = packet.ordinal
        if packet.node != self._node:
            self._meet(packet)
        if packet.seq <= self._seq:
            return None
        image = self._decode(packet, payload)
        if image is None:
            return None
        gap = packet.seq - self._seq - 1
        corrupt = min(self._damaged, gap)
        lost = {DropCause.CORRUPT: corrupt, DropCause.NETWORK: gap - corrupt}
        self._newest, self._seq, self._damaged = packet, packet.seq, 0
        return SourceFrame(
            image=image,
            pts_ns=packet.capture_ns - self._epoch_ns,
            stamp=Stamp(source=TimeSource.NODE, time_ns=packet.capture_ns),
            shutter_closed=packet.shutter_closed,
            lost={cause: count for cause, count in lost.items() if count},
        )

    def _meet(self, packet: FramePacket) -> None:
        """The first packet of a life of the node."""
        self._node = packet.node
        self._decoder = None
        if self._newest is None:
            # What it captured before we came was never ours; what came damaged was.
            self._seq = packet.seq - self._damaged - 1
            self._epoch_ns = packet.capture_ns
            return
        self._seq = -1
        if packet.capture_ns <= self._newest.capture_ns:
            raise SourceError(f"{self._stream}: the machine of the node at {self._uri} was started anew")

    def _decode(self, packet: FramePacket, payload: bytes) -> Image | None:
        """The picture of a packet; None, counted, when it is damaged or leans on one that is."""
        if self._newest is not None and packet.spec != self._newest.spec:
            raise SourceError(
                f"{self._stream}: the node at {self._uri} gives {_named(packet.spec)} now, "
                f"it was {_named(self._newest.spec)}"
            )
        if self._decoder is None and not packet.is_key:
            self._damaged += 1
            return None
        try:
            check_payload(packet, payload)
            self._decoder = self._decoder or PacketDecoder(packet.codec, packet.spec)
            return self._decoder.decode(payload)
        except (BusError, ValueError) as error:
            self._complaint = str(error)
            self._damaged += 1
            self._decoder = None
            self._session = secrets.randbits(64)  # for a new session the node begins with a key frame
            return None

    def _say(self, window: int) -> None:
        """Tell the node what we are ready for; the next repetition makes up for one that is not sent."""
        grant = Grant(consumer=self._consumer, session=self._session, window=window, consumed=self._consumed)
        self._repeat_ns = self._clock.now_ns() + GRANT_REPEAT_NS
        if not self._spoke.closed:
            self._spoke.send(encode(grant))

    def _why(self) -> str:
        """Why nothing has come."""
        match self._spoke.link:
            case Link.SILENT:
                return (
                    f"nobody answers at {self._uri}; is `streamfuse capture` running there, "
                    "and does the network let it through?"
                )
            case Link.UNPROVEN:
                key = "that it is a node without keys" if self._keys is None else f"the key {self._keys.node}"
                return f"who answers at {self._uri} does not prove {key}; or it hangs"
            case Link.REFUSED:
                own = "our key" if self._keys is None else f"our key {self._keys.own.with_suffix('.pub')}"
                return f"the node at {self._uri} refuses {own}; give it to the node with --allow"
        if self._is_away:
            return f"the node at {self._uri} has no camera at the moment"
        if self._complaint:
            return f"what comes from the node at {self._uri} cannot be used: {self._complaint}"
        return f"the node at {self._uri} sends nothing"


def _parsed(parts: list[bytes]) -> NodeMessage:
    """The message whose parts these are.

    Raises:
        BusError: they are none.
    """
    message = decode_node(parts[0])
    expected = 2 if isinstance(message, FramePacket) else 1
    if len(parts) != expected:
        raise BusError(f"a message of the node has {len(parts)} parts, expected {expected}")
    return message


def _consumer(config: SourceConfig) -> str:
    """Under which name the node keeps books of us."""
    unknown = sorted(set(config.options) - {_OPTION})
    if unknown:
        raise UsageError(f"{config.uri}: unknown option {unknown[0]}; a capture node has only {_OPTION}")
    host = socket.gethostname().encode("ascii", "ignore").decode()
    name = config.options.get(_OPTION, f"{host[:20] or 'host'}-{os.getpid()}")
    if not (name.isascii() and name.isprintable() and 1 <= len(name) <= CONSUMER_MAX_BYTES):
        raise UsageError(
            f"{config.uri}: {_OPTION} must be 1..{CONSUMER_MAX_BYTES} ASCII letters, got {name!r}"
        )
    return name


def _part_max(size_wh: tuple[int, int] | None) -> int:
    """Longest part of a message: what any picture of the declared size may take."""
    if size_wh is None:
        return PAYLOAD_MAX_BYTES
    return min(PAYLOAD_MAX_BYTES, payload_max(ImageSpec(format=PixelFormat.RGB24, size_wh=size_wh)))


def _named(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    return f"{width}x{height} {spec.format}"
