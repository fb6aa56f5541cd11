"""Task networks as they are kept on disk for a runtime."""

from __future__ import annotations

from typing import Final

from streamfuse.engine.backends.exports import Exports

__all__ = ["task_exports"]

_REVISION: Final = 1
"""Of what is exported; raise it with the arithmetic of :mod:`streamfuse.engine.tasks.graph`."""


def task_exports(content: str, *, runtime: str) -> Exports:
    """The exports of a task network; ``content`` and ``runtime`` as for :class:`Exports`."""
    return Exports(f"{content} {_REVISION}", runtime=runtime, packages=("torch", "ultralytics"))
