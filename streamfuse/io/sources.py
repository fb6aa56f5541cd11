"""From a source's configuration to an open source, and a URI that may be shown to people.

A scheme names the kind of source. Kinds that are not built in come from other packages: an entry
point of the group ``streamfuse.sources``, whose name is the scheme and whose object is called as
``factory(config, stream=stream)`` and returns a :class:`~streamfuse.io.source.Source`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streamfuse.config.sources import InfraredSource, SourceConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.lepton import LeptonSource
from streamfuse.io.declared import check_declared
from streamfuse.io.images import DEFAULT_FPS, SUFFIXES, ImageFolderSource, match_stems
from streamfuse.io.looping import LoopingSource
from streamfuse.io.media import VideoSource
from streamfuse.io.plugins import PLUGIN_GROUP, Factory, find_plugin
from streamfuse.io.source import Source
from streamfuse.io.unused import refuse_unused

__all__ = ["PLUGIN_GROUP", "is_live", "open_source", "redact"]

_NETWORK: Final = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "http", "https")
# Imported when asked for: each of them loads a library that a run on other sources has no use for.
_BUILT_IN: Final = {
    **dict.fromkeys(_NETWORK, "streamfuse.io.cameras.network:NetworkSource"),
    "tcp": "streamfuse.io.cameras.node:NodeSource",
    "genicam": "streamfuse.io.cameras.genicam:GenicamSource",
    "recording": "streamfuse.io.recording:RecordingSource",
}
_OF_CAMERAS: Final = (
    "decode",
    "force_index",
    "input_format",
    "keys",
    "latency_ms",
    "options",
    "size",
    "transport",
)
_UNUSED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "a synthetic scene": (*_OF_CAMERAS, "fps", "loop"),
        "a recording": (*_OF_CAMERAS, "fps"),
        "a video file": (*_OF_CAMERAS, "fps"),
        "a folder of images": _OF_CAMERAS,
        "an RTSP camera": ("force_index", "input_format", "keys", "loop"),
        "a network stream": ("force_index", "input_format", "keys", "loop", "transport"),
        "a capture node": ("decode", "force_index", "input_format", "loop", "transport"),
    }
)
"""Keys that a kind of source cannot use; devices and plug-ins look after theirs. ``timeout_s`` and ``retry``
are for all: of what never keeps one waiting they are kept, too."""
_PLAYED: Final = {"synthetic", "recording"}
"""Schemes of sources that wait for whoever reads them."""
_KIND_OF_SCHEME: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(_NETWORK, "a network stream"),
        **dict.fromkeys(("rtsp", "rtsps"), "an RTSP camera"),
        "synthetic": "a synthetic scene",
        "recording": "a recording",
        "tcp": "a capture node",
    }
)
_SUPPORTED: Final = "a video file, a folder of images, /dev/v4l/by-id/… or one of " + ", ".join(
    f"{scheme}://" for scheme in ("synthetic", *_BUILT_IN)
)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Up to the last @ of what follows a colon, since a password may hold a slash; or of the authority.
_USERINFO: Final = re.compile(r"(?<=://)(?:[^/\s]*:\S*|[^/\s]*)@")
_SECRET_QUERY: Final = re.compile(
    r"(?i)(?<=[?&])((?:pass\w*|pwd|token|secret|key|api_?key|auth\w*)=)[^&#\s]*"
)


def is_live(uri: str) -> bool:
    """Whether a URI names a camera, which gives frames in its own time, rather than a recording."""
    scheme = _SCHEME.match(uri)
    return uri.startswith("/dev/") or (scheme is not None and scheme[1].lower() not in _PLAYED)


def open_source(config: SourceConfig | str, *, stream: StreamName, partner_uri: str | None = None) -> Source:
    """Open what ``config`` names; a bare URI takes the default for everything else.

    Args:
        config: The source's block of the pipeline file.
        stream: Which stream of the pair it is.
        partner_uri: The other stream's; of two folders only the images with a partner are read.

    Raises:
        SourceError: nothing there, unreadable, or (a camera) not of the declared pixels. A camera may be
            tried again.
        UsageError: a kind of source, or an option of it, that is not supported, or a recording that is
            not of the declared pixels.
    """
    if isinstance(config, str):
        config = SourceConfig(uri=config)
    source = _open(config, stream, partner_uri)
    if not isinstance(config, InfraredSource):
        return source
    try:
        check_declared(config, source.info.spec.format)
        return LeptonSource(source) if config.telemetry == "lepton" else source
    except UsageError as error:
        source.close()
        if source.info.live:  # a camera may come back in the right mode
            raise SourceError(str(error)) from error
        raise


def _open(config: SourceConfig, stream: StreamName, partner_uri: str | None) -> Source:
    kind = _kind_of(config.uri)
    if kind is not None:
        refuse_unused(config, _UNUSED[kind], label=f"{stream}: {redact(config.uri)}", kind=kind)
    if config.loop and not is_live(config.uri):
        return LoopingSource(lambda: _open_once(config, stream, partner_uri))
    return _open_once(config, stream, partner_uri)


def _kind_of(uri: str) -> str | None:
    """The name of a kind of source in :data:`_UNUSED`; None for devices and plug-ins."""
    scheme = _SCHEME.match(uri)
    if scheme is not None:
        return _KIND_OF_SCHEME.get(scheme[1].lower())
    if uri.startswith("/dev/"):
        return None
    return "a folder of images" if Path(uri).is_dir() else "a video file"


def _open_once(config: SourceConfig, stream: StreamName, partner_uri: str | None) -> Source:
    uri = config.uri
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme[1].lower() == "synthetic":
        return _load("streamfuse.io.synthetic.source:open_scene")(uri, stream=stream)
    if scheme is not None:
        return _factory(scheme[1].lower(), uri, stream)(config, stream=stream)
    if uri.startswith("/dev/"):
        return _load("streamfuse.io.cameras.v4l2:V4l2Source")(config, stream=stream)
    path = Path(uri)
    if path.is_dir():
        return _folder(path, config, stream, partner_uri)
    if path.suffix.lower() in SUFFIXES:
        raise SourceError(f"{stream}: {uri} is a single image; give {_SUPPORTED}")
    return VideoSource(path, stream=stream)


def _folder(folder: Path, config: SourceConfig, stream: StreamName, partner_uri: str | None) -> Source:
    painted = isinstance(config, InfraredSource) and config.palette_in is not None
    return ImageFolderSource(
        folder,
        stream=stream,
        stems=_common_stems(folder, stream, partner_uri),
        fps=config.fps or DEFAULT_FPS,
        colored=painted or None,
    )


def _factory(scheme: str, uri: str, stream: StreamName) -> Factory:
    if scheme in _BUILT_IN:
        return _load(_BUILT_IN[scheme])
    label = f"{stream}: {redact(uri)}"
    factory = find_plugin(scheme, label=label)
    if factory is None:
        raise UsageError(
            f"{label}: no source of the kind {scheme}://; supported are {_SUPPORTED}, "
            f"and packages with an entry point in the group {PLUGIN_GROUP}"
        )
    return factory


def _load(place: str) -> Factory:
    module, _, name = place.partition(":")
    factory: Factory = getattr(import_module(module), name)
    return factory


def redact(uri: str) -> str:
    """``uri`` without user, password and secret query values, for logs and messages.

    When it is unclear where a password ends, more is hidden rather than less.
    """
    return _SECRET_QUERY.sub(r"\1***", _USERINFO.sub("***@", uri))


def _common_stems(folder: Path, stream: StreamName, partner_uri: str | None) -> tuple[str, ...] | None:
    """The stems of both folders; None if the partner is not a folder."""
    if partner_uri is None or not Path(partner_uri).is_dir():
        return None
    partner = Path(partner_uri)
    is_visible = stream is StreamName.VISIBLE
    return match_stems(*((folder, partner) if is_visible else (partner, folder))).stems
