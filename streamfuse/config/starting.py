"""The files that ``streamfuse init`` writes: a pipeline and a rig that run as they are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from streamfuse.errors import OutputError

__all__ = ["STARTER", "write_starter"]

STARTER: Final = ("pipeline.yaml", "rig.yaml")


def write_starter(folder: Path, *, force: bool = False) -> list[Path]:
    """Write the starter files into ``folder``, which is created if need be.

    Raises:
        OutputError: a file is there already and ``force`` is off, or the folder cannot be written.
    """
    targets = [folder / name for name in STARTER]
    there = [path for path in targets if path.exists()]
    if there and not force:
        raise OutputError(f"{there[0]} exists; choose another folder, or --force to overwrite it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in targets:
            path.write_text(starter_text(path.name), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot write there ({error.strerror}); choose another folder"
        ) from error
    return targets


def starter_text(name: str) -> str:
    """Content of one starter file."""
    return (files("streamfuse.config") / "starter" / name).read_text(encoding="utf-8")
