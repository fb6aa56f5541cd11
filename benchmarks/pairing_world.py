"""Simulated cameras, and what a way of pairing makes of them: for ``pairing.py`` and its test."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.pairing import Paired, Pairer, PairingPolicy
from streamfuse.frames import PairState, StreamName

__all__ = ["Arrival", "Camera", "Made", "Ours", "Score", "Way", "arrivals", "play"]

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera that sends at ``fps``; its frames never overtake each other.

    The shutter closes half a period after the start first.
    """

    fps: float
    start_ms: float = 0.0
    latency_ms: float = 30.0
    jitter_ms: float = 3.0
    """A frame arrives after the latency, give or take so much."""
    shut_s: float = 0.0
    shutter_period_s: float = 3600.0
    lost: float = 0.0
    """Share of frames that never arrive."""
    says_fps: float | None = None
    """Nominal rate; None: the true one."""

    @property
    def nominal_fps(self) -> float:
        """What a pairing policy is told."""
        return self.says_fps or self.fps

    def captures_ns(self, duration_s: float) -> list[int]:
        """Capture times of the frames that the shutter lets through."""
        times_s = np.arange(int(duration_s * self.fps)) / self.fps
        is_open = (times_s - self.shutter_period_s / 2) % self.shutter_period_s >= self.shut_s
        return [round(time_s * NS_PER_S + self.start_ms * NS_PER_MS) for time_s in times_s[is_open]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame on its way."""

    stream: StreamName
    capture_ns: int
    arrival_ns: int


@dataclass(frozen=True, slots=True)
class Made:
    """What a way of pairing has brought out: a base frame, and its partner if it has one."""

    state: PairState
    base: Arrival
    other: Arrival | None


class Way(Protocol):
    """A way of pairing."""

    def push(self, frame: Arrival, now_ns: int) -> None:
        """Take a frame in."""

    def poll(self, now_ns: int) -> list[Made]:
        """What is decided by now."""

    def deadline_ns(self) -> int | None:
        """When to poll again if nothing comes until then."""


class Ours:
    """The pairer of streamfuse."""

    def __init__(self, policy: PairingPolicy) -> None:
        self.pairer: Pairer[Arrival] = Pairer(policy)

    def push(self, frame: Arrival, now_ns: int) -> None:
        """Take a frame in."""
        self.pairer.push(frame.stream, frame, capture_ns=frame.capture_ns, now_ns=now_ns)

    def poll(self, now_ns: int) -> list[Made]:
        """What is decided by now."""
        return [made_of(pair) for pair in self.pairer.poll(now_ns) if isinstance(pair, Paired)]

    def deadline_ns(self) -> int | None:
        """When to poll again if nothing comes until then."""
        return self.pairer.deadline_ns()


def made_of(pair: Paired[Arrival]) -> Made:
    """A pair of ours as any way of pairing gives it."""
    base, other = (pair.visible, pair.infrared)[:: 1 if pair.timed_by is VISIBLE else -1]
    assert base is not None
    return Made(pair.state, base, other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What came out; times in ms."""

    paired: float
    """Matched pairs per frame that the base camera captured."""
    came_out: float
    """Base frames that came out in any state, per frame captured."""
    skew_p50: float
    skew_p95: float
    skew_max: float
    """Between the frames of matched pairs."""
    wait_p50: float
    wait_p95: float
    wait_max: float
    """From the arrival of the base frame of a matched pair until it comes out, and of any that comes out."""
    longest_gap: float
    """Between two matched pairs, or from the first or last of them to the first or last base frame."""
    states: dict[str, int]

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def arrivals(stream: StreamName, camera: Camera, duration_s: float, rng: random.Random) -> list[Arrival]:
    """The frames of a camera, in the order they arrive."""
    on_the_way = []
    newest_ns = 0
    for capture_ns in camera.captures_ns(duration_s):
        delay_ms = camera.latency_ms + rng.uniform(-camera.jitter_ms, camera.jitter_ms)
        newest_ns = max(newest_ns, capture_ns + round(delay_ms * NS_PER_MS))
        if rng.random() >= camera.lost:
            on_the_way.append(Arrival(stream, capture_ns, newest_ns))
    return on_the_way


def play(
    way: Way, visible: Camera, infrared: Camera, duration_s: float, *, base: StreamName = VISIBLE
) -> Score:
    """Let two cameras run; poll at every arrival and every deadline, as a worker does."""
    rng = random.Random(7)  # noqa: S311 - simulated jitter, not a secret
    frames = arrivals(VISIBLE, visible, duration_s, rng) + arrivals(INFRARED, infrared, duration_s, rng)
    made: list[tuple[Made, int]] = []
    for frame in sorted(frames, key=lambda frame: frame.arrival_ns):
        while (deadline_ns := way.deadline_ns()) is not None and deadline_ns < frame.arrival_ns:
            made += [(pair, deadline_ns) for pair in way.poll(deadline_ns)]
        way.push(frame, frame.arrival_ns)
        made += [(pair, frame.arrival_ns) for pair in way.poll(frame.arrival_ns)]
    captured = [frame.capture_ns for frame in frames if frame.stream is base]
    return score([(pair, at_ns) for pair, at_ns in made if pair.base.stream is base], captured)


def score(made: Sequence[tuple[Made, int]], captured_ns: Sequence[int]) -> Score:
    """Count what came out, given the capture times of all base frames."""
    matched = [pair for pair, _ in made if pair.state is PairState.MATCHED]
    skews_ns = [abs(pair.base.capture_ns - pair.other.capture_ns) for pair in matched if pair.other]
    waits_ns = [at_ns - pair.base.arrival_ns for pair, at_ns in made if pair.state is PairState.MATCHED]
    times_ns = [min(captured_ns), *(pair.base.capture_ns for pair in matched), max(captured_ns)]
    return Score(
        paired=len(matched) / len(captured_ns),
        came_out=len(made) / len(captured_ns),
        skew_p50=_percentile_ms(skews_ns, 50),
        skew_p95=_percentile_ms(skews_ns, 95),
        skew_max=_percentile_ms(skews_ns, 100),
        wait_p50=_percentile_ms(waits_ns, 50),
        wait_p95=_percentile_ms(waits_ns, 95),
        wait_max=max(at_ns - pair.base.arrival_ns for pair, at_ns in made) / NS_PER_MS,
        longest_gap=float(np.max(np.diff(times_ns))) / NS_PER_MS,
        states=dict(Counter(str(pair.state) for pair, _ in made)),
    )


def _percentile_ms(times_ns: Iterable[int], share: float) -> float:
    times = list(times_ns)
    return float(np.percentile(times, share)) / NS_PER_MS if times else float("nan")
