"""What a person sees while a command works: a status line, a progress bar, a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from streamfuse.core.health import CameraState
from streamfuse.frames import PairState

if TYPE_CHECKING:
    from streamfuse.runtime.summary import Summary

__all__ = ["Advance", "StatusLine", "progress_bar"]


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Show ``done`` of ``total`` (None while unknown), and a word beside it."""


class StatusLine:
    """One line that is rewritten in place on a terminal; elsewhere only messages are printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(Text("starting"), console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> StatusLine:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, summary: Summary) -> None:
        """Rewrite the line from the numbers of the moment."""
        if not self._console.is_terminal:
            return
        states = summary.states
        dropped = sum(sum(stream.dropped.values()) for stream in summary.streams.values())
        latency = summary.latency.p50
        line = Text.assemble(
            (f" {summary.fused} fused", "bold"),
            f"  {summary.fps:5.1f} fps",
            f"  latency {latency:.0f} ms" if latency is not None else "",
            f"  matched {states[PairState.MATCHED]}  held {states[PairState.HELD]}"
            f"  single {states[PairState.VISIBLE_ONLY] + states[PairState.INFRARED_ONLY]}",
            (f"  dropped {dropped}", "yellow" if dropped else ""),
            (_troubles(summary), "bold yellow"),
            f"  [{summary.backend} {summary.device}]" if summary.backend else "",
        )
        self._live.update(line, refresh=True)

    def say(self, text: str) -> None:
        """Print a message above the line."""
        self._console.print(Text(text), highlight=False, soft_wrap=not self._console.is_terminal)


def _troubles(summary: Summary) -> str:
    """The cameras that do not give pictures at the moment."""
    return "".join(
        f"  {stream} {camera.state}"
        for stream, camera in summary.cameras.items()
        if camera.state is not CameraState.LIVE
    )


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[Advance]:
    """A bar with what is done, what there is and how long it will take, while the block runs."""
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, note="")

        def advance(done: int, total: int | None, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance
