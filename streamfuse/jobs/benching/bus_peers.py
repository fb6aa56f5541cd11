"""What our bus is compared with: a queue of the standard library, plain ZeroMQ, imagezmq and vidgear."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import zmq

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.jobs.benching.bus_ends import Wire
from streamfuse.jobs.benching.bus_load import END, WINDOW, Pixels, Stamped

__all__ = [
    "ImageZmqReceiver",
    "ImageZmqSender",
    "NetGearReceiver",
    "NetGearSender",
    "QueueReceiver",
    "QueueSender",
    "ZmqCopyReceiver",
    "ZmqCopySender",
    "ZmqReceiver",
    "ZmqSender",
]

_LINGER_MS: Final = 5000


class _Peer:
    """A sender whose end of the stream is a frame that says so."""

    def __init__(self, wire: Wire) -> None:
        self._clock = SystemClock()
        self._last = Stamped(wire.stream, 0)

    def begin(self) -> None:
        """The transport keeps the first frame until somebody takes it."""

    def lend(self, frame: Stamped) -> None:
        """Frames are copied when they are sent."""

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:
        """Hand a frame on."""
        raise NotImplementedError

    def idle(self, until_ns: int) -> None:
        """Nothing needs service."""
        time.sleep(max(0, until_ns - self._clock.now_ns()) / NS_PER_S)

    def finish(self) -> Mapping[str, float]:
        """Say the end."""
        self._last.stamp(END, 0)
        self.send(self._last, seq=END, now_ns=0)
        return {}

    def close(self) -> None:
        """End the connections."""


class QueueSender(_Peer):
    """``multiprocessing.Queue``: pickled in a thread, through a pipe.

    There are more frames to take turns with than places in the queue: none is written while it is pickled.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._queues = wire.queues

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:  # noqa: ARG002 - both are in the pixels
        """Into each consumer's queue."""
        for queue in self._queues:
            queue.put(frame.pixels)

    def close(self) -> None:
        """Wait for the threads."""
        for queue in self._queues:
            queue.close()
            queue.join_thread()


class QueueReceiver:
    """A consumer of ``multiprocessing.Queue``."""

    def __init__(self, wire: Wire, number: int) -> None:
        self._queue = wire.queues[number]

    def receive(self) -> Sequence[Pixels] | None:
        """The next frame."""
        return (self._queue.get(),)

    def finished(self) -> None:
        """Nobody needs to know."""

    def close(self) -> None:
        """Let go of the queue."""
        self._queue.close()


class ZmqSender(_Peer):
    """Plain ZeroMQ over a Unix socket, without copies: PUSH, one socket for each consumer."""

    copies = False

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._context = zmq.Context()
        self._sockets = [self._context.socket(zmq.PUSH) for _ in range(wire.load.consumers)]
        self._on_the_way: dict[int, list[zmq.MessageTracker]] = {}
        for number, socket in enumerate(self._sockets):
            socket.set(zmq.SNDHWM, WINDOW)
            socket.bind(_endpoint(wire, number))

    def lend(self, frame: Stamped) -> None:
        """Without a copy the frame is in use until ZeroMQ has written it to the socket."""
        for tracker in self._on_the_way.pop(id(frame), ()):
            tracker.wait()

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:  # noqa: ARG002 - both are in the pixels
        """To each consumer."""
        trackers = [
            socket.send(frame.pixels.data, 0, copy=self.copies, track=not self.copies)
            for socket in self._sockets
        ]
        self._on_the_way[id(frame)] = [tracker for tracker in trackers if tracker is not None]

    def close(self) -> None:
        """Let what was sent leave."""
        for socket in self._sockets:
            socket.close(linger=_LINGER_MS)
        self._context.term()


class ZmqCopySender(ZmqSender):
    """Plain ZeroMQ that copies each message into memory of its own."""

    copies = True


class ZmqReceiver:
    """A consumer of plain ZeroMQ, without copies."""

    copies = False

    def __init__(self, wire: Wire, number: int) -> None:
        self._stream = wire.stream
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.set(zmq.RCVHWM, WINDOW)
        self._socket.connect(_endpoint(wire, number))

    def receive(self) -> Sequence[Pixels] | None:
        """The next frame, in the memory that ZeroMQ received it into or in a copy."""
        message: Any = self._socket.recv(copy=True) if self.copies else self._socket.recv(copy=False).buffer
        return (np.frombuffer(message, self._stream.spec.dtype).reshape(self._stream.shape),)

    def finished(self) -> None:
        """Nobody needs to know."""

    def close(self) -> None:
        """End the connection."""
        self._socket.close(linger=0)
        self._context.term()


class ZmqCopyReceiver(ZmqReceiver):
    """A consumer of plain ZeroMQ that gets bytes."""

    copies = True


class ImageZmqSender(_Peer):
    """``imagezmq`` as its documentation begins: a request for each image, an answer for each."""

    def __init__(self, wire: Wire) -> None:
        import imagezmq  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - where it is installed

        super().__init__(wire)
        self._sender = imagezmq.ImageSender(connect_to=_endpoint(wire, 0))

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:  # noqa: ARG002 - both are in the pixels
        """Send and wait for the answer."""
        self._sender.send_image("", frame.pixels)

    def close(self) -> None:
        """End the connection."""
        self._sender.close()


class ImageZmqReceiver:
    """A consumer of ``imagezmq``."""

    def __init__(self, wire: Wire, number: int) -> None:
        import imagezmq  # noqa: PLC0415

        self._hub = imagezmq.ImageHub(open_port=_endpoint(wire, number))

    def receive(self) -> Sequence[Pixels] | None:
        """The next image; the answer is sent at once, so that the next one is on its way."""
        _, pixels = self._hub.recv_image()
        self._hub.send_reply(b"OK")
        return (pixels,)

    def finished(self) -> None:
        """It was answered already."""

    def close(self) -> None:
        """End the connection."""
        self._hub.close()


class NetGearSender(_Peer):
    """``vidgear.NetGear`` over a Unix socket, its lossy compression off."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._gear = _netgear(wire, receive=False)

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:  # noqa: ARG002 - both are in the pixels
        """Send and wait for the confirmation."""
        self._gear.send(frame.pixels)

    def close(self) -> None:
        """End the connection."""
        self._gear.close()


class NetGearReceiver:
    """A consumer of ``vidgear.NetGear``."""

    def __init__(self, wire: Wire, number: int) -> None:  # noqa: ARG002 - there is only one
        # Its thread polls a socket that its close() has closed already, and says so at length.
        threading.excepthook = lambda _: None
        self._gear = _netgear(wire, receive=True)

    def receive(self) -> Sequence[Pixels] | None:
        """The next frame; None when the other end has closed."""
        pixels = self._gear.recv()
        return None if pixels is None else (pixels,)

    def finished(self) -> None:
        """Nobody needs to know."""

    def close(self) -> None:
        """End the connection."""
        self._gear.close()


def _netgear(wire: Wire, *, receive: bool) -> Any:
    from vidgear.gears import NetGear  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    return NetGear(
        address=str(wire.folder / wire.stream.name),
        port="0",
        protocol="ipc",
        receive_mode=receive,
        jpeg_compression=False,
    )


def _endpoint(wire: Wire, number: int) -> str:
    return f"ipc://{wire.folder / wire.stream.name}.{number}"
