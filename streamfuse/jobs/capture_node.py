"""A capture node: one camera, served to fusing machines over the network.

One process, one loop: the camera has a thread of its own (:mod:`streamfuse.io.cameras.camera`), everything
else happens in turn, so that the books always agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamfuse.clock import NS_PER_S, Clock, SystemClock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.layout import Channel
from streamfuse.core.stats import Accounting
from streamfuse.core.wire import EndReason
from streamfuse.errors import EXIT_INTERRUPTED, PromiseError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.camera import CameraEvent, CameraFrame
from streamfuse.io.signals import Signals, caught_signals
from streamfuse.io.transport.bus import wait
from streamfuse.io.transport.curve import ServerKeys, load_server_keys
from streamfuse.io.transport.netbus import NodeHub
from streamfuse.jobs.capturing.audience import Audience, Coding
from streamfuse.jobs.capturing.feed import Feed, open_feed

__all__ = ["NodeOptions", "NodeResult", "NodeStatus", "load_keys", "serve"]

_TURN_MS: Final = 100
"""Longest wait of the loop: how soon it heeds a signal."""
_STATUS_EVERY_NS: Final = NS_PER_S // 2
_FAREWELL_NS: Final = NS_PER_S
"""How long consumers may take to confirm the last frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How a node serves its camera."""

    endpoint: str
    """``tcp://ADDRESS:PORT``."""
    keys: ServerKeys | None
    """None only on the loopback."""
    coding: Coding
    duration_s: float | None = None
    """Stop after so many seconds; None: when the source ends, or on Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The numbers of the moment."""

    account: Accounting
    consumers: tuple[str, ...]
    """Names of those that are heard."""
    has_camera: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """How it went."""

    summary: dict[str, Any]
    """``{"stream", "endpoint", "codec", "seconds", "fps", "streams": {stream: account}, "consumers": {name:
    account and "bytes"}, "refused": {"keys", "messages"}}``."""
    exit_code: int
    problem: str | None = None
    """What went wrong in spite of everything, in one sentence."""


def load_keys(key: Path | None, allow: tuple[Path, ...]) -> ServerKeys | None:
    """The node's keys from the options of the command line; None without any.

    Raises:
        UsageError: one option without the other, or a file that cannot be used.
    """
    if key is None and not allow:
        return None
    if key is None:
        raise UsageError("--allow needs --key, this node's own secret key; `streamfuse keys NAME` makes one")
    return load_server_keys(key, allow)


def serve(
    config: SourceConfig,
    options: NodeOptions,
    *,
    stream: StreamName,
    on_status: Callable[[NodeStatus], None],
    on_message: Callable[[str], None],
) -> NodeResult:
    """Serve a camera until its source ends, the time is over, or somebody interrupts.

    Args:
        config: The source's block of the pipeline file.
        options: How.
        stream: Which stream of the pair it is.
        on_status: Called twice a second.
        on_message: Called with one sentence when something happens that a person should know.

    Raises:
        UsageError: options that cannot work together, also with what the camera gives.
        SourceError: a recording cannot be opened or read. A camera is waited for.
        BusError: the endpoint cannot be bound.
        MachineError: an encoder does not work here.
    """
    clock = SystemClock()
    with caught_signals() as signals:
        # The source first: nobody is answered while a recording's first picture is made.
        feed = open_feed(config, stream=stream, clock=clock)
        hangs = False
        try:
            with NodeHub(options.endpoint, keys=options.keys) as hub:
                on_message(f"{stream}: serving at {hub.endpoint}")
                node = _Node(hub, feed, options, stream=stream, clock=clock)
                node.on_status, node.on_message = on_status, on_message
                node.run(signals)
        finally:
            hangs = not feed.close()
        return node.result(
            interrupted=signals.interrupts > 0, problem="the camera's driver hangs" if hangs else None
        )


class _Node:
    """The loop and what it looks after."""

    on_status: Callable[[NodeStatus], None]
    on_message: Callable[[str], None]

    def __init__(
        self, hub: NodeHub, feed: Feed, options: NodeOptions, *, stream: StreamName, clock: Clock
    ) -> None:
        self._hub = hub
        self._feed = feed
        self._options = options
        self._stream = stream
        self._clock = clock
        self._audience = Audience(hub, stream=Channel(stream), coding=options.coding, clock=clock)
        self._fps: float | None = None
        """Of the camera as it was last opened; None while there is none."""
        self._began_ns = clock.now_ns()
        self._ended_ns = self._began_ns
        self._status_ns = 0

    def run(self, signals: Signals) -> None:
        """Serve to the end, then say goodbye."""
        reason = EndReason.FAILED
        try:
            reason = self._loop(signals)
        finally:
            self._ended_ns = self._clock.now_ns()
            self._say_goodbye(reason)

    def result(self, *, interrupted: bool, problem: str | None) -> NodeResult:
        """How it went."""
        account = self._audience.account
        gate = self._hub.gate
        seconds = (self._ended_ns - self._began_ns) / NS_PER_S
        summary = {
            "stream": self._stream.value,
            "endpoint": self._hub.endpoint,
            "codec": self._options.coding.codec.value,
            "seconds": seconds,
            "fps": account.captured / seconds if seconds > 0 else 0.0,
            "streams": {self._stream.value: account.as_dict()},
            "consumers": self._audience.books(),
            "refused": {"keys": 0 if gate is None else gate.refused, "messages": self._audience.refused},
        }
        if account.balance:
            problem = f"accounting: the {self._stream} stream is off by {account.balance} frames"
        broken = PromiseError.exit_code if problem else 0
        return NodeResult(
            summary=summary, exit_code=EXIT_INTERRUPTED if interrupted else broken, problem=problem
        )

    def _loop(self, signals: Signals) -> EndReason:
        duration_s = self._options.duration_s
        until_ns = None if duration_s is None else self._began_ns + round(duration_s * NS_PER_S)
        while not (signals.interrupts or signals.terminations):
            now_ns = self._clock.now_ns()
            if until_ns is not None and now_ns >= until_ns:
                return EndReason.STOPPED
            for item in self._feed.take():
                self._heed(item)
            self._audience.pump()
            if self._feed.has_ended:
                return EndReason.FINISHED
            if self._fps is None:
                self._audience.tell_away()
            self._show(now_ns)
            idle_ms = self._feed.idle_ms()
            wait(
                [*self._hub.pollables, self._feed.waker],
                timeout_ms=_TURN_MS if idle_ms is None else min(_TURN_MS, idle_ms),
            )
        return EndReason.STOPPED

    def _heed(self, item: CameraFrame | CameraEvent) -> None:
        if isinstance(item, CameraEvent):
            self.on_message(f"{self._stream}: {item.text}")
            if item.info is not None:
                self._fps = item.info.fps
            if item.kind in {"lost", "refused"}:
                self._fps = None
        elif self._fps is not None:
            self._audience.offer(item, fps=self._fps)

    def _show(self, now_ns: int) -> None:
        if now_ns - self._status_ns < _STATUS_EVERY_NS:
            return
        self._status_ns = now_ns
        status = NodeStatus(
            account=self._audience.account,
            consumers=tuple(self._audience.present),
            has_camera=self._fps is not None,
        )
        self.on_status(status)

    def _say_goodbye(self, reason: EndReason) -> None:
        """Let the consumers finish what is under way; those that do not are not waited for long."""
        give_up_ns = self._clock.now_ns() + _FAREWELL_NS
        self._audience.finish(reason)
        while not self._audience.is_served and self._clock.now_ns() < give_up_ns:
            wait(self._hub.pollables, timeout_ms=_TURN_MS)
            self._audience.pump()
