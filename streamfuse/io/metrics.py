"""The run's numbers for Prometheus. The only file that knows prometheus_client.

The numbers are counted elsewhere (each worker's board); they are read when Prometheus asks, so an
unasked server costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamfuse.core.health import CameraHealth, CameraState
from streamfuse.core.stats import Accounting
from streamfuse.errors import OutputError
from streamfuse.frames import DropCause, PairState, StreamName

__all__ = ["MetricsServer", "MetricsSnapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """The numbers of a run at one moment.

    Raises:
        ValueError: a quantile is not within 0..1.
    """

    streams: Mapping[StreamName, Accounting]
    pairs: Mapping[PairState, int]
    """Pairs made since the start, by state; a missing state counts as 0."""
    latency_s: Mapping[float, float]
    """Capture to sinks in seconds, by quantile 0..1; empty before the first frame."""
    skew_s: Mapping[float, float]
    """Time between the frames of a pair in seconds, by quantile 0..1; empty before the first pair."""
    fps: float
    """Fused frames per second, of late."""
    worker_restarts: Mapping[str, int]
    """Restarts since the start, by worker."""
    cameras: Mapping[StreamName, CameraHealth] = field(default_factory=dict)
    """The streams that come from live cameras."""
    offset_s: Mapping[str, float] = field(default_factory=dict)
    """What is left of the offset between the streams, in seconds: ``estimate`` once known, ``applied``."""

    def __post_init__(self) -> None:
        wrong = [quantile for quantile in (*self.latency_s, *self.skew_s) if not 0.0 <= quantile <= 1.0]
        if wrong:
            raise ValueError(f"quantiles must be within 0..1, got {wrong}")


class MetricsServer:
    """Serves ``/metrics`` in the text format of Prometheus, in a thread of its own.

    Args:
        host: address to listen on; the pipeline's default is loopback.
        port: TCP port; 0 takes a free one, see ``port``.
        read: gives the numbers; called in the server's threads, once per request, so it must be
            safe to call beside the run and return at once.
    """

    def __init__(self, host: str, port: int, read: Callable[[], MetricsSnapshot]) -> None:
        self._host = host
        self._port = port
        self._registry = CollectorRegistry()
        self._registry.register(_RunCollector(read))
        self._running: tuple[WSGIServer, Thread] | None = None

    @property
    def port(self) -> int:
        """The port listened on, or asked for before ``start``."""
        return self._running[0].server_port if self._running else self._port

    def start(self) -> None:
        """Listen and serve.

        Raises:
            OutputError: the address cannot be listened on, for example because the port is in use.
        """
        assert self._running is None, "started twice"
        try:
            self._running = start_http_server(self._port, self._host, self._registry)
        except OSError as error:
            raise OutputError(
                f"metrics cannot be served on {self._host}:{self._port}: {error.strerror}; "
                "stop what uses the port or choose another in metrics.prometheus"
            ) from error

    def close(self) -> None:
        """Stop serving and free the port; may be called twice."""
        if self._running is None:
            return
        server, thread = self._running
        self._running = None
        server.shutdown()
        server.server_close()
        thread.join()


class _RunCollector(Collector):
    """Turns a snapshot into metric families each time it is collected."""

    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        snapshot = self._read()
        yield from _stream_families(snapshot.streams)
        yield from _camera_families(snapshot.cameras)
        pairs = {state.value: snapshot.pairs.get(state, 0) for state in PairState}
        yield _counter("streamfuse_pairs", "Pairs made, by state.", "state", pairs)
        restarts = snapshot.worker_restarts
        yield _counter("streamfuse_worker_restarts", "Restarts of each worker.", "worker", restarts)
        offset = GaugeMetricFamily(
            "streamfuse_offset_seconds", "To be added to infrared times, seen from motion.", labels=["what"]
        )
        for what, value_s in snapshot.offset_s.items():
            offset.add_metric([what], value_s)
        yield offset
        yield _quantiles("streamfuse_latency_seconds", "Capture to sinks.", snapshot.latency_s)
        yield _quantiles("streamfuse_skew_seconds", "Between the frames of a pair.", snapshot.skew_s)
        yield GaugeMetricFamily("streamfuse_fps", "Fused frames per second, of late.", value=snapshot.fps)


def _stream_families(streams: Mapping[StreamName, Accounting]) -> Iterator[Metric]:
    captured = CounterMetricFamily("streamfuse_frames_captured", "Frames captured.", labels=["stream"])
    emitted = CounterMetricFamily(
        "streamfuse_frames_emitted", "Frames that left in a pair.", labels=["stream"]
    )
    dropped = CounterMetricFamily(
        "streamfuse_frames_dropped", "Frames dropped, by cause.", labels=["stream", "cause"]
    )
    in_flight = GaugeMetricFamily(
        "streamfuse_frames_in_flight", "Frames captured, neither emitted nor dropped yet.", labels=["stream"]
    )
    for stream, counts in streams.items():
        captured.add_metric([stream.value], counts.captured)
        emitted.add_metric([stream.value], counts.emitted)
        in_flight.add_metric([stream.value], counts.in_flight)
        # Every cause from the start, as 0: a series that appears with its first drop has no rate.
        for cause in DropCause:
            dropped.add_metric([stream.value, cause.value], counts.dropped.get(cause, 0))
    yield from (captured, emitted, dropped, in_flight)


def _camera_families(cameras: Mapping[StreamName, CameraHealth]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "streamfuse_camera_state", "1 for the present state.", labels=["stream", "state"]
    )
    for stream, camera in cameras.items():
        for possible in CameraState:
            state.add_metric([stream.value, possible.value], float(camera.state is possible))
    yield state
    reconnects = {stream.value: camera.reconnects for stream, camera in cameras.items()}
    yield _counter("streamfuse_camera_reconnects", "How often a camera came back.", "stream", reconnects)
    clocks = {stream: camera.clock for stream, camera in cameras.items() if camera.clock is not None}
    drift = GaugeMetricFamily(
        "streamfuse_camera_clock_drift_ppm", "Camera's clock against the host's.", labels=["stream", "source"]
    )
    jitter = GaugeMetricFamily(
        "streamfuse_camera_clock_jitter_seconds", "Of arrivals around the fit.", labels=["stream", "source"]
    )
    for stream, clock in clocks.items():
        drift.add_metric([stream.value, clock.source.value], clock.drift_ppm)
        jitter.add_metric([stream.value, clock.source.value], clock.jitter_ms / 1000)
    yield from (drift, jitter)


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _quantiles(name: str, text: str, values_s: Mapping[float, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["quantile"])
    for quantile, value_s in values_s.items():
        family.add_metric([str(quantile)], value_s)
    return family
