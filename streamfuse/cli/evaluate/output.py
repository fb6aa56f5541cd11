"""What the evaluations of tasks and videos have in common: a table for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["STDOUT", "cell", "check_json", "score_table", "show", "some"]

STDOUT = Path("-")
"""In place of a file for JSON."""


def check_json(path: Path | None, *, images: Sequence[Path] = ()) -> None:
    """Find out before the work whether the JSON can be written; see ``check_reports``."""
    from streamfuse.jobs.evaluating.report import check_reports  # noqa: PLC0415 - slow imports wait for --help

    if path is not None and path != STDOUT:
        check_reports([path], images=images)


def show(tables: RenderableType, values: Mapping[str, object], *, json_file: Path | None) -> None:
    """Print tables, and write the values as JSON: to a file, or to standard output in their place."""
    from streamfuse.io.files import write_text  # noqa: PLC0415 - slow imports wait for --help

    text = json.dumps(values, indent=2) + "\n"
    if json_file == STDOUT:
        sys.stdout.write(text)
        return
    if json_file is not None:
        write_text(json_file, text)
    Console().print(tables, crop=False)


def score_table(title: str, *, words: int, scores: Sequence[str]) -> Table:
    """An empty table with ``words`` columns that say what a row is of, and one for each score."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for _ in range(words):
        table.add_column("", overflow="fold")
    for score in scores:
        table.add_column(Text(score), justify="right", overflow="fold")
    return table


def cell(value: float | None, digits: int = 3) -> Text:
    """A score, or a dash where there is none."""
    return Text("-" if value is None or math.isnan(value) else f"{value:.{digits}f}")


def some(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
