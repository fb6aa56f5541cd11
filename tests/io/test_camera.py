"""A camera that comes and goes, with a plug-in as its driver: events, times, counts, and an end in time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from streamfuse.clock import SystemClock
from streamfuse.config.sources import SourceConfig
from streamfuse.core.clockfit import Stamp, TimeSource
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import DropCause, Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.cameras.camera import Camera, CameraEvent, CameraFrame
from streamfuse.io.source import SourceFrame, SourceInfo

SIZE_WH = (16, 12)


class Script:
    """A driver whose every opening and reading the test decides."""

    def __init__(self) -> None:
        self.size_wh = SIZE_WH
        self.problem: Exception | None = None
        self.frames = threading.Semaphore(0)
        self.gate = threading.Event()
        self.opened = self.closed = self.given = 0
        self.stamped = False

    def factory(self, _config: SourceConfig, *, stream: StreamName) -> Script:
        """What the entry point calls."""
        assert stream is StreamName.INFRARED
        if self.problem is not None:
            raise self.problem
        self.opened += 1
        return self

    @property
    def info(self) -> SourceInfo:
        """Of the moment."""
        spec = ImageSpec(format=PixelFormat.GRAY8, size_wh=self.size_wh)
        return SourceInfo(spec=spec, fps=25, frame_count=None, live=True)

    def read(self) -> SourceFrame | None:
        """A frame when the test releases one; breaks when there is a problem."""
        while not self.frames.acquire(timeout=0.02):
            if self.problem is not None:
                raise self.problem
            if self.gate.is_set():
                return None
        self.given += 1
        width, height = self.size_wh
        stamp = Stamp(source=TimeSource.DEVICE, time_ns=self.given * 40_000_000) if self.stamped else None
        return SourceFrame(
            image=Image.from_gray(np.full((height, width), self.given, np.uint8)),
            pts_ns=self.given,
            stamp=stamp,
            lost={DropCause.CORRUPT: 1} if self.given % 2 else {},
            shutter_closed=self.given == 2,
        )

    def close(self) -> None:
        """Counted."""
        self.closed += 1


class Owner:
    """Takes what a camera gives until it has what it waits for."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.items: list[CameraFrame | CameraEvent] = []

    @property
    def frames(self) -> list[CameraFrame]:
        """All so far."""
        return [item for item in self.items if isinstance(item, CameraFrame)]

    def events(self, kind: str) -> list[CameraEvent]:
        """All of a kind so far."""
        return [item for item in self.items if isinstance(item, CameraEvent) and item.kind == kind]

    def until(self, condition: Callable[[], bool], timeout_s: float = 10) -> None:
        """Take until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, self.items
            self.items += self.camera.take()
            time.sleep(0.002)  # another thread's doing, watched without an event of its own


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The driver of ``script://`` cameras, installed as pip would install it."""
    made = Script()
    info = tmp_path / "script-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: script\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[streamfuse.sources]\nscript = script_camera:factory\n")
    module = ModuleType("script_camera")
    module.factory = made.factory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "script_camera", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    return made


@pytest.fixture
def start(script: Script) -> Iterator[Callable[..., Owner]]:
    """Starts cameras; all are closed afterwards."""
    owners: list[Owner] = []

    def make(first_s: float = 0.02, max_s: float = 0.1, **more: object) -> Owner:
        config = SourceConfig.model_validate(
            {"uri": "script://one", "retry": {"first_s": first_s, "max_s": max_s, "jitter": 0.0}}
        )
        camera = Camera(config, stream=StreamName.INFRARED, clock=SystemClock(), wake=lambda: None, **more)
        owners.append(Owner(camera))
        return owners[-1]

    yield make
    script.gate.set()
    for owner in owners:
        assert owner.camera.close(timeout_s=5)


def test_frames_come_with_their_times_flags_and_losses(start, script) -> None:
    """What the source says of a frame reaches the owner; without a stamp the arrival is its time."""
    owner = start()
    script.frames.release(2)
    owner.until(lambda: len(owner.frames) == 2)
    first, second = owner.frames
    assert [frame.pts_ns for frame in owner.frames] == [1, 2]
    assert (first.shutter_closed, second.shutter_closed) == (False, True)
    assert (first.lost, second.lost) == ({DropCause.CORRUPT: 1}, {})
    assert first.capture_ns == first.arrival_ns
    (opened,) = owner.events("opened")
    assert opened.info == script.info
    assert opened.text == "open: 16x12 gray8 at 25 fps"
    (clock,) = owner.events("clock")
    assert "arrival" in clock.text


def test_a_better_clock_is_used_and_named(start, script) -> None:
    """Capture times of stamped frames come from the camera's clock, never after the arrival."""
    script.stamped = True
    owner = start()
    script.frames.release(4)
    owner.until(lambda: len(owner.frames) == 4)
    assert "device" in owner.events("clock")[0].text
    assert owner.camera.clock_report.source is TimeSource.DEVICE
    assert all(frame.capture_ns <= frame.arrival_ns for frame in owner.frames)


def test_a_camera_is_tried_for_ever_with_growing_delays_and_comes_back(start, script) -> None:
    """Each failure says when the next attempt is; the first is as soon as configured, none over the limit."""
    script.problem = SourceError("infrared: script://one: no route")
    owner = start()
    owner.until(lambda: len(owner.events("lost")) == 5)
    assert [event.retry_s for event in owner.events("lost")] == pytest.approx([0.02, 0.04, 0.08, 0.1, 0.1])
    assert owner.events("lost")[0].text == "absent (script://one: no route)"
    script.problem = None
    script.frames.release(1)
    owner.until(lambda: len(owner.frames) == 1)


def test_a_camera_that_worked_is_tried_again_soon(start, script) -> None:
    """After frames have flowed the delays start anew; the old source was closed first."""
    script.problem = SourceError("gone")
    owner = start()
    owner.until(lambda: len(owner.events("lost")) == 4)
    script.problem = None
    script.frames.release(1)
    owner.until(lambda: len(owner.frames) == 1)
    time.sleep(0.15)  # frames flow for longer than the last delay: the passing of time is the input
    script.problem = SourceError("gone again")
    owner.until(lambda: len(owner.events("lost")) == 5)
    assert owner.events("lost")[-1].retry_s == pytest.approx(0.02)
    assert owner.events("lost")[-1].text == "lost (gone again)"
    assert script.closed == script.opened == 1


def test_the_end_of_a_stream_is_a_loss(start, script) -> None:
    """A camera does not end; whoever hung up is called again."""
    script.gate.set()
    owner = start()
    owner.until(lambda: bool(owner.events("lost")))
    assert owner.events("lost")[0].text == "lost (the stream has ended)"


def test_the_oldest_frames_make_room_and_are_counted(start, script) -> None:
    """An owner who comes late gets the newest four; the first of them tells of all that is missing."""
    owner = start()
    script.frames.release(10)
    owner.until(lambda: script.given == 10)
    owner.until(lambda: owner.frames[-1:] != [] and owner.frames[-1].pts_ns == 10)
    got, lost = len(owner.frames), {DropCause.CORRUPT: 0, DropCause.SUPERSEDED: 0}
    for frame in owner.frames:
        for cause, count in frame.lost.items():
            lost[cause] += count
    assert lost == {DropCause.CORRUPT: 5, DropCause.SUPERSEDED: 10 - got}


def test_another_size_of_the_same_shape_is_made_fit(start, script) -> None:
    """One sentence says so, and what was planned is what comes."""
    planned = script.info
    script.size_wh = (32, 24)
    owner = start(planned=planned)
    script.frames.release(3)
    owner.until(lambda: len(owner.frames) == 3)
    assert {frame.image.spec for frame in owner.frames} == {planned.spec}
    (resized,) = owner.events("resized")
    assert resized.text == ("gives 32x24 gray8 full bt601 now; its pictures are made 16x12 gray8 full bt601")


def test_another_shape_is_refused_until_it_is_right_again(start, script) -> None:
    """Never a crash: it is tried again, and the first right one is taken."""
    planned = script.info
    script.size_wh = (32, 32)
    owner = start(planned=planned)
    owner.until(lambda: len(owner.events("refused")) == 3)
    text = owner.events("refused")[0].text
    assert "32x32 has another aspect ratio than 16x12" in text
    assert "sources.infrared" in text
    assert not owner.frames
    script.size_wh = SIZE_WH
    script.frames.release(1)
    owner.until(lambda: len(owner.frames) == 1)


def test_a_size_that_changes_without_a_new_connection_is_seen(start, script) -> None:
    """The frames are looked at, not only what the source promised."""
    owner = start()
    script.frames.release(1)
    owner.until(lambda: len(owner.frames) == 1)
    script.size_wh = (32, 24)
    script.frames.release(1)
    owner.until(lambda: len(owner.frames) == 2)
    assert owner.frames[-1].image.spec.size_wh == SIZE_WH
    assert len(owner.events("resized")) == 1


@pytest.mark.parametrize("error", [UsageError("no such option"), ZeroDivisionError("a bug")])
def test_what_does_not_heal_reaches_the_owner(start, script, error) -> None:
    """Trying again would be in vain; the owner's thread raises it, again at each call."""
    script.problem = error
    owner = start()
    with pytest.raises(type(error), match=str(error)):
        owner.until(lambda: False)
    with pytest.raises(type(error)):
        owner.camera.take()


def test_closing_ends_a_long_wait_at_once(start, script) -> None:
    """Nobody waits for the next attempt."""
    script.problem = SourceError("gone")
    owner = start(first_s=30.0, max_s=30.0)
    owner.until(lambda: bool(owner.events("lost")))
    started = time.monotonic()
    assert owner.camera.close(timeout_s=5)
    assert time.monotonic() - started < 0.5


def test_signs_of_life_stop_when_the_driver_hangs(start, script) -> None:
    """Waiting for the next attempt is life; a read that does not come back is none."""
    script.problem = SourceError("gone")
    owner = start(first_s=0.6, max_s=0.6)
    owner.until(lambda: bool(owner.events("lost")))
    waiting = owner.camera.progress
    owner.until(lambda: owner.camera.progress > waiting)
    script.problem = None
    owner.until(lambda: bool(owner.events("opened")))
    hanging = owner.camera.progress
    time.sleep(0.3)  # the absence of something has no event
    assert owner.camera.progress == hanging
    assert not owner.camera.close(timeout_s=0.05)
    script.gate.set()
