"""Looks at live cameras before a run, each from a process of its own: opening one may hang for ever.

``python -m streamfuse.runtime.prober`` is that process. It opens one camera, says what it is, and leaves;
it also leaves when whoever asked has gone.
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Final

from streamfuse.clock import NS_PER_S, Clock, SystemClock
from streamfuse.config.sources import InfraredSource, SourceConfig, VisibleSource
from streamfuse.errors import MachineError, SourceError, StreamfuseError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.source import SourceInfo
from streamfuse.io.sources import open_source, redact
from streamfuse.runtime.child import Child
from streamfuse.runtime.link import Link

__all__ = ["main", "probe_cameras"]

_COMMAND: Final = (sys.executable, "-m", "streamfuse.runtime.prober")
_START_S: Final = 10.0
"""What starting an interpreter and loading a camera's library may take."""
_TICK_S: Final = 0.1
_CONFIGS: Final[Mapping[StreamName, type[SourceConfig]]] = {
    StreamName.VISIBLE: VisibleSource,
    StreamName.INFRARED: InfraredSource,
}


def probe_cameras(
    cameras: Mapping[StreamName, SourceConfig], clock: Clock | None = None
) -> dict[StreamName, SourceInfo | SourceError]:
    """Open all cameras at the same time for a moment; one that does not answer in its time is given up.

    Returns:
        What each camera is, or why it cannot be had now.

    Raises:
        StreamfuseError: a camera that will never be had, such as one of an unknown kind.
    """
    clock = clock or SystemClock()
    found: dict[StreamName, SourceInfo | SourceError] = {}
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        probes = {}
        for stream, config in cameras.items():
            probes[stream] = stack.enter_context(closing(_Probe(stream, config, clock)))
            for pipe in probes[stream].child.pipes:
                selector.register(pipe, selectors.EVENT_READ)
        while len(found) < len(probes):
            selector.select(_TICK_S)
            for stream, probe in probes.items():
                if stream not in found and (answer := probe.answer()) is not None:
                    found[stream] = answer
                    for pipe in probe.child.pipes:
                        selector.unregister(pipe)
    return found


class _Probe:
    """One camera being looked at."""

    def __init__(self, stream: StreamName, config: SourceConfig, clock: Clock) -> None:
        self._where = f"{stream}: {redact(config.uri)}"
        self._clock = clock
        self._patience_s = config.timeout_s + _START_S
        self._deadline_ns = clock.now_ns() + round(self._patience_s * NS_PER_S)
        self._last_words = ""
        self.child = Child({"stream": stream, "config": config.model_dump_json()}, command=_COMMAND)

    def answer(self) -> SourceInfo | SourceError | None:
        """What the camera is or why it cannot be had; None while that is open."""
        status = self.child.exit_status
        for event in self.child.events():
            match event["event"]:
                case "info":
                    return SourceInfo.from_json(event["info"])
                case "absent":
                    return SourceError(event["text"])
                case "error":
                    raise _error(int(event["exit_code"]), str(event["text"]))
                case "log":
                    self._last_words = str(event["text"])
        if status is not None:
            why = f": {self._last_words}" if self._last_words else ""
            return SourceError(f"{self._where}: the process that opened it ended with status {status}{why}")
        if self._clock.now_ns() > self._deadline_ns:
            return SourceError(f"{self._where}: did not answer within {self._patience_s:.0f} s")
        return None

    def close(self) -> None:
        self.child.kill()
        self.child.close()


def _error(exit_code: int, text: str) -> StreamfuseError:
    kinds = {kind.exit_code: kind for kind in (UsageError, MachineError)}
    return kinds.get(exit_code, StreamfuseError)(text)


def main() -> None:
    """Open the camera that standard input names and say what it is."""
    link, order = Link.claim_stdio()
    link.start(lambda: None)
    threading.Thread(target=_leave_if_orphaned, args=(link,), daemon=True).start()
    stream = StreamName(order["stream"])
    config = _CONFIGS[stream].model_validate_json(order["config"])
    try:
        with closing(open_source(config, stream=stream)) as source:
            link.send("info", info=asdict(source.info))
    except SourceError as error:
        link.send("absent", text=str(error))
    except StreamfuseError as error:
        link.send("error", text=str(error), exit_code=error.exit_code)


def _leave_if_orphaned(link: Link) -> None:
    link.wait_until_orphaned()
    os._exit(1)


if __name__ == "__main__":
    main()
