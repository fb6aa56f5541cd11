"""Plain files, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from streamfuse.errors import OutputError

__all__ = ["check_writable", "write_text"]


def check_writable(folder: Path) -> None:
    """Make sure that files can be made in ``folder``, which is created if need be.

    Raises:
        OutputError: it cannot be created or written.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, and a folder is wanted there; choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".streamfuse-"):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot write there ({error.strerror}); choose another folder or change its rights"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step.

    Raises:
        OutputError: it cannot be written; an older file stays as it was.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)  # noqa: PTH105 - the atomic one
    except OSError as error:
        with contextlib.suppress(OSError):  # the folder itself may be gone
            part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
