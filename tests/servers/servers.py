"""Real servers and senders for tests, as fixtures: started on free ports, ended with the test.

``rtsp(...)`` starts GStreamer's RTSP server, ``sender(...)`` sends with PyAV, ``relay(...)`` stands
between a sender and us and damages what passes. A test whose server is not on the machine is
skipped with the reason; under STREAMFUSE_REQUIRE_SERVERS=1 it fails.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import urlsplit

import psutil
import pytest
from relay import TcpRelay, UdpRelay

__all__ = ["Process", "RtspServer", "Sender", "StartRtsp", "StartSender", "free_port", "need_server"]

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
READY_S = 20.0


def need_server(problem: str | None) -> None:
    """Skip the test that lacks what ``problem`` names (None: nothing), or fail it where it must run."""
    if problem is None:
        return
    if os.environ.get("STREAMFUSE_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{problem}; run .ci/servers as root")
    pytest.skip(f"{problem}; .ci/servers installs it")


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody uses at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A server in a process of its own, which has said a line that starts with ``ready``."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.ready = self.line()
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def line(self, timeout_s: float = READY_S) -> str:
        """The next line that it prints."""
        readable, _, _ = select.select([self._stdout], [], [], timeout_s)
        line = self._stdout.readline() if readable else ""
        assert line, f"{self._process.args!r} said nothing in {timeout_s} s"
        return line.strip()

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def pause(self) -> None:
        """Stop it where it is: it answers nothing, and its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once and wait for it; may be called twice."""
        self._process.kill()
        self._process.communicate()

    @property
    def _stdout(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout


class RtspServer(Process):
    """GStreamer's RTSP server with numbered pictures (:func:`numbers_in_pictures.number_of`)."""

    def __init__(
        self,
        *,
        port: int = 0,
        size_wh: tuple[int, int] = (320, 240),
        fps: int = 25,
        gop: int = 25,
        password: str | None = None,
    ) -> None:
        options = {"--port": [port], "--size": size_wh, "--fps": [fps], "--gop": [gop]}
        words = [word for option, values in options.items() for word in (option, *map(str, values))]
        secret = ["--password", password] if password else []
        super().__init__([SYSTEM_PYTHON, str(HERE / "rtsp_server.py"), *words, *secret])
        self.port = int(self.ready.split()[1])

    @property
    def uri(self) -> str:
        """Of the stream, without credentials."""
        return f"rtsp://127.0.0.1:{self.port}/live"

    def resize(self, size_wh: tuple[int, int]) -> None:
        """Give the next client pictures of another size."""
        self.say(f"size {size_wh[0]} {size_wh[1]}")

    def lose(self, share: float) -> None:
        """Lose this share of the packets of the present client's pictures on their way."""
        self.say(f"lose {share}")

    def drop_clients(self) -> None:
        """Close the connection to every client; the server goes on."""
        self.say("drop")


class Sender(Process):
    """Sends numbered pictures with PyAV to ``udp://…``, or serves ``http://…`` or ``rtmp://…``.

    Args:
        uri: Where to; of this machine.
        container: FFmpeg's name of the format around the pictures.
        options: codec, size, fps, gop, bframes, frames; see ``sender.py``.
    """

    def __init__(self, uri: str, *, container: str = "mpegts", **options: object) -> None:
        if uri.startswith("rtmp:"):
            need_server(None if shutil.which("ffmpeg") else "ffmpeg is not installed")
        words = [word for name, value in options.items() for word in _words(name, value)]
        super().__init__([sys.executable, str(HERE / "sender.py"), uri, "--format", container, *words])
        self.uri = uri
        try:
            self.wait_listening()
        except BaseException:
            self.kill()
            raise

    def wait_listening(self) -> None:
        """Wait until a client can connect (again), without connecting."""
        port = urlsplit(self.uri).port
        sender = psutil.Process(self.pid)
        deadline_s = time.monotonic() + READY_S
        while not self.uri.startswith("udp:"):
            processes = [sender, *sender.children()]
            seen = [each for process in processes for each in process.net_connections("tcp")]
            if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in seen):
                return
            assert time.monotonic() < deadline_s, f"{self.uri}: the sender does not listen"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it and what it started."""
        for child in psutil.Process(self.pid).children() if self._process.poll() is None else ():
            child.kill()
        super().kill()


T = TypeVar("T", bound=Process)
StartRtsp = Callable[..., RtspServer]
StartSender = Callable[..., Sender]


@pytest.fixture
def rtsp() -> Iterator[StartRtsp]:
    """Start an RTSP server; the arguments are those of :class:`RtspServer`."""
    need_server(_rtsp_problem())
    with ExitStack() as stack:
        yield _starter(RtspServer, stack)


@pytest.fixture
def sender() -> Iterator[StartSender]:
    """Start a sender; the arguments are those of :class:`Sender`."""
    with ExitStack() as stack:
        yield _starter(Sender, stack)


@pytest.fixture
def relay() -> Iterator[Callable[..., TcpRelay | UdpRelay]]:
    """Start a relay of one of the kinds in ``relay.py``: ``relay(UdpRelay, target_port)``."""
    with ExitStack() as stack:

        def start(kind: type[TcpRelay] | type[UdpRelay], target_port: int) -> TcpRelay | UdpRelay:
            made = kind(target_port)
            stack.callback(made.close)
            return made

        yield start


def _starter(kind: Callable[..., T], stack: ExitStack) -> Callable[..., T]:
    def start(*args: object, **options: object) -> T:
        process = kind(*args, **options)
        stack.callback(process.kill)
        return process

    return start


def _words(name: str, value: object) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{name}", *map(str, values)]


@cache
def _rtsp_problem() -> str | None:
    """Why there is no RTSP server on this machine; None if there is one."""
    check = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); "
        "from gi.repository import Gst, GstRtspServer; "
        "Gst.init(None); names = 'appsrc', 'x264enc', 'rtph264pay'; "
        "print(*(name for name in names if not Gst.ElementFactory.find(name)))"
    )
    try:
        done = subprocess.run(
            [SYSTEM_PYTHON, "-c", check], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return f"{SYSTEM_PYTHON} has no GStreamer RTSP server"
    missing = done.stdout.strip()
    return f"GStreamer lacks {missing}" if missing else None
