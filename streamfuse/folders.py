"""The user's folders by the XDG base directory specification, and what to say where one is no use."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

__all__ = ["cache_dir", "data_dir", "warn_of_cache"]

_LOG: Final = logging.getLogger(__name__)
_warned: set[Path] = set()
"""Cache folders of which this process has said that they are no use."""


def cache_dir() -> Path:
    """Our part of ``XDG_CACHE_HOME``: what can be made again. It need not exist."""
    return _home("XDG_CACHE_HOME", ".cache") / "streamfuse"


def data_dir() -> Path:
    """Our part of ``XDG_DATA_HOME``: what the user brought in. It need not exist."""
    return _home("XDG_DATA_HOME", ".local/share") / "streamfuse"


def warn_of_cache(error: OSError) -> None:
    """Say, once in a process, that nothing can be kept, which costs time at every start and nothing else."""
    folder = cache_dir()
    if folder not in _warned:
        _warned.add(folder)
        _LOG.warning(
            "the cache folder %s cannot be written (%s), so every start compiles and measures again: set "
            "XDG_CACHE_HOME to a folder that can",
            folder,
            error.strerror or error,
        )


def _home(variable: str, otherwise: str) -> Path:
    """A relative path in the variable is ignored, as the specification wants it."""
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / otherwise
