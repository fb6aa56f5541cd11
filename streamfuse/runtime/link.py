"""The line between a worker and its supervisor.

Down the worker's standard input come commands, one JSON object a line; up its standard output go
events, likewise. The end of the input means that the supervisor is gone, however it went: the
worker then finishes what it holds and leaves. Nothing else may print on that output, so the
descriptor is moved aside and replaced by standard error before any library is loaded.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import IO, Any, Final, TextIO

__all__ = ["HEARTBEAT_S", "LaneLink", "Link", "Stop"]

HEARTBEAT_S: Final = 0.5
"""How often a worker proves that its process is alive."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why and how a worker should end."""

    drain: bool
    """Finish the work in hand (True) or give it up (False)."""


class Link:
    """A worker's end of the line, as a process; its stages use :meth:`lane`."""

    def __init__(self, commands: TextIO, events: IO[bytes]) -> None:
        self._commands = commands
        self._events = events
        self._write_lock = threading.Lock()
        self._changed = threading.Condition()
        self._epoch_ns: int | None = None
        self._stop: Stop | None = None
        self._lane_stops: dict[str, Stop] = {}
        self._forgotten: set[str] = set()
        self._orphaned = False
        self._configs: dict[str, str] = {}
        """By lane."""
        self._ended = threading.Event()
        self._beat: Callable[[], None] = lambda: None
        self._threads: list[threading.Thread] = []

    @classmethod
    def claim_stdio(cls) -> tuple[Link, dict[str, Any]]:
        """Take standard input and output for the line; returns it with the order of the day."""
        events = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        order = json.loads(sys.stdin.readline())
        return cls(sys.stdin, events), order

    def lane(self, name: str, *, prefix: str = "") -> LaneLink:
        """The line as one pipeline has it.

        Args:
            name: of the pipeline.
            prefix: what the names of its workers begin with.
        """
        return LaneLink(self, name, prefix)

    def start(self, beat: Callable[[], None]) -> None:
        """Listen to commands and call ``beat`` twice a second, in threads that die with the process."""
        self._beat = beat
        self._threads = [
            threading.Thread(target=self._listen, name="link-listen", daemon=True),
            threading.Thread(target=self._pulse, name="link-pulse", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop the pulse; the last event has been sent."""
        self._ended.set()

    def join(self) -> None:
        """Wait for the threads; only after the end of the commands and :meth:`end`."""
        for thread in self._threads:
            thread.join()

    def request_stop(self) -> None:
        """Ask the stage to give up what it holds and end, as SIGTERM does. Safe in a signal handler."""
        self._stop = Stop(drain=False)

    def wait_until_orphaned(self) -> None:
        """Block until the supervisor is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._orphaned)

    def wait_until_ended(self, timeout_s: float) -> bool:
        """Block until :meth:`end` was called; False when ``timeout_s`` passed first."""
        return self._ended.wait(timeout_s)

    @property
    def stop(self) -> Stop | None:
        """Set once the worker should end."""
        return self._stop

    def stop_of(self, lane: str) -> Stop | None:
        """Set once the worker, or this pipeline in it, should end."""
        return self._stop or self._lane_stops.get(lane)

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor is gone."""
        return self._orphaned

    @property
    def forgotten(self) -> frozenset[str]:
        """Workers that will not come back; do not wait for them."""
        with self._changed:
            return frozenset(self._forgotten)

    def take_config(self, lane: str) -> str | None:
        """The configuration of a pipeline that has come since the last call, as JSON; None when none has."""
        with self._changed:
            return self._configs.pop(lane, None)

    def wait_for_stop(self, lane: str, timeout_s: float) -> bool:
        """Block until a pipeline should end; False when ``timeout_s`` passed first."""
        with self._changed:
            for _ in range(ceil(timeout_s / HEARTBEAT_S)):  # woken by commands; looks up for a SIGTERM's stop
                if self._changed.wait_for(lambda: self.stop_of(lane) is not None, HEARTBEAT_S):
                    return True
        return False

    def wait_for_go(self) -> int | None:
        """Block until the run begins; its epoch in monotonic ns, or None when told to stop instead."""
        with self._changed:
            while self._epoch_ns is None and self._stop is None:
                self._changed.wait(HEARTBEAT_S)  # woken by commands; looks up for a SIGTERM's stop
            return None if self._stop is not None else self._epoch_ns

    def send(self, event: str, **fields: object) -> None:
        """Send one event up; a supervisor that is gone does not hear it, and that is no error."""
        line = json.dumps({"event": event, **fields})
        with self._write_lock:
            try:
                self._events.write(line.encode() + b"\n")
            except BrokenPipeError:
                self._orphaned = True

    def _listen(self) -> None:
        for line in self._commands:
            command = json.loads(line)
            with self._changed:
                match command["command"]:
                    case "go":
                        self._epoch_ns = int(command["epoch_ns"])
                    case "stop" if "lane" in command:
                        self._lane_stops[command["lane"]] = Stop(drain=bool(command["drain"]))
                    case "stop":
                        self._stop = Stop(drain=bool(command["drain"]))
                    case "config":
                        self._configs[command["lane"]] = str(command["config"])
                    case "forget":
                        self._forgotten.add(str(command["consumer"]))
                self._changed.notify_all()
        with self._changed:
            self._orphaned = True
            self._stop = self._stop or Stop(drain=False)
            self._changed.notify_all()

    def _pulse(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            self._beat()


class LaneLink:
    """The line of a worker as one pipeline has it; an engine that several share has one for each.

    ``stop`` and ``forgotten`` change behind the back of the reader.
    """

    def __init__(self, link: Link, name: str, prefix: str) -> None:
        self.process = link
        """The line of the whole process."""
        self.name = name
        self._prefix = prefix

    def send(self, event: str, **fields: object) -> None:
        """Send one event of this pipeline up; one of the whole process goes by :attr:`process`."""
        self.process.send(event, lane=self.name, **fields)

    @property
    def stop(self) -> Stop | None:
        """Set once the stage should end."""
        return self.process.stop_of(self.name)

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor is gone."""
        return self.process.orphaned

    @property
    def forgotten(self) -> frozenset[str]:
        """Roles of workers of this pipeline that will not come back; do not wait for them."""
        names = self.process.forgotten
        own = {name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)}
        return frozenset(own) | (names & {"engine"})

    def take_config(self) -> str | None:
        """The configuration that has come since the last call, as JSON; None when none has."""
        return self.process.take_config(self.name)

    def wait_for_go(self) -> int | None:
        """As :meth:`Link.wait_for_go`."""
        return self.process.wait_for_go()

    def wait_for_stop(self, timeout_s: float) -> bool:
        """Block until the stage should end; False when ``timeout_s`` passed first."""
        return self.process.wait_for_stop(self.name, timeout_s)
