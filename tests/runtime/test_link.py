"""The line between a worker and its supervisor, over real pipes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from streamfuse.runtime.link import Link, Stop


@dataclass
class Line:
    """Both ends of a link."""

    link: Link
    commands: TextIO
    events: TextIO

    def command(self, command: str, **fields: object) -> None:
        """Speak as the supervisor."""
        self.commands.write(json.dumps({"command": command, **fields}) + "\n")
        self.commands.flush()


@pytest.fixture
def line() -> Iterator[Line]:
    """A link whose far end is in the test's hands."""
    command_read, command_write = (os.fdopen(fd, mode) for fd, mode in zip(os.pipe(), "rw", strict=True))
    up_read, up_write = os.pipe()
    event_read, event_write = os.fdopen(up_read), os.fdopen(up_write, "wb", buffering=0)
    link = Link(command_read, event_write)
    link.start(lambda: None)
    yield Line(link, command_write, event_read)
    command_write.close()
    link.wait_until_orphaned()
    link.end()
    link.join()
    for end in (command_read, event_read, event_write):
        end.close()


def test_go_carries_the_epoch(line: Line) -> None:
    """A worker that waits is released with the run's beginning."""
    line.command("go", epoch_ns=123)
    assert line.link.wait_for_go() == 123


def test_a_stop_ends_the_wait_for_go(line: Line) -> None:
    """A run that is stopped before it began leaves no worker waiting."""
    line.command("stop", drain=True)
    assert line.link.wait_for_go() is None
    assert line.link.stop == Stop(drain=True)


def test_the_end_of_the_line_is_a_hurried_stop(line: Line) -> None:
    """A worker whose supervisor vanished knows it and gives up."""
    assert not line.link.orphaned
    line.commands.close()
    line.link.wait_until_orphaned()
    assert line.link.stop == Stop(drain=False)


def test_forgotten_consumers_are_remembered(line: Line) -> None:
    """Commands are taken in order, so a later stop means the earlier forget was heard."""
    line.command("forget", consumer="viewer")
    line.command("stop", drain=True)
    assert line.link.wait_for_go() is None
    assert line.link.forgotten == {"viewer"}


def test_events_go_up_as_json_lines(line: Line) -> None:
    """Each event is one line with its fields."""
    line.link.send("stats", fps=12.5)
    assert json.loads(line.events.readline()) == {"event": "stats", "fps": 12.5}


def test_an_event_nobody_hears_is_no_error(line: Line) -> None:
    """A dying supervisor does not take its workers along."""
    line.events.close()
    line.link.send("stats", fps=1.0)
    assert line.link.orphaned
