"""Prints docs/cli.md: the help of every command, as the program gives it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from streamfuse.cli.app import app


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command below ``command``, itself included, as words."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))


def help_of(program: Any, words: tuple[str, ...]) -> str:
    """What a command prints for --help, without a process for each: they would take most of the time."""
    page = io.StringIO()
    with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
        program.main([*words, "--help"], prog_name="streamfuse")
    return page.getvalue()


def main() -> None:
    """Ask each command for its help and write the page to standard output."""
    os.environ |= {"COLUMNS": "100", "TERM": "dumb"}
    out = sys.stdout.write
    out("# Command line\n\n")
    out("Made from `--help` by `python .ci/cli_page.py > docs/cli.md`; a test compares the two.\n")
    program = get_command(app)
    for words in commands(program):
        text = help_of(program, words)
        out(f"\n## {' '.join(('streamfuse', *words))}\n\n```text\n{text.strip()}\n```\n")


if __name__ == "__main__":
    main()
