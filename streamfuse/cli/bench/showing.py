"""What the benchmarks have in common: options that are numbers, and tables as wide as they need to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.errors import UsageError

__all__ = ["numbers_of", "show", "size_of", "table_of", "targets_table"]

_MOST = 160


def size_of(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT in numbers.

    Raises:
        UsageError: it is something else.
    """
    numbers = numbers_of(text, "x", wanted := "--size must be WIDTHxHEIGHT such as 640x480")
    if len(numbers) != 2 or 0 in numbers:
        raise UsageError(f"{wanted}, got {text!r}")
    return numbers[0], numbers[1]


def numbers_of(text: str, separator: str, wanted: str) -> tuple[int, ...]:
    """Whole numbers in a row; ``wanted`` is what to say when they are something else.

    Raises:
        UsageError: they are.
    """
    words = text.split(separator)
    if not all(word.isascii() and word.isdecimal() for word in words):
        raise UsageError(f"{wanted}, got {text!r}")
    return tuple(int(word) for word in words)


def show(*tables: Table) -> None:
    """Print what has rows."""
    for table in tables:
        if table.row_count:
            needed = Console(width=_MOST).measure(table).maximum
            width = max(Console().width, min(needed, _MOST))  # better broken by the terminal than cut
            Console(width=width).print(table, crop=False)


def table_of(title: str, *, words: Sequence[str], numbers: Sequence[str]) -> Table:
    """An empty table: columns of words, then columns of numbers, which stand at the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for word in words:
        table.add_column(Text(word), no_wrap=True)
    for number in numbers:
        table.add_column(Text(number), justify="right", no_wrap=True)
    return table


def targets_table(targets: Sequence[Mapping[str, Any]]) -> Table:
    """Promises and what was measured of them, as the JSON has them."""
    from streamfuse.jobs.benching.machine import verdict  # noqa: PLC0415 - slow imports wait for --help

    table = table_of("targets", words=("",), numbers=("limit", "got", ""))
    for target in targets:
        sign = "≥" if target["at_least"] else "≤"
        cells = (target["what"], f"{sign} {target['limit']:g}", f"{target['got']:.2f}", verdict(target))
        table.add_row(*map(Text, cells))
    return table
