"""A live camera that may come and go: opened, read and opened again, for ever, in a thread of its own.

Its owner takes what has come and never waits for the driver. A driver that hangs shows in
:attr:`Camera.progress`, which then stands still; nothing within a process can end such a call, so
that is for whoever can replace the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Final

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.backoff import Backoff
from streamfuse.core.clockfit import CaptureClock, ClockReport, TimeSource
from streamfuse.errors import SourceError
from streamfuse.frames import ImageSpec, PixelFormat, StreamName
from streamfuse.io.cameras.camera_news import CameraEvent, CameraFrame, News
from streamfuse.io.cameras.fitting import fitted, fitting_spec, why_unfit
from streamfuse.io.source import Source, SourceFrame, SourceInfo
from streamfuse.io.sources import open_source

__all__ = ["Camera", "CameraEvent", "CameraFrame"]

_NAP_S: Final = 0.25
"""Longest wait without a sign of life."""
_REPORT_EVERY_NS: Final = NS_PER_S


class _RefusedError(SourceError):
    """The camera gives pictures that the run cannot use; another mode of it may do."""


class Camera:
    """Opens the source, reads it, and begins again whenever it breaks.

    Args:
        config: The source's block of the pipeline file.
        stream: Which stream of the pair it is.
        clock: Monotonic time.
        wake: Called, in the camera's thread, when there is something to take.
        planned: What its pictures have to be. None: what it gives when it is first opened.
    """

    def __init__(
        self,
        config: SourceConfig,
        *,
        stream: StreamName,
        clock: Clock,
        wake: Callable[[], None],
        planned: SourceInfo | None = None,
    ) -> None:
        self.progress = 0
        """Rises with every sign of life of the thread: a frame, a failure, an attempt, a wait."""
        self.clock_report: ClockReport | None = None
        """How the camera's clock stands to the host's, renewed once a second; None before a frame."""
        self._config = config
        self._stream = stream
        self._clock = clock
        self._wake = wake
        self._planned = None if planned is None else planned.spec
        self._news = News()
        self._error: Exception | None = None
        self._closing = threading.Event()
        self._times = CaptureClock(latency_ms=config.latency_ms)
        self._time_source: TimeSource | None = None
        self._reported_ns = 0
        self._seen: ImageSpec | None = None
        """What the newest picture was before it was made fit."""
        retry = config.retry
        self._backoff = Backoff(first_s=retry.first_s, max_s=retry.max_s, jitter=retry.jitter)
        self._delay_s = 0.0
        self._flowing_since_ns: int | None = None
        self._is_open = False
        self._thread = threading.Thread(target=self._run, name=f"camera-{stream}", daemon=True)
        self._thread.start()

    def take(self) -> list[CameraFrame | CameraEvent]:
        """Whatever has come since the last call, in order; never blocks.

        If frames come faster than they are taken, the oldest is dropped, and the next frame's ``lost``
        says so (``superseded``).

        Raises:
            StreamfuseError: something that trying again cannot heal, such as an option that this kind
                of source does not have.
        """
        error = self._error  # looked at first: what came before it is told before it
        news = self._news.take()
        if error is not None and not news:
            raise error
        return news

    def close(self, *, timeout_s: float) -> bool:
        """Ask the thread to end and wait for it; may be called again, to wait longer.

        Returns:
            Whether it has ended and the source is closed. False: it hangs in a driver, or waits for a
            frame that has not come yet.
        """
        self._closing.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._attempt()
        except Exception as error:  # noqa: BLE001 - the outermost frame of a thread: the owner raises it
            self._error = error
            self._wake_owner()

    def _attempt(self) -> None:
        """Open the source and pass its frames on until it breaks; then wait before the next attempt."""
        self._flowing_since_ns = None
        self._is_open = False
        self.progress += 1
        try:
            with closing(open_source(self._config, stream=self._stream)) as source:
                self._watch(source)
        except SourceError as error:
            self._retry(error)

    def _retry(self, error: SourceError) -> None:
        """Tell what went wrong and let some time pass."""
        self.progress += 1
        refused = isinstance(error, _RefusedError)
        word = "refused" if refused else "lost" if self._is_open else "absent"
        reason = str(error).removeprefix(f"{self._stream}: ")
        self._delay_s = self._next_delay_s()
        self._put(
            CameraEvent(
                kind="refused" if refused else "lost", text=f"{word} ({reason})", retry_s=self._delay_s
            )
        )
        self._wait(self._delay_s)

    def _watch(self, source: Source) -> None:
        info = source.info
        self._planned = self._planned or info.spec
        self._check(info.spec)
        self._is_open = True
        self._times.restart()
        width, height = info.spec.size_wh
        text = f"open: {width}x{height} {info.spec.format} at {info.fps:g} fps"
        self._put(CameraEvent(kind="opened", text=text, info=info))
        while not self._closing.is_set():
            frame = source.read()
            arrival_ns = self._clock.now_ns()
            self.progress += 1
            if frame is None:
                raise SourceError("the stream has ended")
            self._pass_on(frame, arrival_ns)

    def _pass_on(self, frame: SourceFrame, arrival_ns: int) -> None:
        assert self._planned is not None  # set by _watch
        self._check(frame.image.spec)
        capture_ns = self._times.capture_ns(frame.stamp, arrival_ns=arrival_ns)
        if self._flowing_since_ns is None:
            self._flowing_since_ns = arrival_ns
        self._put(
            CameraFrame(
                image=fitted(frame.image, fitting_spec(frame.image.spec, self._planned)),
                pts_ns=frame.pts_ns,
                capture_ns=capture_ns,
                arrival_ns=arrival_ns,
                shutter_closed=frame.shutter_closed,
                lost=frame.lost,
            )
        )
        self._report_clock(arrival_ns)

    def _check(self, got: ImageSpec) -> None:
        """Look at what the camera gives; say so when it has changed.

        Raises:
            _RefusedError: it cannot be made fit.
        """
        assert self._planned is not None  # set by _watch
        if got == self._seen:
            return
        unfit = why_unfit(got, self._planned)
        if unfit is not None:
            hint = f"set the camera's mode, or start again with its size and format in sources.{self._stream}"
            raise _RefusedError(f"{unfit}; {hint}")
        known, self._seen = self._seen, got
        made = fitting_spec(got, self._planned)
        if got != made:
            text = f"gives {_named(got)} now; its pictures are made {_named(made)}"
            self._put(CameraEvent(kind="resized", text=text))
        elif known is not None:
            self._put(CameraEvent(kind="resized", text=f"gives {_named(got)} again"))

    def _report_clock(self, now_ns: int) -> None:
        if self.clock_report is not None and now_ns - self._reported_ns < _REPORT_EVERY_NS:
            return
        report = self.clock_report = self._times.report()
        self._reported_ns = now_ns
        if report.source is not self._time_source:
            self._time_source = report.source
            self._put(CameraEvent(kind="clock", text=f"capture times from: {report.source}"))

    def _next_delay_s(self) -> float:
        """A camera that gave frames for longer than it was last waited for counts as healed."""
        since_ns = self._flowing_since_ns
        if since_ns is not None and self._clock.now_ns() - since_ns > self._delay_s * NS_PER_S:
            self._backoff.reset()
        return self._backoff.next_delay_s()

    def _wait(self, delay_s: float) -> None:
        until_ns = self._clock.now_ns() + round(delay_s * NS_PER_S)
        while (left_s := (until_ns - self._clock.now_ns()) / NS_PER_S) > 0:
            if self._closing.wait(min(left_s, _NAP_S)):
                return
            self.progress += 1

    def _put(self, item: CameraFrame | CameraEvent) -> None:
        self._news.put(item)
        self._wake_owner()

    def _wake_owner(self) -> None:
        if not self._closing.is_set():  # afterwards there may be nobody left to wake
            self._wake()


def _named(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    colours = "" if spec.format is PixelFormat.GRAY16 else f" {spec.range} {spec.matrix}"
    return f"{width}x{height} {spec.format}{colours}"
