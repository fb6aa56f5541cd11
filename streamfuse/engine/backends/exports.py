"""Exported networks on disk: made once for each content of weights, shape and version of the libraries."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["KEPT", "Exports"]

KEPT: Final = 32
"""Exports kept, those used last; a small network takes some 15 MB."""

_REVISION: Final = 1
"""Of what is exported; raise it with the arithmetic of :mod:`streamfuse.engine.tasks.graph`."""


class Exports:
    """The exports of one network in our cache folder.

    Args:
        content: what it is computed from, such as the digest of its weights and what is asked of them.
        runtime: what it is exported for, by the name of its Python package.
    """

    def __init__(self, content: str, *, runtime: str) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._folder = cache / "streamfuse" / "exports"
        packages = ("torch", "ultralytics", runtime)
        versions = [f"{package}={importlib.metadata.version(package)}" for package in packages]
        self._key = "|".join((str(_REVISION), content, *versions))
        self._stem = f"{runtime}-{content[:12]}"

    def find(self, shape: Sequence[int], make: Callable[[Path], None]) -> Path:
        """The folder with an export, made now if there is none.

        Args:
            shape: of the input.
            make: writes an export into an empty folder.

        Raises:
            OSError: the cache folder cannot be written; whatever ``make`` raises passes through.
        """
        digest = hashlib.sha256(f"{self._key}|{list(shape)}".encode()).hexdigest()[:16]
        place = self._folder / f"{self._stem}-{digest}"
        if place.is_dir():
            os.utime(place)
            return place
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        try:
            make(fresh)
            _move(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        self._prune()
        return place

    def drop(self, place: Path) -> None:
        """Remove an export that turned out to be damaged."""
        shutil.rmtree(place, ignore_errors=True)

    def _prune(self) -> None:
        """Remove what was not used for longest; another process may do the same at this moment."""
        found = {}
        for place in self._folder.glob("[!.]*-*"):
            try:
                found[place] = place.stat().st_mtime_ns
            except FileNotFoundError:
                continue
        for place in sorted(found, key=found.__getitem__)[:-KEPT]:
            shutil.rmtree(place, ignore_errors=True)


def _move(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # else another process was faster with the same
            raise
