"""Prints docs/cli.md: the help of every command, as the program gives it."""

from __future__ import annotations

import os
import subprocess
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


def main() -> None:
    """Run each command with --help and write the page to standard output."""
    out = sys.stdout.write
    out("# Command line\n\n")
    out("Made from `--help` by `python .ci/cli_page.py > docs/cli.md`; a test compares the two.\n")
    for words in commands(get_command(app)):
        text = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "streamfuse", *words, "--help"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "100", "TERM": "dumb"},
        ).stdout
        out(f"\n## {' '.join(('streamfuse', *words))}\n\n```text\n{text.strip()}\n```\n")


if __name__ == "__main__":
    main()
