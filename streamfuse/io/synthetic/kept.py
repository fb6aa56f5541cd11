"""The still scene on disk: it is drawn once for each street, camera and version of the code that draws it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from streamfuse.folders import cache_dir, warn_of_cache
from streamfuse.io.synthetic.backdrop import Backdrop, Street3d, backdrop
from streamfuse.io.synthetic.cameras import Camera

__all__ = ["KEPT", "kept_backdrop"]

KEPT: Final = 8
"""Still scenes kept, those used last; one of 640x480 takes 10 MB."""
_UNREADABLE: Final = (ValueError, KeyError, EOFError, zipfile.BadZipFile)


def kept_backdrop(street: Street3d, camera: Camera, *, supersampling: int) -> Backdrop:
    """As :func:`streamfuse.io.synthetic.backdrop.backdrop`, float by float; drawn if it is not on disk.

    That takes a second of processor time per camera, which every start of a drawn street would otherwise wait
    for. A cache folder that cannot be used costs that time and nothing else.
    """
    subject = f"{_code()} {street.seed} {street.climate!r} {camera.size_wh} {supersampling} "
    digest = hashlib.sha256(subject.encode() + camera.matrix.tobytes()).hexdigest()[:24]
    path = cache_dir() / "streets" / f"{digest}.npz"
    return _read(path) or _drawn(path, lambda: backdrop(street, camera, supersampling=supersampling))


@cache
def _code() -> str:
    """What draws, by its content and the versions of what it draws with."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    libraries = (f"{name}={version(name)}" for name in ("numpy", "numba", "opencv-python"))
    return f"{digest.hexdigest()} {' '.join(libraries)}"


def _read(path: Path) -> Backdrop | None:
    """What is kept there; None where there is nothing, or nothing whole."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {field.name: arrays[field.name] for field in fields(Backdrop)}
        os.utime(path)
    except (OSError, *_UNREADABLE):
        return None
    width, height = found.pop("coarse_wh").tolist()
    return Backdrop(coarse_wh=(width, height), **found)


def _drawn(path: Path, draw: Callable[[], Backdrop]) -> Backdrop:
    """Draw it now, and keep it if that is possible."""
    drawn = draw()
    arrays: dict[str, Any] = {field.name: np.asarray(getattr(drawn, field.name)) for field in fields(drawn)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=".drawing-", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                np.savez(file, **arrays)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        _prune(path.parent)
    except OSError as error:
        warn_of_cache(error)
    return drawn


def _prune(folder: Path) -> None:
    """Remove those used longest ago; the other camera may do the same at this moment."""
    used = {}
    for path in folder.glob("[!.]*.npz"):
        with contextlib.suppress(FileNotFoundError):
            used[path] = path.stat().st_mtime_ns
    for path in sorted(used, key=used.__getitem__)[:-KEPT]:
        path.unlink(missing_ok=True)
