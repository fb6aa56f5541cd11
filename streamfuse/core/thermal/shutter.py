"""When an infrared image is old: the shutter of a thermal camera is closed, or the camera hangs.

A thermal camera closes its shutter every few minutes to correct itself (flat-field correction, FFC)
and repeats its last image meanwhile. Some say so; the others are found by their repeats.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS

__all__ = ["FreezeDetector", "ShutterWatch", "image_digest"]


def image_digest(plane: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> int:
    """CRC-32 of the samples: sensor noise gives every live thermal image one of its own."""
    return zlib.crc32(np.ascontiguousarray(plane).data)


class FreezeDetector:
    """Tells the repeats of a frozen camera from those of one that merely delivers images twice."""

    def __init__(self, min_frozen_ms: float) -> None:
        if not (math.isfinite(min_frozen_ms) and min_frozen_ms >= 0):
            raise ValueError(f"min_frozen_ms must be a number of at least 0, got {min_frozen_ms}")
        self._min_frozen_ns = round(min_frozen_ms * NS_PER_MS)
        self._digest: Hashable = None
        self._since_ns: int | None = None

    def is_frozen(self, digest: Hashable, capture_ns: int) -> bool:
        """Whether a frame repeats an image first seen at least ``min_frozen_ms`` before it.

        Args:
            digest: Equal for equal images, see :func:`image_digest`.
            capture_ns: Capture time of the frame; frames come in order.
        """
        if self._since_ns is None or digest != self._digest:
            self._digest, self._since_ns = digest, capture_ns
            return False
        return capture_ns - self._since_ns >= self._min_frozen_ns


class ShutterWatch:
    """Says of each frame whether it shows the present or the inside of a closed shutter.

    A camera that says that its shutter is closed is believed at once, whatever the image shows: some
    send live pictures of the shutter. All others are found by exact repeats for ``min_frozen_ms``.

    Raises:
        ValueError: ``min_frozen_ms`` is negative or not a number.
    """

    def __init__(self, min_frozen_ms: float) -> None:
        self._repeats = FreezeDetector(min_frozen_ms)

    def is_closed(self, digest: Hashable, capture_ns: int, *, flagged: bool) -> bool:
        """Whether a frame must not be used.

        Args:
            digest: Equal for equal images, see :func:`image_digest`.
            capture_ns: Capture time of the frame; frames come in order.
            flagged: The camera says that its shutter is closed; False also where it cannot say.
        """
        # Flagged frames are remembered, too: what is repeated afterwards is as old as its first showing.
        frozen = self._repeats.is_frozen(digest, capture_ns)
        return flagged or frozen
