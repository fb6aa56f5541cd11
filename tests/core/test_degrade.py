"""Degrading: what a recorder goes without on a full disk, and when it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_S
from streamfuse.core.degrade import HOLD_S, RETRY_S, Degrade

ORDER = ("raw_infrared", "infrared", "visible", "fused", "index")
RATES = {"raw_infrared": 1_000.0, "infrared": 100.0, "visible": 100.0, "fused": 100.0, "index": 10.0}
PLENTY = 10**9


def look(degrade: Degrade, spare: int | None, at_s: float = 0.0) -> tuple[str, ...]:
    """What is stopped after a look at the disk."""
    degrade.look(spare_nbytes=spare, nbytes_per_s=RATES, now_ns=round(at_s * NS_PER_S))
    return degrade.stopped


def test_tracks_stop_in_the_stated_order_as_the_disk_fills() -> None:
    """Each stops while the more important ones still have room."""
    degrade = Degrade(ORDER)
    need = [round(HOLD_S * rate) for rate in (1_310, 310, 210, 110, 10)]
    assert look(degrade, need[0]) == ()
    for stopped, room in enumerate(need, start=1):
        assert look(degrade, room - 1) == ORDER[:stopped]


def test_a_track_comes_back_when_there_is_clearly_room() -> None:
    """Where it stopped is not where it returns, so nothing flickers on the edge."""
    degrade = Degrade(ORDER)
    edge = round(HOLD_S * 1_310)
    assert look(degrade, edge - 1) == ("raw_infrared",)
    assert look(degrade, edge + 1) == ("raw_infrared",)
    assert look(degrade, 2 * edge) == ()


def test_the_needed_room_brings_everything_back() -> None:
    """From whatever was stopped, and a byte less does not."""
    degrade = Degrade(ORDER)
    need = degrade.needed_nbytes(RATES)
    assert look(degrade, 0) == ORDER
    assert look(degrade, need - 1) == ("raw_infrared",)
    assert look(degrade, need) == ()


def test_a_failed_write_stops_the_track_and_all_that_are_less_important() -> None:
    """They are tried again after a while, whatever the room looks like until then."""
    degrade = Degrade(ORDER)
    degrade.failed("visible", now_ns=0)
    assert degrade.stopped == ORDER[:3]
    assert degrade.running == {"fused", "index"}
    assert look(degrade, PLENTY, RETRY_S - 0.1) == ORDER[:3]
    assert look(degrade, PLENTY, RETRY_S) == ()


def test_a_disk_that_is_gone_stops_everything_until_it_is_back() -> None:
    """None as the room means that nobody could tell."""
    degrade = Degrade(ORDER)
    assert look(degrade, None, 10.0) == ORDER
    assert look(degrade, None, 10.0 + RETRY_S) == ORDER
    assert look(degrade, PLENTY, 10.5 + RETRY_S) == ORDER
    assert look(degrade, PLENTY, 10.0 + 2 * RETRY_S) == ()


def test_nothing_runs_into_a_disk_without_room_even_where_no_rate_is_known() -> None:
    """At the start nobody knows how fast the tracks grow."""
    degrade = Degrade(("fused", "index"))
    degrade.look(spare_nbytes=0, nbytes_per_s={}, now_ns=0)
    assert degrade.running == frozenset()
    degrade.look(spare_nbytes=1, nbytes_per_s={}, now_ns=0)
    assert degrade.running == {"fused", "index"}


@pytest.mark.parametrize("order", [(), ("fused", "fused")])
def test_an_order_needs_each_track_once(order: tuple[str, ...]) -> None:
    """Anything else is a bug of the caller."""
    with pytest.raises(ValueError, match="each track once"):
        Degrade(order)


STEPS = st.lists(
    st.tuples(st.sampled_from((*ORDER, None)), st.none() | st.integers(-10, 60_000), st.integers(0, 3)),
    max_size=30,
)


@given(STEPS)
def test_what_runs_is_always_the_more_important_part(steps: list[tuple[str | None, int | None, int]]) -> None:
    """Whatever happens, no track runs while a more important one is stopped."""
    degrade = Degrade(ORDER)
    now_s = 0
    for failed, spare, later_s in steps:
        now_s += later_s
        look(degrade, spare, now_s)
        if failed is not None and failed in degrade.running:
            degrade.failed(failed, now_ns=now_s * NS_PER_S)
            assert failed in degrade.stopped
        assert degrade.stopped == ORDER[: len(degrade.stopped)]
        assert degrade.running == frozenset(ORDER[len(degrade.stopped) :])
