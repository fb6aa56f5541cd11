"""Exported networks on disk: made once for each content of weights, shape and version of the libraries."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from streamfuse.errors import MachineError
from streamfuse.folders import cache_dir, warn_of_cache

__all__ = ["KEPT", "Exports", "UnreadableExport"]

Opened = TypeVar("Opened")

KEPT: Final = 32
"""Exports kept, those used last; a small network takes some 15 MB."""

_STEM: Final = 24
"""Characters of a content that the name of its folder shows to people."""
_DIGESTS: Final = "sha256.json"
_LOG: Final = logging.getLogger(__name__)
_FILE: Final = "network"


class UnreadableExport(MachineError):  # noqa: N818 - the name says what is wrong
    """A runtime cannot read what was exported for it."""


class Exports:
    """The exports of one network in our cache folder.

    Args:
        content: what it is computed from, such as the digest of its weights and what is asked of them, and
            the revision of our own arithmetic around it.
        runtime: what it is exported for, by the name of its Python package.
        packages: whose versions matter beside that of the runtime.
    """

    def __init__(self, content: str, *, runtime: str, packages: Sequence[str] = ("torch",)) -> None:
        self._folder = cache_dir() / "exports"
        versions = [f"{package}={_version(package)}" for package in (*packages, runtime)]
        self._key = "|".join((content, *versions))
        self._stem = f"{runtime}-{re.sub(r'[^A-Za-z0-9_]+', '-', content[:_STEM])}"

    def find(self, shape: Sequence[int], make: Callable[[Path], None]) -> Path:
        """The folder with an export, made now if there is none, or if its files are not those once written.

        Args:
            shape: of the input.
            make: writes an export into an empty folder.

        Raises:
            OSError: the cache folder cannot be written, which was said.

        Whatever ``make`` raises passes through.
        """
        try:
            return self._find(shape, make)
        except OSError as error:
            warn_of_cache(error)
            raise

    def _find(self, shape: Sequence[int], make: Callable[[Path], None]) -> Path:
        digest = hashlib.sha256(f"{self._key}|{list(shape)}".encode()).hexdigest()[:16]
        place = self._folder / f"{self._stem}-{digest}"
        if _is_whole(place):
            with contextlib.suppress(OSError):  # whoever may only read it is served, too
                os.utime(place)
            return place
        if os.path.lexists(place):
            _LOG.warning("the kept network %s is damaged: it is made again", place)
            self.drop(place)
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        try:
            make(fresh)
            (fresh / _DIGESTS).write_text(json.dumps(_digests(fresh)), encoding="utf-8")
            _move(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        self._prune()
        return place

    def load(
        self, shape: Sequence[int], make: Callable[[], bytes], read: Callable[[bytes], Opened]
    ) -> Opened:
        """Open an export of a single file; one that is damaged, or cannot be kept, is made now.

        Args:
            shape: of the input.
            make: the content of the file; called once at most.
            read: opens the content, or raises :class:`UnreadableExport`.

        Raises:
            UnreadableExport: what was made just now cannot be read; whatever ``make`` raises passes through.
        """
        made = functools.cache(make)
        with contextlib.suppress(OSError):  # a cache that cannot be read or written costs time only
            place = self.find(shape, lambda folder: _write(folder / _FILE, made()))
            content = (place / _FILE).read_bytes()
            try:
                return read(content)
            except UnreadableExport:
                self.drop(place)
                self.find(shape, lambda folder: _write(folder / _FILE, made()))
        return read(made())

    def drop(self, place: Path) -> None:
        """Remove an export that turned out to be damaged, or what lies in its place."""
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)

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


def _digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file in a folder, by name; not of the list of them."""
    digests = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != _DIGESTS:
            with path.open("rb") as file:
                digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _is_whole(place: Path) -> bool:
    """Whether an export has the files that were written, bit for bit."""
    try:
        written = json.loads((place / _DIGESTS).read_text(encoding="utf-8"))
        return bool(written == _digests(place))
    except (OSError, ValueError):
        return False


def _move(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # else another process was faster with the same
            raise


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _version(package: str) -> str:
    """Of a package, which may be installed under another name, as those for CUDA are."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
