"""From a source's configuration to an open source, and a URI that may be shown to people.

A scheme names the kind of source. Kinds that are not built in come from other packages: an entry
point of the group ``streamfuse.sources``, whose name is the scheme and whose object is called as
``factory(config, stream=stream)`` and returns a :class:`~streamfuse.io.source.Source`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Final

from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import StreamName
from streamfuse.io.images import SUFFIXES, ImageFolderSource, match_stems
from streamfuse.io.media import VideoSource
from streamfuse.io.source import Source

__all__ = ["PLUGIN_GROUP", "is_live", "open_source", "redact"]

PLUGIN_GROUP: Final = "streamfuse.sources"
"""Entry points of other packages that bring further kinds of sources."""

# Imported when asked for: each of them loads a library that a run on other sources has no use for.
_BUILT_IN: Final = {
    **dict.fromkeys(
        ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "http", "https"),
        "streamfuse.io.network:NetworkSource",
    ),
    "tcp": "streamfuse.io.node:NodeSource",
    "genicam": "streamfuse.io.genicam:GenicamSource",
    "recording": "streamfuse.io.recording:RecordingSource",
}
_PLAYED: Final = {"synthetic", "recording"}
"""Schemes of sources that wait for whoever reads them."""
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
        SourceError: nothing there, or unreadable. A camera may be tried again.
        UsageError: a kind of source, or an option of it, that is not supported.
    """
    if isinstance(config, str):
        config = SourceConfig(uri=config)
    uri = config.uri
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme[1].lower() == "synthetic":
        return _load("streamfuse.io.synthetic.source:SyntheticSource")(uri, stream=stream)
    if scheme is not None:
        return _factory(scheme[1].lower(), uri, stream)(config, stream=stream)
    if uri.startswith("/dev/"):
        return _load("streamfuse.io.v4l2:V4l2Source")(config, stream=stream)
    path = Path(uri)
    if path.is_dir():
        return ImageFolderSource(path, stream=stream, stems=_common_stems(path, stream, partner_uri))
    if path.suffix.lower() in SUFFIXES:
        raise SourceError(f"{stream}: {uri} is a single image; give {_SUPPORTED}")
    return VideoSource(path, stream=stream)


Factory = Callable[..., Source]


def _factory(scheme: str, uri: str, stream: StreamName) -> Factory:
    if scheme in _BUILT_IN:
        return _load(_BUILT_IN[scheme])
    for entry in metadata.entry_points(group=PLUGIN_GROUP, name=scheme):
        factory: Factory = entry.load()
        return factory
    raise UsageError(
        f"{stream}: {redact(uri)}: no source of the kind {scheme}://; supported are {_SUPPORTED}, "
        f"and packages with an entry point in the group {PLUGIN_GROUP}"
    )


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
