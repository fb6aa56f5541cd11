"""A live camera: what it gives is passed on in its own time, and its coming and going is told.

The camera lives in a thread of its own (:mod:`streamfuse.io.cameras.camera`), so that a driver cannot stop
the bus. The worker's sign of life follows that thread: when a call into a driver or decoder does not
come back in its time, the sign stops, and the supervisor replaces the process.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Final

from streamfuse.clock import NS_PER_S
from streamfuse.core.clockfit import ClockReport
from streamfuse.core.health import CameraState
from streamfuse.core.wire import EndReason
from streamfuse.io.cameras.camera import Camera, CameraEvent, CameraFrame
from streamfuse.io.transport.bus import Pollable, Waker, wait
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.intake import PUMP_MS, Intake

__all__ = ["watch"]

_GRACE_S: Final = 1.0
"""What a call into a driver may take beyond its own timeout."""
_CLOSE_S: Final = 0.5
"""How long the camera's thread may take to end; one that hangs ends with the process."""


def watch(context: Context, intake: Intake) -> None:
    """Pass on what the camera gives until told to stop, however often it goes and comes.

    Raises:
        StreamfuseError: what no new attempt can heal.
    """
    with ExitStack() as stack:
        waker = stack.enter_context(closing(Waker()))
        camera = Camera(
            context.plan.camera(intake.stream),
            stream=intake.stream,
            clock=context.clock,
            wake=waker.wake,
            planned=context.plan.source(intake.stream),
        )
        stack.callback(camera.close, timeout_s=_CLOSE_S)
        _Watcher(context, intake, camera).run(waker)


class _Watcher:
    def __init__(self, context: Context, intake: Intake, camera: Camera) -> None:
        self._context = context
        self._intake = intake
        self._camera = camera
        self._board = context.board
        timeout_s = context.plan.camera(intake.stream).timeout_s
        self._patience_ns = round((timeout_s + _GRACE_S) * NS_PER_S)
        self._progress = -1
        self._progress_ns = 0
        self._clock_told: ClockReport | None = None
        absent = context.plan.absent.get(intake.stream)
        self._troubles_told = set() if absent is None else {f"absent ({absent})"}
        """Of this outage: each is told once, however often the camera is tried."""
        self._told: set[str] = set()
        # A successor knows from its board that there was a camera, and for how long there has been none.
        was_there = self._board.get(c.LAST_FRAME_NS) > 0
        self._set_state(CameraState.LOST if was_there else CameraState.STARTING)

    def run(self, waker: Waker) -> None:
        """From the wait for the engine to the farewell."""
        if self._intake.begin() is None:
            return
        for item in self._camera.take():
            if isinstance(item, CameraEvent):
                self._tell(item)
            else:  # a picture of before the beginning is not of this run, but says that the camera is there
                self._note_picture(item.arrival_ns)
        reason = EndReason.FAILED
        try:
            self._loop(waker)
            reason = EndReason.STOPPED
        finally:
            self._camera.close(timeout_s=0)
            self._intake.finish(reason)
            self._send_stats()

    def _loop(self, waker: Waker) -> None:
        outlet = self._intake.outlet
        sources: list[Pollable] = [outlet, waker]
        while self._context.link.stop is None:
            self._beat()
            wait(sources, timeout_ms=PUMP_MS)
            outlet.pump(0)
            for item in self._camera.take():
                if isinstance(item, CameraFrame):
                    self._pass_on(item)
                else:
                    self._tell(item)
            if self._camera.clock_report is not self._clock_told:
                self._send_stats()

    def _beat(self) -> None:
        """Show life as long as the camera's thread does, or may still be within its timeout."""
        now_ns = self._context.clock.now_ns()
        if self._camera.progress != self._progress:
            self._progress, self._progress_ns = self._camera.progress, now_ns
        if now_ns - self._progress_ns <= self._patience_ns:
            self._context.beat()

    def _pass_on(self, frame: CameraFrame) -> None:
        intake = self._intake
        intake.missed(frame.lost)
        intake.offer(
            frame.image,
            pts_ns=frame.pts_ns,
            capture_ns=frame.capture_ns,
            arrival_ns=frame.arrival_ns,
            flagged=frame.shutter_closed,
        )
        intake.took(frame.arrival_ns)
        self._note_picture(frame.arrival_ns)

    def _note_picture(self, arrival_ns: int) -> None:
        if self._state in {CameraState.STARTING, CameraState.LOST}:
            self._board.add(c.OPENED)  # not when it is opened: it may be lost again before its first picture
            self._say_back(arrival_ns)
        self._board.set(c.LAST_FRAME_NS, arrival_ns)
        self._set_state(CameraState.FROZEN if self._intake.frozen else CameraState.LIVE)

    def _say_back(self, now_ns: int) -> None:
        if last_ns := self._board.get(c.LAST_FRAME_NS):
            self._say(f"back after {(now_ns - last_ns) / NS_PER_S:.1f} s")
        self._troubles_told.clear()

    def _tell(self, event: CameraEvent) -> None:
        match event.kind:
            case "opened":
                if not self._board.get(c.LAST_FRAME_NS):
                    self._say_once(event.text)
            case "lost" | "refused":
                self._set_state(CameraState.LOST)
                if event.text not in self._troubles_told:
                    self._troubles_told.add(event.text)
                    self._say(f"{event.text}; trying again in {event.retry_s:.1f} s")
            case "resized":
                self._say(event.text)
            case "clock":
                self._say_once(event.text)

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._say(text)

    def _say(self, text: str) -> None:
        self._context.link.send("camera", text=text)

    def _set_state(self, state: CameraState) -> None:
        self._state = state
        self._board.set(c.CAMERA_STATE, state.code)

    def _send_stats(self) -> None:
        report = self._clock_told = self._camera.clock_report
        clock = {} if report is None else {"clock": asdict(report)}
        self._context.link.send("stats", stages={"capture": self._intake.took_ms.as_dict()}, **clock)
