"""``streamfuse doctor``: is this machine fit, and if not, what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from streamfuse.errors import PromiseError

if TYPE_CHECKING:
    from streamfuse.jobs.doctor.finding import Finding

__all__ = ["doctor"]

_MARKS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "fail": ("FAIL", "bold red")}
_INDENT = " " * 6


def doctor(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Folder that recordings are to lie in.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at what this machine has for streamfuse, from the clock to the GPU, and say how to mend the rest.

    Each part is ok, a warning (something is missing or slow) or a failure (exit code 4). Nothing is changed.
    For one pipeline: streamfuse check.

    Example: streamfuse doctor --dir /var/lib/streamfuse
    """
    from streamfuse.jobs.doctor.examine import examine, looks  # noqa: PLC0415 - slow imports wait for --help

    found = examine(looks(folder.absolute()))
    levels = list(_as_json(found) if as_json else _as_words(found))
    raise typer.Exit(PromiseError.exit_code if "fail" in levels else 0)


def _as_json(found: Iterable[Finding]) -> Iterator[str]:
    findings = [asdict(finding) for finding in found]
    sys.stdout.write(json.dumps(findings, indent=2) + "\n")
    yield from (finding["level"] for finding in findings)


def _as_words(found: Iterable[Finding]) -> Iterator[str]:
    """A line for each finding as soon as there is one, and a last line with the sum."""
    console = Console()
    troubles = {"warning": 0, "fail": 0}
    for finding in found:
        mark, style = _MARKS[finding.level]
        console.print(
            Text.assemble((mark, style), f"  {finding.what:<14} {finding.text}"),
            highlight=False,
            soft_wrap=True,
        )
        if finding.fix:
            console.print(Text(f"{_INDENT}{'':<14} -> {finding.fix}"), highlight=False, soft_wrap=True)
            troubles[finding.level] += 1
        yield finding.level
    warnings, failures = troubles["warning"], troubles["fail"]
    if not warnings and not failures:
        console.print("This machine is fit.", highlight=False)
    else:
        console.print(f"{_count(failures, 'failure')}, {_count(warnings, 'warning')}.", highlight=False)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
