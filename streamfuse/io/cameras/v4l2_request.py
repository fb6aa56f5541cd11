"""What is asked of a V4L2 device: which names are refused, FFmpeg's options, and refusals in words."""

from __future__ import annotations

import errno
from pathlib import Path
from types import MappingProxyType
from typing import Final

import av

from streamfuse.config.sources import InfraredSource, SourceConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.io.cameras.v4l2_query import bare_index, offered, stable_names
from streamfuse.io.unused import refuse_unused

__all__ = ["asked_format", "failure", "options", "refuse"]

_UNUSED: Final = ("transport", "decode", "loop", "keys")
_NONBLOCK: Final = "+4"
"""FFmpeg's AVFMT_FLAG_NONBLOCK, which has a number in its public header but no name as an option."""
# What V4L2 and its users say, in FFmpeg's words.
_ALIASES: Final = MappingProxyType(
    {
        "y16": "gray16le",
        "gray16": "gray16le",
        "grey": "gray",
        "gray8": "gray",
        "yuyv": "yuyv422",
        "uyvy": "uyvy422",
        "mjpg": "mjpeg",
    }
)
_LIST: Final = "see `streamfuse sources` for what is there"
_WORDS: Final = MappingProxyType(
    {
        errno.ENOENT: f"there is no such device; plug the camera in, or {_LIST}",
        errno.ENODEV: f"it was unplugged, or is no capture device; {_LIST}",
        errno.ENXIO: f"there is no such device; plug the camera in, or {_LIST}",
        errno.ENOTTY: f"this is no capture device; {_LIST}",
        errno.EISDIR: f"this is a folder, not a camera; {_LIST}",
        errno.EBUSY: "another program uses it; end that first",
        errno.EACCES: "this user may not open it; `sudo usermod -aG video $USER`, then log in anew",
        errno.EPERM: "this user may not open it; `sudo usermod -aG video $USER`, then log in anew",
    }
)


def refuse(config: SourceConfig, *, label: str, links: Path) -> None:
    """Refuse a bare index that is not forced, and keys that such a camera cannot use.

    Raises:
        UsageError: with the stable names of the same device, where there are some.
    """
    refuse_unused(config, _UNUSED, label=label, kind="a V4L2 camera")
    if bare_index(config.uri) and not config.force_index:
        names = stable_names(config.uri, links=links)
        better = f"use {' or '.join(names)}" if names else "see `streamfuse sources` for stable names"
        raise UsageError(
            f"{label}: after a reboot its number may belong to the other camera, and the pair would be "
            f"swapped; {better}, or set force_index: true"
        )


def asked_format(config: SourceConfig, *, label: str) -> str | None:
    """What the camera is asked to send, as FFmpeg calls it; None leaves it to camera and FFmpeg.

    Raises:
        UsageError: an ``input_format`` that FFmpeg does not know.
    """
    name = config.input_format
    if name is None:
        raw = isinstance(config, InfraredSource) and config.format == "gray16"
        return "gray16le" if raw else None
    name = _ALIASES.get(name, name)
    if name not in av.codecs_available and not _is_pixel_format(name):
        raise UsageError(f"{label}: input_format: {name} is unknown; try y16, yuyv422 or mjpeg")
    return name


def options(config: SourceConfig, asked: str | None) -> dict[str, str]:
    """FFmpeg's options for a device that is asked for the format ``asked``."""
    wanted: dict[str, str] = {}
    if config.size is not None:
        wanted["video_size"] = f"{config.size[0]}x{config.size[1]}"
    if config.fps is not None:
        wanted["framerate"] = f"{config.fps:g}"
    if asked is not None:
        wanted["input_format"] = asked
    return {**wanted, **config.options, "fflags": _NONBLOCK}


def failure(error: Exception, *, uri: str, label: str) -> SourceError:
    """An error of the driver in words, with what to do."""
    code = getattr(error, "errno", None)
    words = None if code is None else _WORDS.get(code)
    if words is None and code == errno.EINVAL:
        words = f"it refuses what it is asked for, and offers {offered(uri) or 'nothing'}"
    return SourceError(f"{label}: {words or f'it cannot be read ({error})'}")


def _is_pixel_format(name: str) -> bool:
    try:
        return bool(av.VideoFormat(name))
    except ValueError:
        return False
