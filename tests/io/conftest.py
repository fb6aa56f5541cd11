"""A capture node within the test's own process, whose words a test may change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from streamfuse.clock import NS_PER_MS, SystemClock
from streamfuse.config.sources import Keys, SourceConfig
from streamfuse.core.layout import Channel
from streamfuse.core.packet import Codec
from streamfuse.core.wire import EndReason
from streamfuse.frames import Image
from streamfuse.io.cameras.camera import CameraFrame
from streamfuse.io.transport.bus import wait
from streamfuse.io.transport.curve import ServerKeys, load_server_keys, make_keys
from streamfuse.io.transport.netbus import NodeHub
from streamfuse.jobs.capturing.audience import Audience, Coding

Tamper = Callable[[list[bytes], int], list[bytes] | None]


def picture(seq: int) -> Image:
    """A 16-bit picture that tells its number."""
    gray = np.random.default_rng(seq).integers(0, 2**16, (24, 32), np.uint16)
    gray[0, 0] = seq % 2**16
    return Image.from_gray(gray)


@dataclass(kw_only=True)
class LocalNode:
    """A node in a thread: a frame every ``period_ms`` from ``image``, as long as it is open."""

    codec: Codec = Codec.LOSSLESS
    keys: ServerKeys | None = None
    endpoint: str = "tcp://127.0.0.1:0"
    stream: Channel = Channel.INFRARED
    image: Callable[[int], Image] = picture
    period_ms: int = 10
    has_camera: bool = True
    shutter_closed: bool = False
    tamper: Tamper | None = None
    """What becomes of the n-th frame's parts; None: it is not sent at all."""
    reason: EndReason = EndReason.STOPPED
    frames: int | None = None
    """Stop after so many, with ``reason``."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def open(self) -> LocalNode:
        """Begin to serve."""
        self.hub = _TamperingHub(self.endpoint, keys=self.keys)
        self.hub.tamper = self.tamper
        self.endpoint = self.hub.endpoint
        self.audience = Audience(
            self.hub, stream=self.stream, coding=Coding(codec=self.codec), clock=SystemClock()
        )
        self._thread = threading.Thread(target=self._run, name="local-node")
        self._thread.start()
        return self

    def close(self) -> None:
        """Say goodbye and stop; may be called twice."""
        self._stop.set()
        self._thread.join()

    def config(self, **more: object) -> SourceConfig:
        """What a consumer's pipeline says of it."""
        return SourceConfig.model_validate({"uri": self.endpoint, "timeout_s": 5.0, **more})

    def _run(self) -> None:
        clock = SystemClock()
        seq, due_ns = 0, clock.now_ns()
        with self.hub:
            while not self._stop.is_set() and (self.frames is None or seq < self.frames):
                self.audience.pump()
                now_ns = clock.now_ns()
                if not self.has_camera:
                    self.audience.tell_away()
                elif now_ns >= due_ns and (self.frames is None or self.audience.present):
                    self._shoot(seq, now_ns)
                    seq, due_ns = seq + 1, due_ns + self.period_ms * NS_PER_MS
                wait(self.hub.pollables, timeout_ms=min(self.period_ms, 5))
            while not self._stop.is_set() and not self.audience.is_served:
                self.audience.pump()
                wait(self.hub.pollables, timeout_ms=5)
            self.audience.finish(self.reason)
            self._stop.wait(10)

    def _shoot(self, seq: int, now_ns: int) -> None:
        frame = CameraFrame(
            image=self.image(seq),
            pts_ns=now_ns,
            capture_ns=now_ns,
            arrival_ns=now_ns,
            shutter_closed=self.shutter_closed,
        )
        self.audience.offer(frame, fps=100.0)


class _TamperingHub(NodeHub):
    """Changes frames on their way out."""

    tamper: Tamper | None = None
    sent = 0

    def send(self, route: bytes, *parts: bytes) -> bool:
        """Send what ``tamper`` makes of a frame."""
        if self.tamper is None or len(parts) < 2:
            return super().send(route, *parts)
        changed = self.tamper(list(parts), self.sent)
        self.sent += 1
        return changed is None or super().send(route, *changed)


@pytest.fixture
def local_node() -> Iterator[Callable[..., LocalNode]]:
    """Makes nodes; all are closed at the end."""
    with ExitStack() as stack:

        def make(**settings: object) -> LocalNode:
            node = LocalNode(**settings).open()
            stack.callback(node.close)
            return node

        yield make


@dataclass(frozen=True, kw_only=True)
class KeyRing:
    """The keys of a node and of three machines, of which it knows one."""

    folder: Path

    @property
    def server(self) -> ServerKeys:
        """The node allows the host alone."""
        return load_server_keys(self.folder / "node.key", [self.folder / "host.pub"])

    def client(self, own: str = "host", node: str = "node") -> Keys:
        """What a pipeline file says."""
        return Keys(own=self.folder / f"{own}.key", node=self.folder / f"{node}.pub")


@pytest.fixture
def key_ring(tmp_path: Path) -> KeyRing:
    """Keys in files."""
    for name in ("node", "host", "stranger"):
        make_keys(name, tmp_path)
    return KeyRing(folder=tmp_path)
