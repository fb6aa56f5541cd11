"""The table at the end of a run: what a person reads of the summary."""

from __future__ import annotations

from rich.console import Console

from streamfuse.cli.summary_table import summary_table
from streamfuse.core.stats import Histogram
from streamfuse.frames import Count, CountKind
from streamfuse.runtime.summary import Summary

GATE = Count(rule="gate", kind=CountKind.LINE, points=((0.5, 0.0), (0.5, 1.0)), forward=3, backward=1)
YARD = Count(
    rule="yard", kind=CountKind.ZONE, points=((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), inside=1, entered=5, left=4
)
NUMBERS = {"fused": 7, "detections": 0, "states": {}, "streams": {}, "stages": {}, "sinks": {}, "fps": 2.0}


def shown(**numbers: object) -> str:
    """The table of a run with these numbers, in a wide terminal."""
    empty = Histogram()
    plain = Summary(
        **{**NUMBERS, **numbers},  # type: ignore[arg-type]
        latency=empty,
        skew=empty,
    ).as_dict()
    console = Console(width=200)
    with console.capture() as captured:
        console.print(summary_table(plain))
    return captured.get()


def test_what_rules_have_counted_stands_in_the_table() -> None:
    """Crossings both ways; who is inside, entered and left; by the names of the rules."""
    text = shown(detections=12, counts=(GATE, YARD))
    assert "found" in text
    assert "12 objects and 0 events" in text
    assert "3 forward, 1 backward" in text.split("gate")[1].splitlines()[0]
    assert "1 inside, 5 entered, 4 left" in text.split("yard")[1].splitlines()[0]


def test_how_the_pictures_fit_is_told() -> None:
    """In pixels and a word; or that nobody could see it."""
    told = {"shift_px": [12.0, -0.5], "corrected_px": [8.0, 0.0], "bumped": True, "looks": 9, "evidence": 7}
    assert "the rig is +12.0, -0.5 px off: bumped; +8.0, +0.0 px were corrected" in shown(registration=told)
    unknown = {**told, "shift_px": None, "evidence": 2}
    assert "unknown: 2 of 9 looks showed it, and 5 that agree are needed" in shown(registration=unknown)
    assert "registration" not in shown()


def test_a_rate_takes_two_pairs() -> None:
    """A single one has none, which is not the same as 0."""
    assert "7 at 2.0 fps" in shown()
    assert "1 at - fps" in shown(fused=1, fps=0.0)


def test_objects_that_were_left_out_are_not_kept_secret() -> None:
    """Only where there were any."""
    assert "62 objects beyond the `most` of a task" in shown(left_out=62)
    assert "left out" not in shown()
