"""How a camera is doing, as numbers on a board and as the summary's JSON."""

from __future__ import annotations

import json

import pytest

from streamfuse.core.clockfit import ClockReport, TimeSource
from streamfuse.core.health import CameraHealth, CameraState


@pytest.mark.parametrize("state", CameraState)
def test_a_state_survives_as_a_number(state: CameraState) -> None:
    """Above 0, which means that there is no camera."""
    assert state.code > 0
    assert CameraState.of_code(state.code) is state


def test_without_a_camera_there_is_no_state() -> None:
    """A board is zero where nobody has written."""
    assert CameraState.of_code(0) is None


def test_the_summary_has_the_clock_with_its_source() -> None:
    """In JSON's types, rounded to what means something; None before the first frame."""
    clock = ClockReport(source=TimeSource.RTCP, offset_ms=1.23456, drift_ppm=7.891, jitter_ms=0.5, samples=9)
    health = CameraHealth(state=CameraState.LIVE, reconnects=2, clock=clock)
    assert json.loads(json.dumps(health.as_dict())) == {
        "state": "live",
        "reconnects": 2,
        "clock": {"source": "rtcp", "offset_ms": 1.235, "drift_ppm": 7.89, "jitter_ms": 0.5},
    }
    assert CameraHealth(state=CameraState.LOST, reconnects=0, clock=None).as_dict()["clock"] is None
