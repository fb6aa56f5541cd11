"""Percentiles, rates and the account of every frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.stats import RELATIVE_ERROR, Accounting, Histogram, RateMeter
from streamfuse.frames import DropCause

MS = 1_000_000

latencies = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200)


def histogram(values: list[float]) -> Histogram:
    """A histogram of these values."""
    result = Histogram()
    for value in values:
        result.add(value)
    return result


# --- Histogram ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(latencies, st.floats(0, 1))
def test_every_quantile_is_right_within_one_percent(values: list[float], q: float) -> None:
    """The quantile differs from the exact one by no more than the promised fraction."""
    exact = np.quantile(values, q, method="inverted_cdf")
    assert histogram(values).quantile(q) == pytest.approx(exact, rel=RELATIVE_ERROR * 1.0001)


@settings(deadline=None)
@given(latencies)
def test_count_mean_and_max_are_exact(values: list[float]) -> None:
    """What needs no bucket is not rounded to one."""
    summary = histogram(values)
    assert summary.count == len(values)
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.max == max(values)


@settings(deadline=None)
@given(latencies, st.lists(st.floats(0.001, 1e6), min_size=1, max_size=5))
def test_counts_below_bounds_are_right_within_one_percent(values: list[float], bounds: list[float]) -> None:
    """No value is on the wrong side of a bound unless it is within the promised fraction of it."""
    bounds = sorted(bounds)
    counts = histogram(values).at_most(bounds)
    slack = 1 + 2.01 * RELATIVE_ERROR
    for bound, count in zip(bounds, counts, strict=True):
        assert sum(value <= bound / slack for value in values) <= count
        assert count <= sum(value <= bound * slack for value in values)
    assert counts == sorted(counts)


def test_percentiles_have_names() -> None:
    """Of the latencies 1..1000 ms, p50, p95 and p99 are close to 500, 950 and 990."""
    summary = histogram([float(ms) for ms in range(1, 1001)])
    assert [summary.p50, summary.p95, summary.p99] == pytest.approx([500, 950, 990], rel=RELATIVE_ERROR)


def test_a_single_value_is_exact() -> None:
    """With one value there is nothing to estimate."""
    summary = histogram([12.3])
    assert summary.p50 == summary.p99 == summary.max == summary.mean == 12.3


def test_an_empty_histogram_has_no_percentiles() -> None:
    """No frame, no latency: None, which is null in JSON, and never a made-up zero."""
    empty = Histogram()
    assert empty.count == 0
    assert [empty.p50, empty.mean, empty.max] == [None, None, None]
    assert Histogram.from_dict(empty.as_dict()).max is None


def test_values_below_a_microsecond_share_a_bucket() -> None:
    """Zero is a valid skew; below 0.001 ms percentiles no longer tell values apart."""
    assert histogram([0.0, 0.0]).p50 == 0.0
    assert histogram([0.0, 0.0005, 5.0]).quantile(0.4) == pytest.approx(0.001, rel=RELATIVE_ERROR)


@settings(deadline=None)
@given(latencies, latencies)
def test_merging_is_the_same_as_counting_everything_in_one(first: list[float], second: list[float]) -> None:
    """Two workers' histograms add up to the one that a single worker would have."""
    merged = histogram(first)
    merged.merge(histogram(second))
    together = histogram(first + second)
    assert merged.as_dict()["buckets"] == together.as_dict()["buckets"]
    assert (merged.count, merged.max, merged.p95) == (together.count, together.max, together.p95)
    assert merged.mean == pytest.approx(together.mean)


@settings(deadline=None)
@given(latencies)
def test_json_and_back_changes_nothing(values: list[float]) -> None:
    """A histogram survives the way through a JSON file."""
    summary = histogram(values)
    back = Histogram.from_dict(json.loads(json.dumps(summary.as_dict())))
    assert back.as_dict() == summary.as_dict()
    assert (back.count, back.mean, back.max, back.p50) == (
        summary.count,
        summary.mean,
        summary.max,
        summary.p50,
    )


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_what_cannot_be_a_latency_is_refused(value: float) -> None:
    """Negative or not finite values are a bug of the caller."""
    with pytest.raises(ValueError, match=f"at least 0, got {value}"):
        Histogram().add(value)


def test_a_quantile_outside_0_to_1_is_refused() -> None:
    """95 is a percentile, not a quantile."""
    with pytest.raises(ValueError, match=r"within 0\.\.1, got 95"):
        Histogram().quantile(95)


# --- RateMeter ----------------------------------------------------------------------------------


def test_two_ticks_100_ms_apart_are_10_fps() -> None:
    """Of n events there are n - 1 intervals."""
    meter = RateMeter()
    meter.tick(0)
    meter.tick(100 * MS)
    assert meter.fps == 10.0
    assert meter.recent_fps(100 * MS) == 10.0
    assert meter.count == 2


@pytest.mark.parametrize("ticks", [0, 1])
def test_fewer_than_two_ticks_have_no_rate(ticks: int) -> None:
    """A rate needs an interval."""
    meter = RateMeter()
    for _ in range(ticks):
        meter.tick(5)
    assert (meter.fps, meter.recent_fps(5)) == (0.0, 0.0)


def test_ticks_of_one_moment_have_no_rate() -> None:
    """No time has passed: 0, not infinity."""
    meter = RateMeter()
    meter.tick(5)
    meter.tick(5)
    assert meter.fps == 0.0


def test_the_recent_rate_follows_the_stream_and_the_whole_rate_remembers() -> None:
    """After 3 s at 10 fps and 2 s at 20 fps, the last two seconds ran at 20."""
    meter = RateMeter(window_s=2.0)
    times_ms = [*range(0, 3000, 100), *range(3000, 5001, 50)]
    for time_ms in times_ms:
        meter.tick(time_ms * MS)
    assert meter.recent_fps(5000 * MS) == 20.0
    assert meter.fps == (len(times_ms) - 1) / 5


def test_the_recent_rate_of_a_stopped_stream_is_zero() -> None:
    """A camera that stopped does not look alive."""
    meter = RateMeter(window_s=2.0)
    for time_ms in range(0, 1000, 100):
        meter.tick(time_ms * MS)
    assert meter.recent_fps(1000 * MS) == 10.0
    assert meter.recent_fps(4000 * MS) == 0.0


# --- Accounting ---------------------------------------------------------------------------------


def test_an_account_that_adds_up_has_balance_zero() -> None:
    """All that was captured was emitted, dropped or is in flight."""
    account = Accounting(
        captured=10, emitted=6, dropped={DropCause.LATE: 1, DropCause.FROZEN: 2}, in_flight=1
    )
    assert account.balance == 0


def test_the_balance_counts_the_frames_nobody_accounts_for() -> None:
    """Lost frames are positive, frames counted twice negative."""
    assert Accounting(captured=10, emitted=8, dropped={}, in_flight=0).balance == 2
    assert Accounting(captured=10, emitted=11, dropped={}, in_flight=0).balance == -1


def test_the_summary_leaves_out_causes_that_never_happened() -> None:
    """The entry of the run summary, ready for JSON."""
    account = Accounting(
        captured=3, emitted=1, dropped={DropCause.LATE: 0, DropCause.STOPPED: 2}, in_flight=0
    )
    summary = {"captured": 3, "emitted": 1, "dropped": {"stopped": 2}, "in_flight": 0}
    assert json.loads(json.dumps(account.as_dict())) == summary


def test_a_negative_count_is_refused_by_name() -> None:
    """Also among the causes."""
    with pytest.raises(ValueError, match="late counts frames and cannot be negative, got -1"):
        Accounting(captured=0, emitted=0, dropped={DropCause.LATE: -1}, in_flight=0)
