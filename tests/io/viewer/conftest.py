"""A running viewer, frames to show on it, and browsers that read from real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from streamfuse.frames import (
    ColorRange,
    Detection,
    Event,
    FusedFrame,
    Image,
    ImageSpec,
    Layer,
    PairState,
    PixelFormat,
)
from streamfuse.io.viewer.server import WebViewer
from streamfuse.io.viewer.settings import ViewerSettings

DEADLINE_S = 10.0
YUV = ImageSpec(format=PixelFormat.YUV420P, size_wh=(64, 48), range=ColorRange.LIMITED)

MakeFrame = Callable[..., FusedFrame]
Serve = Callable[..., WebViewer]


def _frame(
    number: int = 0,
    *,
    luma: int = 128,
    infrared: bool = True,
    size_wh: tuple[int, int] = (64, 48),
    noisy: bool = False,
    detections: tuple[Detection, ...] = (),
    events: tuple[Event, ...] = (),
) -> FusedFrame:
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=size_wh, range=ColorRange.LIMITED)
    rng = np.random.default_rng(number)
    fills = (luma, 128, 128)
    planes = tuple(
        rng.integers(0, 256, shape, np.uint8) if noisy else np.full(shape, fill, np.uint8)
        for shape, fill in zip(spec.plane_shapes, fills, strict=True)
    )
    layers = {Layer.VISIBLE: Image(spec, planes)}
    if infrared:
        layers[Layer.INFRARED] = Image.from_gray(np.full(size_wh[::-1], 200, np.uint8))
    return FusedFrame(
        pair_id=number,
        state=PairState.MATCHED if infrared else PairState.VISIBLE_ONLY,
        image=Image(spec, planes),
        capture_ns=1_000_000_000 + number * 33_000_000,
        fused_ns=1_020_000_000 + number * 33_000_000,
        skew_ms=-1.5 if infrared else None,
        infrared_age_ms=0.0 if infrared else None,
        visible_seq=number,
        infrared_seq=number if infrared else None,
        detections=detections,
        events=events,
        layers=layers,
    )


@pytest.fixture(scope="session")
def frame() -> MakeFrame:
    """Makes a small fused frame of one brightness, limited-range YUV, with its layers."""
    return _frame


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts viewers on free ports; all are closed afterwards."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> WebViewer:
            viewer = stack.enter_context(WebViewer(ViewerSettings(**{"max_fps": 1000.0, **settings})))
            viewer.start()
            return viewer

        yield start
    wait_for(lambda: not any("AnyIO" in thread.name for thread in threading.enumerate()))


@pytest.fixture
def viewer(serve: Serve) -> WebViewer:
    """A running viewer."""
    return serve()


@pytest.fixture
def client(viewer: WebViewer) -> Iterator[httpx.Client]:
    """An HTTP client of the viewer."""
    with httpx.Client(base_url=viewer.url, timeout=DEADLINE_S) as opened:
        yield opened


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for what happens in the server's thread, with a deadline."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.005)  # polls what offers no event


@pytest.fixture(scope="session", name="wait_for")
def _wait_for() -> Callable[[Callable[[], bool]], None]:
    return wait_for


class MjpegBrowser:
    """Reads the MJPEG stream part by part, as a browser does, from a socket of its own."""

    def __init__(self, viewer: WebViewer, receive_buffer_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(DEADLINE_S)
        self._socket.connect(("127.0.0.1", viewer.port))
        # HTTP/1.0: the body comes without chunk headers and ends with the connection.
        self._socket.sendall(b"GET /stream.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self._file = self._socket.makefile("rb")

    def open(self) -> None:
        """Read up to the first part: from then on the server knows this browser."""
        self._lines_until_empty()
        assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"--streamfuse-picture\r\n"

    def read(self) -> bytes | None:
        """The next picture, or None at the end of the stream."""
        head = self._lines_until_empty()
        if not head:
            return None
        assert head[0] == b"Content-Type: image/jpeg\r\n"
        jpeg = self._file.read(int(head[1].removeprefix(b"Content-Length: ")))
        assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"--streamfuse-picture\r\n"
        return jpeg

    def close(self) -> None:
        """Leave, as a closed tab does."""
        self._file.close()
        self._socket.close()

    def _lines_until_empty(self) -> list[bytes]:
        return list(iter(self._file.readline, b"\r\n")) if self._file.peek(1) else []


@pytest.fixture
def mjpeg() -> Iterator[Callable[..., MjpegBrowser]]:
    """Opens MJPEG browsers; all leave afterwards."""
    with contextlib.ExitStack() as stack:
        yield lambda *args: stack.enter_context(contextlib.closing(MjpegBrowser(*args)))


@dataclass(frozen=True)
class Message:
    """A picture as it came over the WebSocket."""

    header: dict[str, Any]
    jpegs: dict[str, bytes]

    @property
    def number(self) -> int:
        """Of the picture."""
        return int(self.header["frame"])


class LiveBrowser:
    """The page's end of the WebSocket."""

    def __init__(self, viewer: WebViewer, **options: Any) -> None:
        address = f"{viewer.url.replace('http', 'ws', 1)}live"
        self._stack = contextlib.ExitStack()
        opened = connect(address, max_size=None, compression=None, **options)
        self.socket: ClientConnection = self._stack.enter_context(opened)

    def want(self, *layers: str, fps: float = 1000) -> None:
        """Ask for layers."""
        self.say({"want": {"layers": layers, "fps": fps}})

    def say(self, message: object) -> None:
        """Send JSON."""
        self.socket.send(json.dumps(message))

    def picture(self, *, ready: bool = True, timeout_s: float = DEADLINE_S) -> Message:
        """The next picture; ``ready``: and say that it was drawn."""
        deadline_s = time.monotonic() + timeout_s
        while isinstance(data := self.socket.recv(max(0.0, deadline_s - time.monotonic())), str):
            pass
        (length,) = struct.unpack_from("<I", data)
        header, at = json.loads(data[4 : 4 + length]), 4 + length
        jpegs = {}
        for layer in header["layers"]:
            jpegs[layer["name"]] = data[at : at + layer["nbytes"]]
            at += layer["nbytes"]
        assert at == len(data)
        if ready:
            self.say({"ready": header["frame"]})
        return Message(header, jpegs)

    def news(self) -> dict[str, Any]:
        """The next health message."""
        while not isinstance(data := self.socket.recv(DEADLINE_S), str):
            pass
        told: dict[str, Any] = json.loads(data)
        return told

    def close(self) -> None:
        """Leave."""
        self._stack.close()


@pytest.fixture
def live() -> Iterator[Callable[..., LiveBrowser]]:
    """Opens pages' WebSockets; all leave afterwards."""
    with contextlib.ExitStack() as stack:

        def open_page(viewer: WebViewer, **options: Any) -> LiveBrowser:
            return stack.enter_context(contextlib.closing(LiveBrowser(viewer, **options)))

        yield open_page
    # A client that does not read gives up its goodbye, and its thread ends a moment later.
    wait_for(lambda: not any("recv_events" in thread.name for thread in threading.enumerate()))
