"""Pairs of pictures that can be aligned: of one size, of the right cameras, with something to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from streamfuse.config.rig import RigConfig
from streamfuse.errors import CalibrationError, SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.sources import is_live, redact
from streamfuse.jobs.calibrating.pictures import Picture, PicturePair, source_of
from streamfuse.jobs.calibrating.seeking import looks_of

__all__ = ["check_texture", "check_there", "checked"]

_LEAST_SIDE_PX: Final = 64
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
        _check_same_size(pair, first)
        yield pair


def check_there(location: str, stream: StreamName) -> None:
    """Refuse a location whose file or folder is missing, before two locations are compared.

    Raises:
        SourceError: nothing is there.
        ConfigError: mistakes in a pipeline file.
    """
    uri = source_of(location, stream).uri
    if "://" not in uri and not is_live(uri) and not Path(uri).exists():
        raise SourceError(f"{stream}: {redact(uri)}: there is no such file or folder; check the path")


def _check_same_size(pair: PicturePair, first: PicturePair) -> None:
    for stream in StreamName:
        picture, before = _of(pair, stream), _of(first, stream)
        if picture.size_wh != before.size_wh:
            raise UsageError(
                f"mixed resolutions: the {stream} picture {picture.name} has {_words(picture)}, and "
                f"{before.name} has {_words(before)}; give pictures of one size for each camera"
            )


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
        UsageError: they are too small to show anything.
    """
    for stream in StreamName:
        first = _of(pairs[0], stream)
        if min(first.size_wh) < _LEAST_SIDE_PX:
            raise UsageError(
                f"the {stream} picture {first.name} has {_words(first)}, too small to align; give pictures "
                f"of {_LEAST_SIDE_PX} px or more on each side"
            )
        grays = [_of(pair, stream).gray for pair in pairs]
        if max(float(gray.std()) for gray in grays) < _LEAST_LEVELS:
            raise CalibrationError(
                f"the {stream} pictures show nothing; point the cameras at a scene with warm and cold edges "
                "(houses, cars, people), and check that the lens is open and focused"
            )


def _of(pair: PicturePair, stream: StreamName) -> Picture:
    return pair.visible if stream is StreamName.VISIBLE else pair.infrared


def _words(picture: Picture) -> str:
    return "{}x{}".format(*picture.size_wh)
