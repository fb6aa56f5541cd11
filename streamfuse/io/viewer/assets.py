"""The files of the page, read once: what a browser asks for is looked up and never made into a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streamfuse.errors import MachineError

__all__ = ["Asset", "load_assets"]

_PAGE: Final = Path(__file__).with_name("page")
_TYPES: Final = MappingProxyType(
    {
        ".css": "text/css",
        ".html": "text/html",
        ".js": "text/javascript",
        ".json": "application/json",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".webmanifest": "application/manifest+json",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page."""

    content: bytes
    media_type: str


def load_assets(
    folder: Path = _PAGE, *, needed: Sequence[str] = ("index.html", "login.html")
) -> Mapping[str, Asset]:
    """All files of a page, by name.

    Raises:
        MachineError: the page is missing, so streamfuse is not installed as it should be.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in _TYPES)
        assets = {path.name: Asset(path.read_bytes(), _TYPES[path.suffix]) for path in paths}
    except OSError as error:
        raise MachineError(
            f"{error.filename}: cannot be read ({error.strerror}); reinstall streamfuse"
        ) from error
    if missing := [name for name in needed if name not in assets]:
        raise MachineError(f"{folder}: {missing[0]} is missing; reinstall streamfuse")
    return assets
