"""Live cameras that fail in every way, in whole runs: nothing stops, all is counted, all comes back."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from endurance import LONG


@pytest.mark.fault
def test_a_camera_that_is_absent_at_the_start_joins_when_it_appears(rig, record_property) -> None:
    """The run begins with what is there; the infrared camera is found when it is plugged in."""
    device = rig.device(there=False)
    run = rig.start(rig.visible(), f'uri: "{device.uri}"')
    run.until_flowing("visible")
    assert run.camera("infrared") == "lost"
    assert "begins without it, as 64x64 gray8 at 20 fps" in run.words
    device.plug_in()
    recovery_s = run.until_flowing("infrared")
    summary = run.stop()
    record_property("fault", "camera absent at start, appears later")
    record_property("recovery_s", recovery_s)
    record_property("promise", "3 s")
    assert recovery_s < 3, run.words
    assert summary["states"]["visible_only"] > 0
    assert summary["states"]["matched"] > 0
    assert summary["cameras"]["infrared"]["state"] == "live"
    assert summary["cameras"]["infrared"]["reconnects"] == 0


@pytest.mark.fault
@pytest.mark.parametrize("times", [3, pytest.param(20, marks=LONG)])
def test_a_camera_that_goes_and_comes_is_found_each_time(rig, record_property, times) -> None:
    """The other stream goes on all the while, and each return is told and counted."""
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}"')
    run.until_flowing("visible", "infrared")
    recoveries_s = []
    for _ in range(times):
        device.unplug()
        run.until(lambda: run.camera("infrared") == "lost", "lost")
        run.until_flowing("visible")
        device.plug_in()
        recoveries_s.append(run.until_flowing("infrared"))
    summary = run.stop()
    record_property("fault", f"camera gone and back {times} times")
    record_property("recovery_s", max(recoveries_s))
    record_property("promise", "3 s")
    assert max(recoveries_s) < 3, run.words
    assert run.words.count("infrared: lost (") == times
    assert run.words.count("infrared: back after ") == times
    assert summary["cameras"]["infrared"]["reconnects"] == times
    assert summary["restarts"]["infrared"] == 0


@pytest.mark.fault
def test_a_device_that_falls_silent_does_not_stop_the_other_stream(rig, record_property) -> None:
    """Its connections stay open (SIGSTOP); after the time-out it counts as lost, after SIGCONT it is back."""
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}"')
    run.until_flowing("visible", "infrared")
    device.signal(signal.SIGSTOP)
    run.until(lambda: run.camera("infrared") == "lost", "lost")
    run.until_flowing("visible")
    device.signal(signal.SIGCONT)
    recovery_s = run.until_flowing("infrared")
    summary = run.stop()
    record_property("fault", "device stalls without closing its connections")
    record_property("recovery_s", recovery_s)
    record_property("promise", "4 s")
    assert recovery_s < 4, run.words
    assert "timed out" in run.words
    assert summary["cameras"]["infrared"]["reconnects"] >= 1


@pytest.mark.fault
def test_a_camera_that_comes_back_with_another_size_is_made_fit_or_refused(rig, record_property) -> None:
    """The same shape is scaled, another is refused; neither touches the other stream."""
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}"')
    run.until_flowing("visible", "infrared")
    device.unplug()
    device.plug_in((128, 128), "yuv420p")
    recovery_s = run.until_flowing("infrared")
    assert "infrared: gives 128x128 yuv420p" in run.words
    device.unplug()
    device.plug_in((128, 64))
    run.until_said("infrared: refused (128x64 has another aspect ratio than 64x64")
    run.until_flowing("visible")
    device.unplug()
    device.plug_in()
    run.until_flowing("infrared")
    summary = run.stop()
    record_property("fault", "resolution changed on reconnect")
    record_property("recovery_s", recovery_s)
    record_property("promise", "3 s")
    assert recovery_s < 3, run.words
    assert summary["restarts"] == dict.fromkeys(summary["restarts"], 0)
    assert "gives 64x64 gray8 full bt601 again" in run.words


@pytest.mark.fault
def test_a_read_that_never_returns_is_ended_from_outside(rig, tmp_path, record_property) -> None:
    """The other stream goes on; the worker is replaced, and its successor opens the camera anew."""
    hang = Path(tmp_path / "hang")
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}", options: {{hang: "{hang}"}}', stall_timeout_s=2)
    run.until_flowing("visible", "infrared")
    before = run.worker("capture infrared")
    hang.touch()
    run.until(lambda: not hang.exists(), "the driver hangs")
    run.until_flowing("visible")
    run.until_said("[infrared] no progress for 2 s: replaced")
    recovery_s = run.until_flowing("infrared")
    assert run.worker("capture infrared").pid != before.pid
    hang.touch()
    run.until(lambda: not hang.exists(), "the driver hangs again")
    started_s = time.monotonic()
    summary = run.stop()
    assert time.monotonic() - started_s < 3.0, "a hanging driver keeps nobody from stopping"
    record_property("fault", "read hangs in a driver")
    record_property("recovery_s", recovery_s)
    record_property("promise", "8 s after the replacement")
    assert recovery_s < 8, run.words
    assert summary["restarts"]["infrared"] == 1
    assert summary["cameras"]["infrared"]["reconnects"] == 1


@pytest.mark.fault
def test_each_worker_killed_beside_a_live_camera_is_replaced(rig, record_property) -> None:
    """Kill -9 of each in turn: what it held is counted, and both streams flow again."""
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}"', more="record: {dir: recordings}\n")
    run.until_flowing("visible", "infrared")
    recoveries_s = {}
    for title in ("capture infrared", "capture visible", "engine", "recorder"):
        restarts = sum(run.status["restarts"].values())
        run.worker(title).kill()
        taken_s = run.until(lambda: sum(run.status["restarts"].values()) > restarts, "restarted")  # noqa: B023 - called here
        recoveries_s[title] = taken_s + run.until_flowing("visible", "infrared")
    summary = run.stop()
    record_property("fault", "kill -9 of each worker in turn")
    record_property("recovery_s", max(recoveries_s.values()))
    record_property("promise", "30 s, most of it the start of the engine")
    assert max(recoveries_s.values()) < 30, recoveries_s
    assert summary["restarts"] == {"visible": 1, "infrared": 1, "engine": 1, "recorder": 1}


@pytest.mark.fault
def test_a_stopped_capture_process_is_replaced(rig, record_property) -> None:
    """A process that does nothing at all, not even beat, as when a driver keeps the interpreter's lock."""
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}"', stall_timeout_s=2)
    run.until_flowing("visible", "infrared")
    run.worker("capture infrared").send_signal(signal.SIGSTOP)
    recovery_s = run.until(lambda: run.status["restarts"]["infrared"] == 1, "replaced")
    recovery_s += run.until_flowing("visible", "infrared")
    run.stop()
    record_property("fault", "capture process stopped (SIGSTOP)")
    record_property("recovery_s", recovery_s)
    record_property("promise", "10 s with a stall time of 2 s")
    assert recovery_s < 10, run.words


def test_what_the_camera_tells_is_counted(rig) -> None:
    """Every tenth frame has a corrupt one before it, every fifth was taken behind the shutter."""
    device = rig.device()
    run = rig.start(rig.visible(), f'uri: "{device.uri}", options: {{lose: "10", shutter: "5"}}')
    run.until(lambda: run.emitted("infrared") >= 40, "40 frames")
    account = run.stop()["streams"]["infrared"]
    came = account["captured"] - account["dropped"]["corrupt"]
    assert abs(account["dropped"]["corrupt"] - came // 10) <= 1
    assert abs(account["dropped"]["frozen"] - came // 5) <= 1
