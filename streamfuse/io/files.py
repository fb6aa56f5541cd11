"""Plain files, written whole or not at all; and nothing left of what came to nothing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from streamfuse.errors import OutputError

__all__ = ["check_file", "check_writable", "missing", "remove_empty", "write_text"]


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


def check_file(path: Path) -> None:
    """Make sure that a file can be written, or replaced, in a folder that is there.

    Raises:
        OutputError: it cannot: the folder is not there, or the path is one itself.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, and a file is wanted there; choose another name")
    if not path.parent.exists():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it, or choose another")
    check_writable(path.parent)


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


def missing(paths: Iterable[Path]) -> list[Path]:
    """Which of some files, and of the folders that they are in, are not there; the inner ones first."""
    wanted = {each.absolute() for path in paths for each in (path, *path.parents)}
    return sorted((path for path in wanted if not path.exists()), reverse=True)


def remove_empty(paths: Iterable[Path]) -> None:
    """Remove what is there of some files and folders and has nothing in it, in this order."""
    for path in paths:
        with contextlib.suppress(OSError):  # a folder that somebody uses stays, and so does what is not ours
            if path.is_dir():
                path.rmdir()
            elif path.stat().st_size == 0:
                path.unlink()
