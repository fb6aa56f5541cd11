"""Pairing over simulated minutes, against the policies of other systems.

Three infrared cameras, started 10 ms later, meet a visible camera of 30 fps; frames arrive 30 ms
after their capture, give or take 3 ms. The limits in the table are those of the best known policy
for each camera, simulated over ten minutes.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from streamfuse.core.pairing import OnMissing, Paired, Pairer, PairingPolicy
from streamfuse.frames import PairState, StreamName

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
JITTER_MS = 3.0


@dataclass(frozen=True)
class Camera:
    """A camera that sends at ``fps`` and is shut for the first seconds of every shutter period."""

    fps: float
    start_ms: float = 10.0
    shut_s: float = 0.0
    shutter_period_s: float = 3600.0

    def captures_ns(self, duration_s: float) -> list[int]:
        """Capture times; the shutter closes half a period after the start first."""
        times_s = np.arange(int(duration_s * self.fps)) / self.fps
        is_open = (times_s - self.shutter_period_s / 2) % self.shutter_period_s >= self.shut_s
        return [round(time_s * NS_PER_S + self.start_ms * NS_PER_MS) for time_s in times_s[is_open]]


@dataclass(frozen=True)
class Arrival:
    """A frame on its way; frames of one camera never overtake each other."""

    stream: StreamName
    capture_ns: int
    arrival_ns: int


@dataclass
class Report:
    """What came out, with times in ms."""

    states: Counter[PairState] = field(default_factory=Counter)
    skews: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    matched_at: list[float] = field(default_factory=list)

    def add(self, pair: Paired[Arrival], now_ns: int) -> None:
        """Count a pair decided now."""
        self.states[pair.state] += 1
        if pair.visible is None:
            return
        self.waits.append((now_ns - pair.visible.arrival_ns) / NS_PER_MS)
        if pair.state is PairState.MATCHED and pair.skew_ms is not None:
            self.skews.append(abs(pair.skew_ms))
            self.matched_at.append(pair.visible.capture_ns / NS_PER_MS)

    @property
    def longest_gap_ms(self) -> float:
        """Longest time between two matched pairs."""
        return float(np.max(np.diff(self.matched_at)))


def arrivals(stream: StreamName, captures_ns: list[int], rng: random.Random) -> list[Arrival]:
    """Delay each frame by 30 ms, give or take 3 ms."""
    on_the_way = []
    newest_ns = 0
    for capture_ns in captures_ns:
        newest_ns = max(newest_ns, capture_ns + round((30 + rng.uniform(-JITTER_MS, JITTER_MS)) * NS_PER_MS))
        on_the_way.append(Arrival(stream, capture_ns, newest_ns))
    return on_the_way


def simulate(infrared: Camera, duration_s: float, on_missing: OnMissing = OnMissing.HOLD) -> Report:
    """Run the default policy; poll on every arrival and at every deadline, as a worker does."""
    pairer: Pairer[Arrival] = Pairer(
        PairingPolicy(visible_fps=30.0, infrared_fps=infrared.fps, on_missing=on_missing)
    )
    rng = random.Random(7)  # noqa: S311 - simulated jitter, not a secret
    frames = arrivals(VISIBLE, Camera(30.0, start_ms=0.0).captures_ns(duration_s), rng)
    frames += arrivals(INFRARED, infrared.captures_ns(duration_s), rng)
    report = Report()
    for frame in sorted(frames, key=lambda frame: frame.arrival_ns):
        while (deadline_ns := pairer.deadline_ns()) is not None and deadline_ns < frame.arrival_ns:
            collect(pairer, deadline_ns, report)
        pairer.push(frame.stream, frame, capture_ns=frame.capture_ns, now_ns=frame.arrival_ns)
        collect(pairer, frame.arrival_ns, report)
    for stream in StreamName:
        pairer.end(stream)
    collect(pairer, max(frame.arrival_ns for frame in frames), report)
    return report


def collect(pairer: Pairer[Arrival], now_ns: int, report: Report) -> None:
    """Poll and count the pairs."""
    for outcome in pairer.poll(now_ns):
        if isinstance(outcome, Paired):
            report.add(outcome, now_ns)


@dataclass(frozen=True)
class Limits:
    """What the best known policy reaches."""

    paired: float
    skew_p95_ms: float
    wait_p95_ms: float
    gap_ms: float


DRIFTING = Camera(30.0 - 0.0125)
BOSON = Camera(25.0, shut_s=1.0, shutter_period_s=60.0)
LEPTON = Camera(8.7, shut_s=2.0, shutter_period_s=180.0)

TABLE = [
    pytest.param(DRIFTING, Limits(1.0, 15.9, 15.0, 34.0), id="30fps-drifting"),
    pytest.param(BOSON, Limits(0.983, 17.7, 18.0, 1034.0), id="25fps-ffc"),
    pytest.param(LEPTON, Limits(0.601, 66.0, 20.0, 2200.0), id="8.7fps-ffc"),
]
# The drifting cameras are in step every 80 s.
DURATIONS = [pytest.param(160.0, id="160s"), pytest.param(600.0, id="10min", marks=pytest.mark.slow)]


@pytest.mark.parametrize("duration_s", DURATIONS)
@pytest.mark.parametrize(("infrared", "limits"), TABLE)
def test_the_default_policy_is_as_good_as_the_best(
    infrared: Camera, limits: Limits, duration_s: float
) -> None:
    """Pairing rate, skew, wait and longest gap reach the best policy known for this camera."""
    report = simulate(infrared, duration_s)
    assert len(report.skews) / int(30 * duration_s) >= limits.paired - 0.002
    assert np.percentile(report.skews, 95) <= limits.skew_p95_ms + 0.3
    assert np.percentile(report.waits, 95) <= limits.wait_p95_ms + JITTER_MS / 2
    assert np.percentile(report.waits, 50) <= JITTER_MS / 2
    assert report.longest_gap_ms <= limits.gap_ms + 1.0


@pytest.mark.parametrize("duration_s", DURATIONS)
@pytest.mark.parametrize("on_missing", [OnMissing.HOLD, OnMissing.SINGLE])
@pytest.mark.parametrize("infrared", [DRIFTING, BOSON, LEPTON])
def test_every_visible_frame_comes_out(infrared: Camera, on_missing: OnMissing, duration_s: float) -> None:
    """Whatever the thermal camera does, the visible stream never loses a frame to pairing."""
    report = simulate(infrared, duration_s, on_missing)
    assert len(report.waits) == report.states.total() == 30 * duration_s
    assert max(report.waits) <= 20.0
    assert (report.states[PairState.HELD] == 0) or on_missing is OnMissing.HOLD


def test_during_ffc_infrared_is_held_for_a_quarter_second_and_then_absent() -> None:
    """Of the 30 visible frames of one second of FFC some are held, and the others come alone."""
    report = simulate(BOSON, 60.0)
    assert report.states[PairState.VISIBLE_ONLY] == pytest.approx(0.75 * 30, abs=2)
    assert report.states[PairState.HELD] >= 6
