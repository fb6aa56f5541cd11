"""Where the weights of task networks lie, and what their files are known by. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from streamfuse.engine.store import locate

__all__ = ["DEFAULT_DETECTOR", "is_pickle", "task_weights_path"]

DEFAULT_DETECTOR: Final = "detector"
"""Shipped weights that ``default`` stands for."""


def is_pickle(weights: str) -> bool:
    """Whether it is a file of Ultralytics itself rather than one of our store."""
    return Path(weights).suffix.lower() == ".pt"


def task_weights_path(weights: str) -> Path:
    """The file that ``default``, a name of the store or a path stands for; it need not exist."""
    if is_pickle(weights):
        return Path(weights).expanduser().resolve()
    return locate(weights, default=DEFAULT_DETECTOR).resolve()
