"""When a run is ready, and when a new start could help it: stories told with made-up numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamfuse.clock import NS_PER_S
from streamfuse.core.health import CameraHealth, CameraState
from streamfuse.core.stats import Accounting, Histogram
from streamfuse.frames import DropCause, PairState, StreamName
from streamfuse.runtime.health import Health, HealthWatch, WorkerHealth, WorkerPhase
from streamfuse.runtime.summary import SinkCounts, Summary

ACCOUNT = Accounting(captured=10, emitted=10, dropped={}, in_flight=0)


def summary(
    *, fused: int = 0, paired: int = 0, failed: int = 0, camera: CameraState = CameraState.LIVE
) -> Summary:
    """The numbers of a run with a recorder and an infrared camera."""
    return Summary(
        fused=fused,
        detections=0,
        states={PairState.MATCHED: fused},
        streams=dict.fromkeys(StreamName, ACCOUNT),
        fps=25.0,
        latency=Histogram(),
        skew=Histogram(),
        stages={},
        sinks={"recorder": SinkCounts(offered=fused, written=fused - failed, dropped=0, failed=failed)},
        cameras={StreamName.INFRARED: CameraHealth(state=camera, reconnects=0, clock=None)},
        paired=paired,
    )


def workers(**phases: WorkerPhase) -> dict[str, WorkerHealth]:
    """All workers run, but for those that are named."""
    return {
        role: WorkerHealth(phase=phases.get(role, WorkerPhase.RUNNING), restarts=0, pid=1, resident_bytes=1)
        for role in ("visible", "infrared", "engine", "recorder")
    }


def see(
    watch: HealthWatch, at_s: float, numbers: Summary, *, begun: bool = True, **phases: WorkerPhase
) -> Health:
    """The judgement at a moment."""
    now_ns = round(at_s * NS_PER_S)
    return watch.see(numbers, workers(**phases), begun=begun, stopping=False, now_ns=now_ns)


def test_a_run_that_works_is_ready_and_healthy() -> None:
    """Nothing stands against it, however long it goes on."""
    watch = HealthWatch()
    for second in range(100):
        health = see(watch, second, summary(fused=25 * second, paired=25 * second))
        assert (health.ready, health.healthy) == (True, True), health


def test_a_run_that_starts_says_for_whom_it_waits() -> None:
    """Not ready, but nothing that a new start would mend."""
    health = see(HealthWatch(), 0, summary(), begun=False, engine=WorkerPhase.STARTING)
    assert health == Health(not_ready=("starting: engine",))


def test_a_bumped_bracket_is_a_reason_until_it_is_corrected() -> None:
    """The pictures do not fit: not ready, yet healthy, as a new start mends no bracket."""
    watch = HealthWatch()
    bumped = {"bumped": True, "shift_px": [12.0, 0.0]}
    for apart_px, reasons in ((12.4, ("registration: the images are 12 px apart",)), (None, ())):
        told = replace(summary(), registration={**bumped, "apart_px": apart_px})
        health = see(watch, 1.0, told)
        assert health.not_ready == reasons
        assert health.healthy


def test_a_run_that_ends_is_not_ready() -> None:
    """Whoever sends it work should stop."""
    health = HealthWatch().see(summary(), workers(), begun=True, stopping=True, now_ns=0)
    assert (health.ready, health.healthy) == (False, True)


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        (CameraState.LIVE, True),
        (CameraState.FROZEN, True),
        (CameraState.LOST, False),
        (CameraState.STARTING, False),
    ],
)
def test_a_lost_camera_is_not_mended_by_a_new_start(state: CameraState, ready: bool) -> None:
    """It is told, and the program stays healthy for ever; a closed shutter is a normal thing."""
    watch = HealthWatch()
    for second in range(0, 1000, 10):
        health = see(watch, second, summary(camera=state))
        assert (health.ready, health.healthy) == (ready, True)
    assert health.not_ready == (() if ready else (f"infrared: the camera is {state}",))


@pytest.mark.parametrize("phase", [WorkerPhase.RESTARTING, WorkerPhase.FAILED])
def test_a_sink_that_is_away_is_named(phase: WorkerPhase) -> None:
    """The rest goes on, so the program is healthy."""
    health = see(HealthWatch(), 0, summary(), recorder=phase)
    assert health == Health(not_ready=(f"recorder: {phase}",))


def test_a_sink_that_loses_frames_is_named_until_it_does_not() -> None:
    """A full disk is told as long as it costs frames, and a few seconds longer."""
    watch = HealthWatch()
    assert see(watch, 0, summary(fused=10)).ready
    assert see(watch, 1, summary(fused=30, failed=7)).not_ready == ("recorder: it loses frames, 7 so far",)
    assert not see(watch, 5, summary(fused=130, failed=7)).ready
    assert see(watch, 7, summary(fused=180, failed=7)).ready


def test_pairs_that_are_never_fused_make_it_unhealthy_until_one_is() -> None:
    """The network hangs: its worker's loop goes on, so only the numbers tell."""
    watch = HealthWatch()
    reasons = {second: see(watch, second, summary(fused=5, paired=5 + second)) for second in range(60)}
    assert reasons[29].healthy
    assert reasons[40].not_healthy == ("pairs are made and none has been fused for 40 s",)
    assert see(watch, 60, summary(fused=6, paired=66)).healthy


def test_without_pairs_none_can_be_fused() -> None:
    """Cameras that went away just after a pair was made are no fault of the network."""
    watch = HealthWatch()
    see(watch, 0, summary(fused=5, paired=5))
    for second in range(1, 200):
        assert see(watch, second, summary(fused=5, paired=6)).healthy
    assert see(watch, 200, summary(fused=5, paired=7)).healthy, "the count begins when pairs come again"


def test_an_engine_that_does_not_come_back_makes_it_unhealthy() -> None:
    """It may compile its network once more, but not for ever."""
    watch = HealthWatch()
    assert see(watch, 0, summary(fused=5, paired=5)).healthy
    assert see(watch, 100, summary(fused=5, paired=5), engine=WorkerPhase.RESTARTING).healthy
    late = see(watch, 130, summary(fused=5, paired=5), engine=WorkerPhase.RESTARTING)
    assert late.not_healthy == ("the engine has been away for 130 s",)
    assert see(watch, 131, summary(fused=5, paired=5)).healthy


def test_a_run_that_was_cut_short_has_nothing_in_flight() -> None:
    """What was under way when the user stopped it is counted as stopped, and the sum stays right."""
    account = Accounting(
        captured=10, emitted=6, dropped={DropCause.STOPPED: 1, DropCause.LATE: 2}, in_flight=1
    )
    before = summary()
    cut = Summary(
        **{name: getattr(before, name) for name in Summary.__slots__}
        | {"streams": {StreamName.VISIBLE: account}}
    ).settled()
    settled = cut.streams[StreamName.VISIBLE]
    assert (settled.in_flight, settled.dropped[DropCause.STOPPED], settled.balance) == (0, 2, 0)
