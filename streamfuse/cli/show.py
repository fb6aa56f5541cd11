"""What a person sees while a command works: a status line, a progress bar, a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from streamfuse.core.health import CameraState
from streamfuse.frames import PairState

if TYPE_CHECKING:
    from streamfuse.runtime.status import Status
    from streamfuse.runtime.summary import Summary

__all__ = ["Advance", "progress_bar", "status_lines"]


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Show ``done`` of ``total`` (None while unknown), and a word beside it."""


def status_lines(statuses: Mapping[str, Status]) -> Text:
    """A run at one moment: a line for each pipeline, with its name if there are others."""
    if len(statuses) == 1:
        return Text("\n").join(map(_status_line, statuses.values()))
    width = max(map(len, statuses))
    return Text("\n").join(
        Text.assemble((f" {name:<{width}}", "bold"), _status_line(status))
        for name, status in statuses.items()
    )


def _status_line(status: Status) -> Text:
    if not status.begun:
        return Text(f" {'; '.join(status.health.not_ready)}")
    summary = status.summary
    states = summary.states
    dropped = sum(sum(stream.dropped.values()) for stream in summary.streams.values())
    latency = summary.latency.p50
    return Text.assemble(
        (f" {summary.fused} fused", "bold"),
        f"  {summary.fps:5.1f} fps",
        f"  latency {latency:.0f} ms" if latency is not None else "",
        f"  matched {states[PairState.MATCHED]}  held {states[PairState.HELD]}"
        f"  single {states[PairState.VISIBLE_ONLY] + states[PairState.INFRARED_ONLY]}",
        (f"  dropped {dropped}", "yellow" if dropped else ""),
        (_troubles(summary), "bold yellow"),
        ("".join(f"  {name} {word}" for name, word in _absent(status)), "bold yellow"),
        f"  [{summary.backend} {summary.device}]" if summary.backend else "",
    )


def _absent(status: Status) -> Iterator[tuple[str, str]]:
    """The workers that do not work at the moment."""
    for name, worker in status.workers.items():
        if worker.phase in {"restarting", "failed"}:
            yield name, worker.phase


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
