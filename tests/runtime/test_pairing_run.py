"""Whole runs with a slow thermal camera whose shutter closes: pairs go on, and say what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from endurance import LONG

SLOW = "synthetic://street?seed=7&size=160x120&fps=30&infrared_fps=9"
SHORT = pytest.param(4, 9, id="short")
"""The shutter closes twice, from 2 to 4 and from 6 to 8 s."""
EVERY_15_S = pytest.param(15, 48, id="every 15 s", marks=LONG)

Record = Callable[[str, object], None]


def balance(account: dict[str, Any]) -> int:
    """What an account of a stream lacks."""
    known: int = account["emitted"] + sum(account["dropped"].values()) + account["in_flight"]
    return int(account["captured"]) - known


def pairs_of(world) -> list[dict[str, Any]]:
    """What the recording says of each fused pair."""
    lines = [
        line for path in world.recorded() for line in path.with_suffix(".jsonl").read_text().splitlines()
    ]
    return [pair for pair in map(json.loads, lines) if "pair_id" in pair]


@pytest.mark.fault
@pytest.mark.parametrize(("every_s", "duration_s"), [SHORT, EVERY_15_S])
def test_ffc_of_two_seconds_is_a_state_of_the_pairs_and_never_a_stall(
    world, record_property: Record, every_s: int, duration_s: int
) -> None:
    """Infrared at 9 fps, shut for 2 s: matched, held for max_hold_ms, alone, and matched again."""
    uri = f"{SLOW}&ffc_every={every_s}&ffc=2"
    world.write_pipeline("realtime", uri, uri)
    code, words = world.run("--duration", str(duration_s))
    assert code == 0, words
    summary, pairs = world.summary, pairs_of(world)
    assert all(balance(account) == 0 for account in summary["streams"].values()), words
    assert all(summary["states"][state] > 10 for state in ("matched", "held", "visible_only")), words
    assert summary["streams"]["infrared"]["dropped"]["frozen"] > 10, words
    matched_s = [pair["capture_ns"] / 1e9 for pair in pairs if pair["state"] == "matched"]
    shown_s = [pair["capture_ns"] / 1e9 for pair in pairs]
    outage_s = max(later - earlier for earlier, later in pairwise(matched_s))
    stall_s = max(later - earlier for earlier, later in pairwise(shown_s))
    record_property("fault", f"infrared at 9 fps, FFC of 2 s every {every_s} s")
    record_property("recovery_s", max(0.0, outage_s - 2.0))
    record_property("promise", "matched again 0.5 s after the shutter opens, visible frames never stop")
    assert 1.8 < outage_s < 2.5
    assert stall_s < 1.0, "the visible frames waited for the shutter"
    assert all(pair["infrared_age_ms"] <= 250 for pair in pairs if pair["state"] == "held")


@pytest.mark.parametrize(
    ("mode", "states"),
    [
        ("exact", {"held", "matched"}),
        ("slowest", {"matched"}),
    ],
)
def test_the_mode_of_the_pipeline_file_is_that_of_the_run(world, mode: str, states: set[str]) -> None:
    """Files of 30 and 9 fps in `every_frame`: nothing is lost, and each mode leaves its own states."""
    uri = f"{SLOW}&skew_ms=0&duration=3"
    world.write_pipeline("every_frame", uri, uri, more=f"sync: {{mode: {mode}}}\n")
    code, words = world.run()
    assert code == 0, words
    summary = world.summary
    assert {state for state, count in summary["states"].items() if count} == states, words
    for account in summary["streams"].values():
        assert balance(account) == 0
        assert set(account["dropped"]) <= {"unpaired"}
    base = "infrared" if mode == "slowest" else "visible"
    assert summary["pairs"] == summary["streams"][base]["captured"] == {"visible": 90, "infrared": 27}[base]
    assert summary["streams"][base]["dropped"] == {}
