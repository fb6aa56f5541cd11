"""One worker process seen from the supervisor: start it, talk to it, end it.

Workers are started as fresh interpreters, never forked: a fork would copy locks and device handles
in unknown states. Each leads a process group of its own, so that Ctrl-C in a terminal reaches the
supervisor alone and the shutdown has one author.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

__all__ = ["WORKER_COMMAND", "Child"]

WORKER_COMMAND: Final = (sys.executable, "-m", "streamfuse.runtime.worker")
_READ_BYTES: Final = 1 << 16
_ONE_THREAD_EACH: Final = {"OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
"""For numpy and OpenCV: their work is small here, and while their threads wait for each other on cores that
are taken, a millisecond of it lasts a second. Networks have threads of their own, of other libraries."""


class Child:
    """A running (or ended) worker process.

    ``pipes`` are its non-blocking event and error outputs, to be registered in a selector.
    """

    def __init__(self, order: dict[str, Any], *, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            env=_ONE_THREAD_EACH | os.environ,
        )
        self._partial: dict[IO[bytes], bytes] = {}
        for pipe in self.pipes:
            os.set_blocking(pipe.fileno(), False)
            self._partial[pipe] = b""
        self._write(json.dumps(order))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Standard output (events) and standard error (log lines)."""
        assert self._process.stdout is not None  # asked for in the constructor
        assert self._process.stderr is not None
        return self._process.stdout, self._process.stderr

    @property
    def exit_status(self) -> int | None:
        """None while it runs, else the exit status (negative: the signal that ended it)."""
        return self._process.poll()

    def command(self, command: str, **fields: object) -> None:
        """Send a command; a child that is already gone does not hear it."""
        self._write(json.dumps({"command": command, **fields}))

    def events(self) -> Iterator[dict[str, Any]]:
        """Whatever it has said since the last call; log lines come as ``{"event": "log"}``."""
        events, log = self.pipes
        for line in self._lines(events):
            yield json.loads(line)
        for line in self._lines(log):
            yield {"event": "log", "text": line.decode(errors="replace")}

    def terminate(self) -> None:
        """Ask the system to end it (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Reap it and release its pipes; it must have ended or been killed."""
        self._process.wait()
        assert self._process.stdin is not None  # asked for in the constructor
        for pipe in (self._process.stdin, *self.pipes):
            with contextlib.suppress(BrokenPipeError):  # bytes that a dead child will never read
                pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None  # asked for in the constructor
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _lines(self, pipe: IO[bytes]) -> Iterator[bytes]:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(pipe.fileno(), _READ_BYTES):
                self._partial[pipe] += chunk
        *whole, self._partial[pipe] = self._partial[pipe].split(b"\n")
        yield from (line for line in whole if line.strip())
