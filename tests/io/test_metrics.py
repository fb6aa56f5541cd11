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
from streamfuse.core.stats import Accounting
from streamfuse.errors import OutputError
from streamfuse.frames import DropCause, PairState, StreamName
from streamfuse.io.metrics import MetricsServer, MetricsSnapshot

SNAPSHOT = MetricsSnapshot(
    streams={
        StreamName.VISIBLE: Accounting(captured=100, emitted=90, dropped={DropCause.LATE: 7}, in_flight=3),
        StreamName.INFRARED: Accounting(captured=50, emitted=50, dropped={}, in_flight=0),
    },
    pairs={PairState.MATCHED: 80, PairState.HELD: 10},
    latency_s={0.5: 0.02, 0.95: 0.04},
    skew_s={0.5: 0.001},
    fps=29.5,
    worker_restarts={"capture visible": 2},
    offset_s={"estimate": -0.04, "applied": 0.0},
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
    assert sample(got, "streamfuse_latency_seconds", quantile="0.95") == 0.04
    assert sample(got, "streamfuse_skew_seconds", quantile="0.5") == 0.001
    assert sample(got, "streamfuse_fps") == 29.5
    assert sample(got, "streamfuse_offset_seconds", what="estimate") == -0.04
    assert sample(got, "streamfuse_worker_restarts_total", worker="capture visible") == 2


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
        return MetricsSnapshot(
            streams={}, pairs={}, latency_s={}, skew_s={}, fps=taken[-1], worker_restarts={}
        )

    with serving(read) as server:
        assert taken == []
        assert [sample(scrape(server), "streamfuse_fps") for _ in range(2)] == [1.0, 2.0]


def test_only_our_own_numbers_are_told() -> None:
    """Nothing of prometheus_client's global registry (process, interpreter) leaks in."""
    with serving(lambda: SNAPSHOT) as server:
        assert {name.split("_")[0] for name, _ in scrape(server)} == {"streamfuse"}


def test_a_port_in_use_is_one_sentence() -> None:
    """A port that somebody else has is an OutputError naming the address, and nothing is left running."""
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


def test_a_quantile_is_a_fraction() -> None:
    """95 for 0.95 is refused."""
    with pytest.raises(ValueError, match=r"within 0..1, got \[95\]"):
        MetricsSnapshot(streams={}, pairs={}, latency_s={95: 0.1}, skew_s={}, fps=0.0, worker_restarts={})


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
