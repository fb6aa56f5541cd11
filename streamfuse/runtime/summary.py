"""The summary of a run: every frame accounted for, and how long things took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from streamfuse.core.health import CameraHealth, CameraState
from streamfuse.core.pair_record import count_record
from streamfuse.core.stats import Accounting, Histogram
from streamfuse.frames import Count, DropCause, PairState, StreamName
from streamfuse.runtime import counters as c
from streamfuse.runtime.report import Report

__all__ = ["SinkCounts", "Summary", "summary_json"]

Counters = Mapping[str, Mapping[str, int]]
"""Counters of every worker's board, by worker and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkCounts:
    """What became of the fused frames that were offered to one sink."""

    offered: int
    written: int
    dropped: int
    failed: int = 0
    """Reached the sink, which could not deal with them."""

    @property
    def waiting(self) -> int:
        """On their way to the sink at this moment."""
        return max(0, self.offered - self.written - self.failed - self.dropped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The numbers of a run; :meth:`as_dict` gives the stable JSON."""

    fused: int
    detections: int
    states: Mapping[PairState, int]
    streams: Mapping[StreamName, Accounting]
    fps: float
    latency: Histogram
    """Milliseconds from capture to the sinks."""
    skew: Histogram
    """Milliseconds between the two frames of a pair, without sign."""
    stages: Mapping[str, Histogram]
    sinks: Mapping[str, SinkCounts]
    batch: Histogram = field(default_factory=Histogram)
    """Pairs that were fused in one go, those of other pipelines included; one value for each batch."""
    cameras: Mapping[StreamName, CameraHealth] = field(default_factory=dict)
    """The streams that come from live cameras."""
    left_out: int = 0
    """Objects beyond the ``most`` of their tasks."""
    tracks: int = 0
    """Objects that are followed at this moment."""
    counts: tuple[Count, ...] = ()
    """What the rules of the tasks have counted."""
    events: int = 0
    """How many have begun."""
    offset: Mapping[str, float | None] = field(default_factory=dict)
    """Between the streams, as the images show it: ``estimate_ms``, ``confidence``, ``applied_ms``."""
    registration: Mapping[str, Any] = field(default_factory=dict)
    """How the registered images fit: ``score``, ``shift_px``, ``corrected_px``, ``bumped``, ``apart_px``
    (what is left of a bump; None: nothing to mind), ``looks``,
    ``evidence`` (looks that said something) and ``look_ms`` (what one takes); empty where nobody looks."""
    paired: int = 0
    """Pairs made, whether they were fused, will be, or had to make room for newer ones."""
    device_memory_bytes: int | None = None
    """Of the device, taken by the engine; None where it does not say."""
    recordings: tuple[str, ...] = ()
    restarts: Mapping[str, int] = field(default_factory=dict)
    backend: str = ""
    device: str = ""

    @classmethod
    def of(cls, counters: Counters, report: Report, *, restarts: Mapping[str, int]) -> Summary:
        """Put together what the boards and the workers say."""
        engine = counters[c.ENGINE]
        return cls(
            fused=engine[c.FUSED],
            detections=engine[c.DETECTIONS],
            left_out=engine[c.LEFT_OUT],
            tracks=report.tracks,
            counts=report.counts,
            events=engine[c.EVENTS],
            states={state: engine[c.pairs(state)] for state in PairState},
            streams={stream: _account(counters[stream], engine, stream) for stream in StreamName},
            fps=report.fps,
            latency=report.histogram("latency_ms"),
            skew=report.histogram("skew_ms"),
            stages=report.stages(),
            batch=report.histogram("batch"),
            sinks={name: _sink(name, counters[name], engine) for name in c.SINKS if name in counters},
            cameras=_cameras(counters, report),
            offset=report.offset,
            registration=report.registration,
            paired=engine[c.PAIRED],
            device_memory_bytes=report.device_memory_bytes,
            recordings=tuple(report.recordings),
            restarts=dict(restarts),
            backend=report.backend,
            device=report.device,
        )

    @property
    def pairs(self) -> int:
        """All pairs that left the engine."""
        return sum(self.states.values())

    def settled(self) -> Summary:
        """The summary of a run that was cut short: what was still under way was stopped."""
        return replace(self, streams={stream: _stopped(account) for stream, account in self.streams.items()})

    def broken_promises(self) -> list[str]:
        """One sentence for each guarantee that the numbers contradict."""
        return [
            f"accounting: the {stream} stream is off by {account.balance} frames ({account.as_dict()})"
            for stream, account in self.streams.items()
            if account.balance
        ]

    def as_dict(self) -> dict[str, Any]:
        """The summary in JSON's types; keys are stable, new ones may be added."""
        return {
            "pairs": self.pairs,
            "fused": self.fused,
            "states": {state.value: count for state, count in self.states.items()},
            "streams": {stream.value: account.as_dict() for stream, account in self.streams.items()},
            "fps": round(self.fps, 3),
            "latency_ms": _rounded(p50=self.latency.p50, p95=self.latency.p95, p99=self.latency.p99),
            "skew_ms": _rounded(p50=self.skew.p50, p95=self.skew.p95, max=self.skew.max),
            "stages": {
                name: _rounded(p50_ms=times.p50, p95_ms=times.p95)
                for name, times in self.stages.items()
                if times.count
            },
            "batch": _rounded(mean=self.batch.mean, max=self.batch.max),
            "cameras": {stream.value: camera.as_dict() for stream, camera in self.cameras.items()},
            "offset": dict(self.offset),
            "registration": dict(self.registration),
            "detections": self.detections,
            "left_out": self.left_out,
            "counts": {count.rule: _numbers(count) for count in self.counts},
            "events": self.events,
            "recordings": list(self.recordings),
            "restarts": dict(self.restarts),
            "sinks": {
                name: {
                    "offered": sink.offered,
                    "written": sink.written,
                    "dropped": sink.dropped,
                    "failed": sink.failed,
                }
                for name, sink in self.sinks.items()
            },
            "backend": self.backend,
            "device": self.device,
        }


def summary_json(summaries: Mapping[str, Summary]) -> dict[str, Any]:
    """The summary of a run in JSON's types: that of its pipeline, or those of several and their sums."""
    parts = {name: summary.as_dict() for name, summary in summaries.items()}
    first = next(iter(parts.values()))
    if len(parts) == 1:
        return first
    return {
        "pipelines": parts,
        **{key: sum(part[key] for part in parts.values()) for key in ("pairs", "fused", "detections")},
        "fps": round(sum(summary.fps for summary in summaries.values()), 3),
        "recordings": [path for part in parts.values() for path in part["recordings"]],
        "backend": first["backend"],
        "device": first["device"],
    }


def _numbers(count: Count) -> dict[str, Any]:
    return {key: value for key, value in count_record(count).items() if key not in {"rule", "points"}}


def _account(capture: Mapping[str, int], engine: Mapping[str, int], stream: StreamName) -> Accounting:
    """Where the frames of a stream are: each term is counted where it happens, by whoever did it."""
    outbox = _Words(capture, f"to.{c.ENGINE}")
    inlet = _Words(engine, f"from.{stream}")
    dropped = {
        cause: engine[c.dropped(stream, cause)]
        + capture.get(c.capture_dropped(cause), 0)
        + outbox[f"dropped.{cause}"]
        for cause in DropCause
    }
    dropped[DropCause.OVERRUN] += inlet["overrun"]
    dropped[DropCause.WORKER_LOST] += inlet["lost"]
    # Boards are read while their owners write; a term that is behind for a moment must not go negative.
    pending = outbox["offered"] - outbox["sent"] - sum(outbox[f"dropped.{cause}"] for cause in DropCause)
    on_the_wire = outbox["sent"] - inlet["delivered"] - inlet["overrun"] - inlet["lost"]
    return Accounting(
        captured=capture[c.CAPTURED],
        emitted=engine[c.emitted(stream)],
        dropped=dropped,
        in_flight=max(0, pending) + max(0, on_the_wire) + engine[c.held(stream)],
    )


def _stopped(account: Accounting) -> Accounting:
    stopped = account.dropped.get(DropCause.STOPPED, 0) + account.in_flight
    return replace(account, dropped={**account.dropped, DropCause.STOPPED: stopped}, in_flight=0)


def _cameras(counters: Counters, report: Report) -> dict[StreamName, CameraHealth]:
    states = {stream: CameraState.of_code(counters[stream][c.CAMERA_STATE]) for stream in StreamName}
    return {
        stream: CameraHealth(
            state=state,
            reconnects=max(0, counters[stream][c.OPENED] - 1),
            clock=report.clocks.get(stream),
        )
        for stream, state in states.items()
        if state is not None
    }


class _Words:
    """Counters that share a prefix, by their last words; one that nobody keeps reads 0."""

    def __init__(self, counters: Mapping[str, int], prefix: str) -> None:
        self._counters = counters
        self._prefix = prefix

    def __getitem__(self, word: str) -> int:
        return self._counters.get(f"{self._prefix}.{word}", 0)


def _sink(name: str, sink: Mapping[str, int], engine: Mapping[str, int]) -> SinkCounts:
    outbox = _Words(engine, f"to.{name}")
    inlet = _Words(sink, "from.fused")
    dropped = sum(outbox[f"dropped.{cause}"] for cause in DropCause)
    return SinkCounts(
        offered=outbox["offered"],
        written=sink[c.SINK_WRITTEN],
        dropped=dropped + inlet["lost"] + inlet["overrun"],
        failed=sink[c.SINK_FAILED],
    )


def _rounded(**values: float | None) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 3) for name, value in values.items()}
