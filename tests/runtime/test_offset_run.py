"""Whole runs with streams that are out of step: the offset is seen in the images, reported, and taken out."""

from __future__ import annotations

import json
from contextlib import ExitStack
from statistics import median
from typing import Any

import pytest

STREET = "synthetic://street?seed=9&size=128x96&fps=20&cars=10&people=20&skew_ms=0"
WRONG_MS = 120.0
"""More than two frames: nearest frames then are at most half a frame apart, and yet the wrong ones."""


Outcome = tuple[list[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(new_world: Any) -> dict[str, Outcome]:
    """Events and summaries of two runs side by side, one for each answer to an offset."""
    with ExitStack() as stack:
        worlds = {answer: stack.enter_context(new_world()) for answer in ("apply", "report")}
        started = {answer: start(world, estimate_offset=answer) for answer, world in worlds.items()}
        return {answer: outcome(worlds[answer], process) for answer, process in started.items()}


def start(world: Any, *, estimate_offset: str) -> Any:
    """Run the street with infrared stamps made ``WRONG_MS`` too late."""
    world.write_pipeline(
        "realtime",
        STREET,
        STREET,
        f"publish: [{{kind: jsonl, path: events.jsonl}}]\n"
        f"sync: {{offset_ms: {WRONG_MS}, estimate_offset: {estimate_offset}}}\n",
    )
    return world.start("--duration", "32")


def outcome(world: Any, process: Any) -> Outcome:
    """What came of a run, once it has ended."""
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    lines = (world.folder / "events.jsonl").read_text().splitlines()
    summary = world.summary
    for account in summary["streams"].values():
        dropped = sum(account["dropped"].values())
        assert account["captured"] == account["emitted"] + dropped + account["in_flight"]
    return [json.loads(line) for line in lines], summary


def apart(events: list[dict[str, Any]]) -> tuple[float, float]:
    """By how many frames and milliseconds the halves of the pairs are apart, by number and by stamp."""
    both = [event for event in events if event["state"] == "matched"]
    frames = median(event["infrared_seq"] - event["visible_seq"] for event in both)
    return frames, median(abs(event["skew_ms"]) for event in both)


@pytest.mark.slow
def test_an_offset_is_seen_and_taken_out_on_request(outcomes: dict[str, Outcome]) -> None:
    """Stamps 120 ms too late: over two frames apart at first; in the end together, with less skew."""
    events, summary = outcomes["apply"]
    (early, early_skew_ms), (late, late_skew_ms) = apart(events[:100]), apart(events[-100:])
    assert early in {-2, -3}
    assert late == 0
    assert summary["offset"]["applied_ms"] == pytest.approx(-WRONG_MS, abs=25)
    assert late_skew_ms < early_skew_ms


@pytest.mark.slow
def test_an_offset_is_only_reported_unless_asked_otherwise(outcomes: dict[str, Outcome]) -> None:
    """The estimate is in the summary, the pairs stay as the file says."""
    events, summary = outcomes["report"]
    assert apart(events[-100:])[0] in {-2, -3}
    assert summary["offset"]["applied_ms"] == 0
    assert summary["offset"]["estimate_ms"] == pytest.approx(-WRONG_MS, abs=25)
    assert summary["offset"]["confidence"] >= 0.2
