"""The Prometheus endpoint: what a scrape reads, and that it comes and goes cleanly."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamfuse.core.clockfit import ClockReport, TimeSource
from streamfuse.core.health import CameraHealth, CameraState
from streamfuse.core.stats import Accounting, Histogram
from streamfuse.errors import OutputError
from streamfuse.frames import Count, CountKind, DropCause, PairState, StreamName
from streamfuse.io.metrics import MetricsServer, MetricsSnapshot, WorkerNumbers


def histogram(*values: float) -> Histogram:
    """A histogram of a few values."""
    made = Histogram()
    for value in values:
        made.add(value)
    return made


SNAPSHOT = MetricsSnapshot(
    streams={
        StreamName.VISIBLE: Accounting(captured=100, emitted=90, dropped={DropCause.LATE: 7}, in_flight=3),
        StreamName.INFRARED: Accounting(captured=50, emitted=50, dropped={}, in_flight=0),
    },
    pairs={PairState.MATCHED: 80, PairState.HELD: 10},
    detections=12,
    left_out=4,
    tracks=3,
    counts=(
        Count(rule="gate", kind=CountKind.LINE, forward=5, backward=2),
        Count(rule="yard", kind=CountKind.ZONE, inside=1, entered=7, left=6),
    ),
    events=2,
    latency_ms=histogram(20.0, 20.0, 40.0, 9000.0),
    skew_ms=histogram(1.0),
    stages_ms={"fuse": histogram(7.0, 8.0)},
    fps=29.5,
    sinks={"recorder": {"written": 80, "failed": 1, "dropped": 2}},
    queues={"visible": 3, "recorder": 7},
    workers={
        "visible": WorkerNumbers(up=True, restarts=2, resident_bytes=1 << 20),
        "engine": WorkerNumbers(up=False, restarts=0, resident_bytes=0),
    },
    shared_memory_bytes={"fused": 4096},
    device_memory_bytes={"cuda:0": 1 << 30},
    disk_free_bytes=123_000,
    offset_s={"estimate": -0.04, "applied": 0.0},
    registration_score=0.75,
    registration_shift_px={"shift_x": -11.5, "corrected_x": -4.0},
    is_bumped=True,
    cameras={
        StreamName.INFRARED: CameraHealth(
            state=CameraState.FROZEN,
            reconnects=3,
            clock=ClockReport(
                source=TimeSource.RTCP, offset_ms=1.0, drift_ppm=-12.5, jitter_ms=4.0, samples=100
            ),
        )
    },
)


@contextlib.contextmanager
def serving(read: Callable[[], MetricsSnapshot]) -> Iterator[MetricsServer]:
    """A metrics server on a free port, stopped at the end."""
    server = MetricsServer("127.0.0.1", 0, read)
    server.start()
    with contextlib.closing(server):
        yield server


def scrape(server: MetricsServer) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples by name and labels."""
    text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").raise_for_status().text
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    """One sample's value."""
    return samples[name, frozenset(labels.items())]


def test_a_scrape_tells_the_snapshot() -> None:
    """Every number of the snapshot arrives under its name and labels, durations in seconds."""
    with serving(lambda: SNAPSHOT) as server:
        got = scrape(server)
    assert sample(got, "streamfuse_frames_captured_total", stream="visible") == 100
    assert sample(got, "streamfuse_frames_emitted_total", stream="infrared") == 50
    assert sample(got, "streamfuse_frames_dropped_total", stream="visible", cause="late") == 7
    assert sample(got, "streamfuse_frames_in_flight", stream="visible") == 3
    assert sample(got, "streamfuse_pairs_total", state="held") == 10
    assert sample(got, "streamfuse_detections_total") == 12
    assert sample(got, "streamfuse_left_out_total") == 4
    assert sample(got, "streamfuse_tracks") == 3
    assert sample(got, "streamfuse_rule_total", rule="gate", direction="forward") == 5
    assert sample(got, "streamfuse_rule_total", rule="gate", direction="backward") == 2
    assert sample(got, "streamfuse_rule_total", rule="yard", direction="left") == 6
    assert sample(got, "streamfuse_rule_inside", rule="yard") == 1
    assert ("streamfuse_rule_inside", frozenset({("rule", "gate")})) not in got, "nobody is in a line"
    assert sample(got, "streamfuse_events_total") == 2
    assert sample(got, "streamfuse_fps") == 29.5
    assert sample(got, "streamfuse_offset_seconds", what="estimate") == -0.04
    assert sample(got, "streamfuse_registration_score") == 0.75
    assert sample(got, "streamfuse_registration_pixels", what="shift_x") == -11.5
    assert sample(got, "streamfuse_registration_bumped") == 1
    assert sample(got, "streamfuse_worker_restarts_total", worker="visible") == 2
    assert sample(got, "streamfuse_worker_up", worker="visible") == 1
    assert sample(got, "streamfuse_worker_up", worker="engine") == 0
    assert sample(got, "streamfuse_worker_resident_bytes", worker="visible") == 1 << 20
    assert sample(got, "streamfuse_sink_frames_total", sink="recorder", result="failed") == 1
    assert sample(got, "streamfuse_queue_frames", queue="recorder") == 7
    assert sample(got, "streamfuse_shared_memory_bytes", ring="fused") == 4096
    assert sample(got, "streamfuse_device_memory_bytes", device="cuda:0") == 1 << 30
    assert sample(got, "streamfuse_disk_free_bytes") == 123_000


def test_times_are_histograms() -> None:
    """Buckets grow to the count, the sum is exact, and all is in seconds."""
    with serving(lambda: SNAPSHOT) as server:
        got = scrape(server)
    assert sample(got, "streamfuse_latency_seconds_bucket", le="0.01") == 0
    assert sample(got, "streamfuse_latency_seconds_bucket", le="0.03") == 2
    assert sample(got, "streamfuse_latency_seconds_bucket", le="5.0") == 3
    assert sample(got, "streamfuse_latency_seconds_bucket", le="+Inf") == 4
    assert sample(got, "streamfuse_latency_seconds_count") == 4
    assert sample(got, "streamfuse_latency_seconds_sum") == pytest.approx(9.08)
    assert sample(got, "streamfuse_skew_seconds_bucket", le="0.002") == 1
    assert sample(got, "streamfuse_stage_seconds_bucket", stage="fuse", le="0.01") == 2
    assert sample(got, "streamfuse_stage_seconds_sum", stage="fuse") == pytest.approx(0.015)


def test_without_a_recording_no_disk_is_told() -> None:
    """A series that is not there raises no alarm, one of 0 bytes would."""
    with serving(MetricsSnapshot) as server:
        assert ("streamfuse_disk_free_bytes", frozenset()) not in scrape(server)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_gives_its_reasons(path: str) -> None:
    """200 when there is nothing against it, 503 with the sentences otherwise; the other one is not asked."""
    reasons: list[str] = []
    probe = {"healthy" if path == "/healthz" else "ready": lambda: reasons}
    server = MetricsServer("127.0.0.1", 0, MetricsSnapshot, **probe)
    server.start()
    with server:
        address = f"http://127.0.0.1:{server.port}"
        well = httpx.get(address + path)
        reasons.append("infrared: the camera is lost")
        unwell = httpx.get(address + path)
        other = httpx.get(address + ("/readyz" if path == "/healthz" else "/healthz"))
    assert (well.status_code, well.json()) == (200, {"ok": True, "reasons": []})
    assert (unwell.status_code, unwell.json()) == (503, {"ok": False, "reasons": reasons})
    assert other.status_code == 200


def test_only_its_pages_are_served() -> None:
    """Another path and another method are refused; HEAD has no body; nothing is kept by caches."""
    with serving(lambda: SNAPSHOT) as server:
        address = f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{address}/../etc/passwd").status_code == 404
        assert httpx.post(f"{address}/metrics").status_code == 405
        head = httpx.head(f"{address}/metrics")
    assert (head.status_code, head.content, head.headers["cache-control"]) == (200, b"", "no-store")


def test_nonsense_does_not_stop_it() -> None:
    """What is no HTTP is answered or hung up on, and the next scrape is served."""
    with serving(lambda: SNAPSHOT) as server:
        for words in (b"\x00\xff" * 600, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
                client.sendall(words)
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    client.recv(65536)
        assert scrape(server)


def test_it_listens_on_ipv6_too() -> None:
    """An address with colons is one of IPv6."""
    server = MetricsServer("::1", 0, lambda: SNAPSHOT)
    server.start()
    with server:
        assert httpx.get(f"http://[::1]:{server.port}/healthz").status_code == 200


def test_the_accounting_of_a_stream_adds_up() -> None:
    """Scraped alone, captured is emitted plus all drops plus in flight."""
    with serving(lambda: SNAPSHOT) as server:
        got = scrape(server)
    dropped = sum(
        sample(got, "streamfuse_frames_dropped_total", stream="visible", cause=c) for c in DropCause
    )
    emitted = sample(got, "streamfuse_frames_emitted_total", stream="visible")
    in_flight = sample(got, "streamfuse_frames_in_flight", stream="visible")
    assert sample(got, "streamfuse_frames_captured_total", stream="visible") == emitted + dropped + in_flight


def test_what_has_not_happened_is_zero() -> None:
    """Every drop cause and pair state is there from the first scrape on, so that rates have a start."""
    with serving(lambda: SNAPSHOT) as server:
        got = scrape(server)
    for cause in set(DropCause) - {DropCause.LATE}:
        assert sample(got, "streamfuse_frames_dropped_total", stream="visible", cause=cause) == 0
    assert sample(got, "streamfuse_pairs_total", state="infrared_only") == 0


def test_numbers_are_read_when_asked() -> None:
    """The snapshot is taken once per scrape and not before the first."""
    fps = iter([1.0, 2.0])
    taken: list[float] = []

    def read() -> MetricsSnapshot:
        taken.append(next(fps))
        return MetricsSnapshot(fps=taken[-1])

    with serving(read) as server:
        assert taken == []
        assert [sample(scrape(server), "streamfuse_fps") for _ in range(2)] == [1.0, 2.0]


def test_only_our_own_numbers_are_told() -> None:
    """Nothing of prometheus_client's global registry (process, interpreter) leaks in."""
    with serving(lambda: SNAPSHOT) as server:
        assert {name.split("_")[0] for name, _ in scrape(server)} == {"streamfuse"}


@pytest.mark.fault
def test_a_port_in_use_is_one_sentence(record_property: Callable[[str, object], None]) -> None:
    """A port that somebody else has is an OutputError naming the address, and nothing is left running."""
    record_property("room", "operations")
    record_property("fault", "two runs with the numbers on one port: the second says so and does not begin")
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = MetricsServer("127.0.0.1", taken.getsockname()[1], lambda: SNAPSHOT)
        with pytest.raises(OutputError, match=rf"127.0.0.1:{server.port}: Address already in use"):
            server.start()
        server.close()
    assert threading.active_count() == before


def test_close_frees_the_port_and_the_thread() -> None:
    """After close the same port can be served again at once; closing twice does nothing."""
    before = threading.active_count()
    with serving(lambda: SNAPSHOT) as first:
        port = first.port
        scrape(first)
    first.close()
    second = MetricsServer("127.0.0.1", port, lambda: SNAPSHOT)
    second.start()
    scrape(second)
    second.close()
    assert threading.active_count() == before


def test_a_scrape_tells_how_the_cameras_are() -> None:
    """The state as one of several series, so that an alarm can name it; the clock by its source."""
    with serving(lambda: SNAPSHOT) as server:
        got = scrape(server)
    states = {
        state: sample(got, "streamfuse_camera_state", stream="infrared", state=state) for state in CameraState
    }
    assert states == {"starting": 0, "live": 0, "frozen": 1, "lost": 0}
    assert sample(got, "streamfuse_camera_reconnects_total", stream="infrared") == 3
    clock = {"stream": "infrared", "source": "rtcp"}
    assert sample(got, "streamfuse_camera_clock_drift_ppm", **clock) == -12.5
    assert sample(got, "streamfuse_camera_clock_jitter_seconds", **clock) == 0.004
