"""The pictures that the benchmark of the fusion runs on: the drawn street, a pair for each second of it."""

from __future__ import annotations

from contextlib import closing

from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Image, StreamName
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.synthetic.spec import StreetSpec

__all__ = ["Pictures", "check_size", "street_pairs"]

Pictures = tuple[tuple[Image, Image], ...]
"""Pairs of a visible image (YUV420P, as from a decoder) and an infrared one of its size (GRAY8)."""


def check_size(size_wh: tuple[int, int]) -> None:
    """Refuse a size that the street cannot be drawn in.

    Raises:
        UsageError: with what would do.
    """
    try:
        StreetSpec(size_wh=size_wh)
    except ValueError as error:
        raise UsageError(f"size: {error}") from error


def street_pairs(size_wh: tuple[int, int], count: int) -> Pictures:
    """The first pairs of the street at dusk, in the form that a pipeline fuses."""
    width, height = size_wh
    uri = f"synthetic://street?seed=7&size={width}x{height}&fps=1&skew_ms=0"
    visible, infrared = (_images(uri, stream, count) for stream in StreamName)
    return tuple(zip(visible, infrared, strict=True))


def _images(uri: str, stream: StreamName, count: int) -> list[Image]:
    images: list[Image] = []
    with closing(SyntheticSource(uri, stream=stream)) as source:
        while len(images) < count:
            if (frame := source.read()) is None:
                raise SourceError(f"{uri}: ended after {len(images)} of {count} pictures")
            images.append(frame.image)
    return images
