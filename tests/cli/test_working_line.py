"""Words while a calibration works."""

from __future__ import annotations

import io
from threading import Event

from rich.console import Console

from streamfuse.cli.calibrate.working import working


class Heard(io.StringIO):
    """A pipe that tells when a line with a word has come."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word
        self.came = Event()

    def write(self, text: str) -> int:
        """Keep it, and look for the word."""
        count = super().write(text)
        if self._word in self.getvalue():
            self.came.set()
        return count


def test_a_pipe_hears_now_and_then_what_is_done() -> None:
    """Plain lines with the newest words, without codes of a terminal."""
    pipe = Heard("3 of 12 pairs read")
    with working(Console(file=pipe), "reading pairs", every_s=0.01) as progress:
        progress(3, 12, "pairs read")
        assert pipe.came.wait(10)
    assert "\x1b" not in pipe.getvalue()
    assert pipe.getvalue().splitlines()[-1].startswith("3 of 12 pairs read (")


def test_what_is_quick_is_silent_in_a_pipe() -> None:
    """No line before the first five seconds are over."""
    pipe = io.StringIO()
    with working(Console(file=pipe), "reading pairs") as progress:
        progress(1, 12, "pairs read")
    assert not pipe.getvalue()


def test_a_terminal_has_one_line_that_changes() -> None:
    """It is there at once, and gone at the end."""
    pipe = Heard("aligning 12 pairs")
    with working(Console(file=pipe, force_terminal=True, width=60), "reading pairs") as progress:
        progress(0, None, "aligning 12 pairs")
        assert pipe.came.wait(10)
    assert "reading pairs" in pipe.getvalue()
    assert "\n" not in pipe.getvalue().split("aligning 12 pairs")[0]
