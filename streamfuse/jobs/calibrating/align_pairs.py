"""Pairs of pictures that can be aligned: of one size, of the right cameras, with something to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from streamfuse.config.rig import RigConfig
from streamfuse.errors import CalibrationError, UsageError
from streamfuse.frames import StreamName
from streamfuse.jobs.calibrating.pictures import PicturePair
from streamfuse.jobs.calibrating.seeking import looks_of

__all__ = ["check_texture", "checked"]

_LEAST_LEVELS: Final = 2.0
"""Standard deviation of the brightness below which a picture shows nothing."""


def checked(pairs: Iterable[PicturePair], rig: RigConfig) -> Iterator[PicturePair]:
    """The pairs, each looked at before it is passed on.

    Raises:
        UsageError: mixed sizes, sizes that the rig is not for, or swapped cameras.
    """
    first: PicturePair | None = None
    for pair in pairs:
        first = first or pair
        _check_looks(pair)
        rig.sized(visible_wh=pair.visible.size_wh, infrared_wh=pair.infrared.size_wh)
        if _sizes(pair) != _sizes(first):
            raise UsageError(
                f"{pair.name}: mixed resolutions, got {_words(pair)} after {_words(first)} of {first.name}; "
                "give pictures of one size for each camera"
            )
        yield pair


def _check_looks(pair: PicturePair) -> None:
    visible, infrared = looks_of(pair.visible.image), looks_of(pair.infrared.image)
    if visible == "gray16" or (visible == "gray" and infrared == "colour"):
        what = "has 16 bits" if visible == "gray16" else "is grey and the infrared one in colour"
        raise UsageError(
            f"{pair.name}: the visible picture {what}: the cameras seem swapped; exchange --visible and "
            "--infrared (or, if the infrared camera paints, name its palette-in in a pipeline file and give "
            "that)"
        )


def check_texture(pairs: Sequence[PicturePair]) -> None:
    """Refuse pictures on which nothing is to be seen.

    Raises:
        CalibrationError: they are of one brightness.
    """
    for stream in StreamName:
        grays = [(pair.visible if stream is StreamName.VISIBLE else pair.infrared).gray for pair in pairs]
        if max(float(gray.std()) for gray in grays) < _LEAST_LEVELS:
            raise CalibrationError(
                f"the {stream} pictures show nothing; point the cameras at a scene with warm and cold edges "
                "(houses, cars, people), and check that the lens is open and focused"
            )


def _sizes(pair: PicturePair) -> tuple[tuple[int, int], tuple[int, int]]:
    return pair.visible.size_wh, pair.infrared.size_wh


def _words(pair: PicturePair) -> str:
    return " and ".join(f"{width}x{height}" for width, height in _sizes(pair))
