"""The edge between images and networks: devices, precision, backends, weights.

Importing this package is cheap; torch is loaded when ``FusionEngine`` is first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfuse.engine.fusion import FusionEngine

__all__ = ["FusionEngine"]


def __getattr__(name: str) -> object:
    if name == "FusionEngine":
        from streamfuse.engine.fusion import FusionEngine  # noqa: PLC0415 - this delay is the point

        return FusionEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
