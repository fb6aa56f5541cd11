"""``streamfuse verify``: whether recordings are whole, and what to do if they are not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamfuse.errors import PromiseError

if TYPE_CHECKING:
    from streamfuse.jobs.verifying.report import Finding, Report

__all__ = ["verify"]


def verify(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING…", help="Folder of recordings, a video or an index.")
    ],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend what can be mended; what is replaced is kept as .damaged."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Decode every picture of recordings and hold videos, indexes and clips against each other.

    What is being written at the moment is left alone. Exits with 4 if something is wrong.

    Example: streamfuse verify recordings --repair
    """
    from rich.console import Console  # noqa: PLC0415 - slow imports wait for --help

    from streamfuse.cli.show import progress_bar  # noqa: PLC0415
    from streamfuse.jobs.verify import verify as run_job  # noqa: PLC0415

    with progress_bar(Console(stderr=True), "checking") as progress:
        report = run_job(recordings, repair=repair, on_progress=progress)
    if as_json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        _show(report)
    if report.broken:
        raise PromiseError(_verdict(report, repaired=repair))


def _verdict(report: Report, *, repaired: bool) -> str:
    count, total = len(report.broken), len(report.findings)
    text = (
        f"{count} of {total} recording{'' if total == 1 else 's'} {'is' if count == 1 else 'are'} not whole"
    )
    if not repaired and any(finding.can_be_mended for finding in report.broken):
        return f"{text}; --repair mends what can be mended"
    return f"{text}; what {'it lacks' if count == 1 else 'they lack'} is lost"


def _show(report: Report) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("recording", overflow="fold")
    for heading in ("videos", "pictures", "pairs", "seconds", "gaps"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for finding in report.findings:
        word, style = _state(finding)
        table.add_row(Text(finding.name), *_numbers(finding), Text(word, style=style))
    console = Console()
    console.print(table)
    for finding in report.findings:
        for text in finding.mended:
            console.print(Text(f"mended  {text}"), soft_wrap=True)
        for problem in finding.problems:
            console.print(Text(f"wrong   {problem.file}: {problem.text}"), soft_wrap=True)


def _state(finding: Finding) -> tuple[str, str]:
    if finding.being_written:
        return "being written", "dim"
    if finding.problems:
        return "BROKEN", "bold red"
    return ("mended", "yellow") if finding.mended else ("ok", "green")


def _numbers(finding: Finding) -> tuple[str, ...]:
    if finding.being_written:
        return ("",) * 5
    pictures = sum(video.pictures for video in finding.videos)
    pairs = "" if finding.pairs is None else str(finding.pairs)
    gaps = str(len(finding.gaps)) if finding.gaps else ""
    return str(len(finding.videos)), str(pictures), pairs, f"{finding.duration_s:.1f}", gaps
