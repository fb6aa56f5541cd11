"""The run's numbers for Prometheus. The only file that knows prometheus_client.

The numbers are counted elsewhere (each worker's board); they are turned into text when Prometheus asks, so
an unasked server costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streamfuse.core.health import CameraHealth, CameraState
from streamfuse.core.stats import Accounting, Histogram
from streamfuse.errors import OutputError
from streamfuse.frames import Count, CountKind, DropCause, PairState, StreamName
from streamfuse.io.closing import Closing
from streamfuse.io.pages import Page, PageServer, Probe, probe_page

__all__ = ["MetricsServer", "MetricsSnapshot", "WorkerNumbers"]

_MS_PER_S: Final = 1000.0
_TIMES_S: Final = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.03,
    0.04,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.5,
    1.0,
    2.0,
    5.0,
)
"""Upper bounds of what takes time: a frame at 100 per second up to a network that does not keep up."""
_SKEWS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5)
"""Upper bounds of the time between the frames of a pair."""

_DIRECTIONS: Final = {CountKind.LINE: ("forward", "backward"), CountKind.ZONE: ("entered", "left")}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNumbers:
    """A worker process."""

    up: bool
    """Whether it is there and does its work."""
    restarts: int
    resident_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """The numbers of a run at one moment; histograms are in milliseconds."""

    streams: Mapping[StreamName, Accounting] = field(default_factory=dict)
    pairs: Mapping[PairState, int] = field(default_factory=dict)
    """Pairs made since the start, by state; a missing state counts as 0."""
    detections: int = 0
    left_out: int = 0
    """Objects beyond the ``most`` of their tasks."""
    tracks: int = 0
    """Objects that are followed at this moment."""
    counts: Sequence[Count] = ()
    """What the rules of the tasks have counted."""
    events: int = 0
    latency_ms: Histogram = field(default_factory=Histogram)
    """Capture to sinks."""
    skew_ms: Histogram = field(default_factory=Histogram)
    """Time between the frames of a pair, without sign."""
    stages_ms: Mapping[str, Histogram] = field(default_factory=dict)
    """What each stage takes, by its name."""
    fps: float = 0.0
    """Fused frames per second."""
    sinks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What became of the frames that were offered to each sink: ``written``, ``failed``, ``dropped``."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Frames that wait: by stream those on their way to the engine, by sink those on their way to it."""
    workers: Mapping[str, WorkerNumbers] = field(default_factory=dict)
    cameras: Mapping[StreamName, CameraHealth] = field(default_factory=dict)
    """The streams that come from live cameras."""
    offset_s: Mapping[str, float] = field(default_factory=dict)
    """What is left of the offset between the streams, in seconds: ``estimate`` once known, ``applied``."""
    registration_score: float | None = None
    """How alike the registered images are, 0 to 1; None where nobody looks."""
    registration_shift_px: Mapping[str, float] = field(default_factory=dict)
    """What the rig is off by, once known (``shift_x``, ``shift_y``); what of it is taken out
    (``corrected_x``, ``corrected_y``)."""
    is_bumped: bool = False
    shared_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    """Shared memory, by ring."""
    device_memory_bytes: Mapping[str, int] = field(default_factory=dict)
    """Memory taken of the devices that say so, by device."""
    disk_free_bytes: int | None = None
    """Left on the disk of the recordings; None without any."""


class MetricsServer(Closing):
    """Serves ``/metrics`` in the text format of Prometheus, ``/healthz`` and ``/readyz``.

    Args:
        host: address to listen on; the pipeline's default is loopback.
        port: TCP port; 0 takes a free one, see ``port``.
        read: gives the numbers; called in the server's threads, once per request, so it must be
            safe to call beside the run and return at once.
        healthy: reasons why the program needs a new start; likewise.
        ready: reasons why it does not do all its work; likewise.
    """

    def __init__(
        self,
        host: str,
        port: int,
        read: Callable[[], MetricsSnapshot],
        *,
        healthy: Probe = tuple,
        ready: Probe = tuple,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = CollectorRegistry()
        self._registry.register(_RunCollector(read))
        self._pages: Mapping[str, Callable[[], Page]] = {
            "/metrics": self._numbers,
            "/healthz": lambda: probe_page(healthy),
            "/readyz": lambda: probe_page(ready),
        }
        self._server: PageServer | None = None

    @property
    def port(self) -> int:
        """The port listened on, or asked for before ``start``."""
        return self._server.port if self._server is not None else self._port

    def start(self) -> None:
        """Listen and serve.

        Raises:
            OutputError: the address cannot be listened on, for example because the port is in use.
        """
        assert self._server is None, "started twice"
        try:
            self._server = PageServer(self._host, self._port, self._pages)
        except OSError as error:
            raise OutputError(
                f"metrics cannot be served on {self._host}:{self._port}: {error.strerror}; "
                "stop what uses the port or choose another in metrics.prometheus"
            ) from error

    def close(self) -> None:
        """Stop serving and free the port; may be called twice."""
        if self._server is not None:
            self._server.close()

    def _numbers(self) -> Page:
        return Page(body=generate_latest(self._registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _RunCollector(Collector):
    """Turns a snapshot into metric families each time it is collected."""

    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        now = self._read()
        yield from _stream_families(now.streams)
        yield from _camera_families(now.cameras)
        yield from _worker_families(now.workers)
        pairs = {(state.value,): now.pairs.get(state, 0) for state in PairState}
        yield _counter("streamfuse_pairs", "Pairs made, by state.", ["state"], pairs.items())
        yield from _object_families(now)
        events = CounterMetricFamily("streamfuse_events", "Events that have begun.", value=now.events)
        results = {(sink, result): n for sink, counts in now.sinks.items() for result, n in counts.items()}
        frames = _counter(
            "streamfuse_sink_frames", "Frames offered to a sink.", ["sink", "result"], results.items()
        )
        yield from (events, frames)
        yield _gauge("streamfuse_offset_seconds", "To be added to infrared times.", "what", now.offset_s)
        yield from _registration_families(now)
        yield _gauge("streamfuse_queue_frames", "Frames that wait.", "queue", now.queues)
        yield _histogram(
            "streamfuse_latency_seconds", "Capture to sinks.", [], [((), now.latency_ms)], _TIMES_S
        )
        yield _histogram(
            "streamfuse_skew_seconds", "Between the frames of a pair.", [], [((), now.skew_ms)], _SKEWS_S
        )
        stages = (((name,), times) for name, times in now.stages_ms.items())
        yield _histogram("streamfuse_stage_seconds", "What a stage takes.", ["stage"], stages, _TIMES_S)
        yield GaugeMetricFamily("streamfuse_fps", "Fused frames per second.", value=now.fps)
        yield from _memory_families(now)


def _stream_families(streams: Mapping[StreamName, Accounting]) -> Iterator[Metric]:
    captured = {(stream.value,): counts.captured for stream, counts in streams.items()}
    emitted = {(stream.value,): counts.emitted for stream, counts in streams.items()}
    # Every cause from the start, as 0: a series that appears with its first drop has no rate.
    dropped = {
        (stream.value, cause.value): counts.dropped.get(cause, 0)
        for stream, counts in streams.items()
        for cause in DropCause
    }
    in_flight = {stream.value: counts.in_flight for stream, counts in streams.items()}
    yield _counter("streamfuse_frames_captured", "Frames captured.", ["stream"], captured.items())
    yield _counter("streamfuse_frames_emitted", "Frames that left in a pair.", ["stream"], emitted.items())
    yield _counter(
        "streamfuse_frames_dropped", "Frames dropped, by cause.", ["stream", "cause"], dropped.items()
    )
    yield _gauge("streamfuse_frames_in_flight", "Neither emitted nor dropped yet.", "stream", in_flight)


def _object_families(now: MetricsSnapshot) -> Iterator[Metric]:
    yield CounterMetricFamily("streamfuse_detections", "Objects found.", value=now.detections)
    yield CounterMetricFamily("streamfuse_left_out", "Objects beyond `most`.", value=now.left_out)
    yield GaugeMetricFamily("streamfuse_tracks", "Objects that are followed now.", value=now.tracks)
    passed = {
        (count.rule, direction): getattr(count, direction)
        for count in now.counts
        for direction in _DIRECTIONS[count.kind]
    }
    yield _counter("streamfuse_rule", "Counted by a rule.", ["rule", "direction"], passed.items())
    inside = {count.rule: count.inside for count in now.counts if count.kind is CountKind.ZONE}
    yield _gauge("streamfuse_rule_inside", "Objects in a zone now.", "rule", inside)


def _registration_families(now: MetricsSnapshot) -> Iterator[Metric]:
    score = GaugeMetricFamily("streamfuse_registration_score", "How alike the registered images are.")
    if now.registration_score is not None:
        score.add_metric([], now.registration_score)
    yield score
    yield _gauge(
        "streamfuse_registration_pixels", "What the rig is off by.", "what", now.registration_shift_px
    )
    yield GaugeMetricFamily(
        "streamfuse_registration_bumped", "1 while a bump goes on.", value=float(now.is_bumped)
    )


def _camera_families(cameras: Mapping[StreamName, CameraHealth]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "streamfuse_camera_state", "1 for the present state.", labels=["stream", "state"]
    )
    for stream, camera in cameras.items():
        for possible in CameraState:
            state.add_metric([stream.value, possible.value], float(camera.state is possible))
    yield state
    reconnects = {(stream.value,): camera.reconnects for stream, camera in cameras.items()}
    yield _counter(
        "streamfuse_camera_reconnects", "How often a camera came back.", ["stream"], reconnects.items()
    )
    clocks = {stream: camera.clock for stream, camera in cameras.items() if camera.clock is not None}
    drift = GaugeMetricFamily(
        "streamfuse_camera_clock_drift_ppm", "Camera's clock against the host's.", labels=["stream", "source"]
    )
    jitter = GaugeMetricFamily(
        "streamfuse_camera_clock_jitter_seconds", "Of arrivals around the fit.", labels=["stream", "source"]
    )
    for stream, clock in clocks.items():
        drift.add_metric([stream.value, clock.source.value], clock.drift_ppm)
        jitter.add_metric([stream.value, clock.source.value], clock.jitter_ms / _MS_PER_S)
    yield from (drift, jitter)


def _worker_families(workers: Mapping[str, WorkerNumbers]) -> Iterator[Metric]:
    restarts = {(name,): worker.restarts for name, worker in workers.items()}
    yield _counter("streamfuse_worker_restarts", "Restarts of each worker.", ["worker"], restarts.items())
    up = {name: float(worker.up) for name, worker in workers.items()}
    yield _gauge("streamfuse_worker_up", "1 while a worker does its work.", "worker", up)
    resident = {name: worker.resident_bytes for name, worker in workers.items()}
    yield _gauge("streamfuse_worker_resident_bytes", "Memory a worker has in use.", "worker", resident)


def _memory_families(now: MetricsSnapshot) -> Iterator[Metric]:
    shared, device = now.shared_memory_bytes, now.device_memory_bytes
    yield _gauge("streamfuse_shared_memory_bytes", "Shared memory of a ring.", "ring", shared)
    yield _gauge("streamfuse_device_memory_bytes", "Taken of a device's memory.", "device", device)
    free = GaugeMetricFamily("streamfuse_disk_free_bytes", "Left on the disk of the recordings.")
    if now.disk_free_bytes is not None:
        free.add_metric([], now.disk_free_bytes)
    yield free


def _counter(
    name: str, text: str, labels: Sequence[str], counts: Iterable[tuple[Sequence[str], int]]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, label: str, numbers: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family


def _histogram(
    name: str,
    text: str,
    labels: Sequence[str],
    histograms: Iterable[tuple[Sequence[str], Histogram]],
    bounds_s: Sequence[float],
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, times_ms in histograms:
        below = times_ms.at_most([bound * _MS_PER_S for bound in bounds_s])
        buckets = [*((str(bound), float(n)) for bound, n in zip(bounds_s, below, strict=True))]
        buckets.append(("+Inf", float(times_ms.count)))
        family.add_metric(values, buckets=buckets, sum_value=times_ms.total / _MS_PER_S)
    return family
