"""Counts that lie in the run's folder, for the successor of a killed engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamfuse.config.tasks import Rule
from streamfuse.frames import Count, CountKind
from streamfuse.runtime.stages.tally import Tally

LINE = Rule(name="gate", line=((0.1, 1 / 3), (1.0, 0.5)), classes=("person",))
ZONE = Rule(name="yard", zone=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
CROSSED = Count(rule="gate", kind=CountKind.LINE, points=LINE.line, forward=3, backward=1)  # type: ignore[arg-type]
THERE = Count(rule="yard", kind=CountKind.ZONE, points=ZONE.zone, inside=1, entered=5, left=4)  # type: ignore[arg-type]


def no_warning(text: str) -> None:
    """Fails the test."""
    pytest.fail(text)


def test_a_successor_reads_what_was_counted(tmp_path: Path) -> None:
    """By rules that are equal to those of the pipeline file; the first engine of a run finds nothing."""
    tally = Tally(tmp_path, warn=no_warning)
    assert tally.read() == {}
    tally.write([LINE, ZONE], [CROSSED, THERE])
    assert Tally(tmp_path, warn=no_warning).read() == {LINE: CROSSED, ZONE: THERE}
    tally.write([ZONE], [THERE])
    assert Tally(tmp_path, warn=no_warning).read() == {ZONE: THERE}, "a rule that went is forgotten"


def test_it_is_written_only_when_a_number_changes(tmp_path: Path) -> None:
    """Not for each picture in which somebody waits."""
    tally = Tally(tmp_path, warn=no_warning)
    tally.write([ZONE], [THERE])
    (path,) = tmp_path.iterdir()
    path.unlink()
    tally.write([ZONE], [replace(THERE, longest_s=7.5)])
    assert not path.exists()
    tally.write([ZONE], [replace(THERE, entered=6, inside=2)])
    assert path.exists()


def test_counting_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    """One warning, whatever happens how often."""
    heard: list[str] = []
    tally = Tally(tmp_path / "gone", warn=heard.append)
    for crossed in (1, 2, 3):
        tally.write([LINE], [replace(CROSSED, forward=crossed)])
    (warning,) = heard
    assert warning.startswith("the counts would not outlive a restart of the engine: ")
