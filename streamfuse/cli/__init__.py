"""The command line: ``streamfuse COMMAND``. One file per command group; all work is done below."""

from __future__ import annotations

import sys

from streamfuse.errors import EXIT_INTERRUPTED, StreamfuseError
from streamfuse.io.quick import quick_process

__all__ = ["main"]


def main() -> None:
    """Run the command line; the process exits with the codes of :mod:`streamfuse.errors`."""
    with quick_process():
        _run()


def _run() -> None:
    try:
        from streamfuse.cli.app import app  # noqa: PLC0415 - keeps `import streamfuse.cli` light

        app(prog_name="streamfuse")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except StreamfuseError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"streamfuse: {line}\n")
        sys.exit(error.exit_code)
