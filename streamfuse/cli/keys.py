"""``streamfuse keys``: the identity of a machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["keys"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def keys(
    name: Annotated[str, typer.Argument(help="What the files are called, such as the machine's name.")],
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where they go; made if need be.")
    ] = Path(),
) -> None:
    """Make the keys with which a capture node and a fusing machine prove who they are.

    NAME.key stays on its machine and is for its owner alone; NAME.pub goes to the others.

    Example: streamfuse keys node --dir /etc/streamfuse
    """
    from streamfuse.errors import UsageError  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.io.transport.curve import make_keys  # noqa: PLC0415

    if not _NAME.fullmatch(name):
        raise UsageError(f'expected 1 to 64 letters, digits, dots, dashes or underscores, got "{name}"')
    key, pub = make_keys(name, folder)
    typer.echo(f"{key}   secret, stays on this machine")
    typer.echo(f"{pub}   public, for the machines it talks to")
