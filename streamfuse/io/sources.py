"""From a URI to an open source, and a URI that may be shown to people."""

from __future__ import annotations

import re
from pathlib import Path

from streamfuse.errors import SourceError
from streamfuse.frames import StreamName
from streamfuse.io.images import SUFFIXES, ImageFolderSource, match_stems
from streamfuse.io.media import VideoSource
from streamfuse.io.source import Source

__all__ = ["open_source", "redact"]

_SUPPORTED = "a video file, a folder of images or synthetic://…"
# Up to the last @ of what follows a colon, since a password may hold a slash; or of the authority.
_USERINFO = re.compile(r"(?<=://)(?:[^/\s]*:\S*|[^/\s]*)@")
_SECRET_QUERY = re.compile(r"(?i)(?<=[?&])((?:pass\w*|pwd|token|secret|key|api_?key|auth\w*)=)[^&#\s]*")


def open_source(uri: str, *, stream: StreamName, partner_uri: str | None = None) -> Source:
    """Open what ``uri`` names: ``synthetic://…``, a folder of images or a video file.

    Args:
        uri: A path, or a URI with a scheme.
        stream: Which stream of the pair it is.
        partner_uri: The other stream's; of two folders only the images with a partner are read.

    Raises:
        SourceError: nothing there, unreadable, or a kind that is not supported.
    """
    if uri.startswith("synthetic://"):
        # Imported when asked for: the synthetic world is heavy, and a run on cameras has no use for it.
        from streamfuse.io.synthetic.source import SyntheticSource  # noqa: PLC0415 - see above

        return SyntheticSource(uri, stream=stream)
    if "://" in uri or uri.startswith("/dev/"):
        raise SourceError(
            f"{stream}: {redact(uri)} is not supported yet by this version; supported are {_SUPPORTED}"
        )
    path = Path(uri)
    if path.is_dir():
        return ImageFolderSource(path, stream=stream, stems=_common_stems(path, stream, partner_uri))
    if path.suffix.lower() in SUFFIXES:
        raise SourceError(f"{stream}: {uri} is a single image; give {_SUPPORTED}")
    return VideoSource(path, stream=stream)


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
