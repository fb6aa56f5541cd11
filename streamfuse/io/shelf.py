"""Where the files of a recording lie and what they are called; the one place that knows.

::

    DIR/NAME-20261122T065330Z-0001.mp4                fused video of one segment
    DIR/NAME-20261122T065330Z-0001.visible.mp4        the other tracks, as far as they are recorded
    DIR/NAME-20261122T065330Z-0001.infrared.mp4
    DIR/NAME-20261122T065330Z-0001.raw-infrared.mkv
    DIR/NAME-20261122T065330Z-0001.jsonl              its index, a line for each pair
    DIR/events/EVENTID.mp4 · .jpg · .json             a clip, its thumbnail, what it is about

The time is the UTC of the segment's first pair. A file that is being written has ``.part`` appended,
and its writer holds an exclusive ``flock`` on it; it is renamed when it is closed. So a ``.part`` that
nobody holds was left by a crash.
"""

from __future__ import annotations

import enum
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from os import stat_result
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streamfuse.errors import SourceError

__all__ = [
    "CLIP_SUFFIXES",
    "ClipFiles",
    "SegmentFiles",
    "Track",
    "clip_path",
    "free_stem",
    "index_path",
    "list_clips",
    "list_segments",
    "part_of",
    "pipeline_of",
    "segment_path",
    "stem_of",
    "suffix_of",
    "whole_of",
]


class Track(enum.StrEnum):
    """One video of a segment; all of a segment have the same timeline."""

    FUSED = "fused"
    VISIBLE = "visible"
    INFRARED = "infrared"
    """Registered to the visible image, 8 bits."""
    RAW_INFRARED = "raw_infrared"
    """The infrared camera's own samples, lossless."""


_SUFFIXES: Mapping[Track, str] = MappingProxyType(
    {
        Track.FUSED: ".mp4",
        Track.VISIBLE: ".visible.mp4",
        Track.INFRARED: ".infrared.mp4",
        Track.RAW_INFRARED: ".raw-infrared.mkv",
    }
)
_INDEX = ".jsonl"
_PART = ".part"
_CLIPS = "events"
CLIP_SUFFIXES = (".mp4", ".jpg", ".json")
"""Of a clip's video, of its thumbnail, and of what it is about."""

_BEGUN = "%Y%m%dT%H%M%SZ"
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_STEM = re.compile(r"([\w.-]+)-(\d{8}T\d{6}Z)-\d{4,}")
_EVENT = re.compile(r"[\w-][\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFiles:
    """The files of one segment, as far as they are there."""

    stem: str
    tracks: Mapping[Track, Path]
    """Where each video lies at the moment: under its own name, or as a ``.part``."""
    index: Path | None
    nbytes: int
    begun_utc: datetime
    is_open: bool
    """Whether a ``.part`` of it is there: it is being written, or its writer died."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of its files, the index last."""
        return (*self.tracks.values(), *(() if self.index is None else (self.index,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFiles:
    """The files of one event's clip, as far as they are there."""

    id: str
    """Of the event."""
    video: Path | None
    thumbnail: Path | None
    about: Mapping[str, Any]
    """What its JSON file says; empty without one that can be read."""
    begun_utc: datetime
    """``began_utc`` of ``about``; without it, when its first file was written last."""
    nbytes: int
    is_open: bool
    """Whether a ``.part`` of it is there: it is being written, or its writer died."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of its files but the one that ``about`` was read from."""
        return tuple(path for path in (self.video, self.thumbnail) if path is not None)


def suffix_of(track: Track) -> str:
    """What follows a segment's stem in the name of a track: ``.mp4``, ``.visible.mp4``, and so on."""
    return _SUFFIXES[track]


def segment_path(folder: Path, stem: str, track: Track) -> Path:
    """Where a closed track of a segment lies.

    Raises:
        ValueError: ``stem`` is not that of a segment.
    """
    return folder / f"{_checked(stem, _STEM)}{_SUFFIXES[track]}"


def index_path(folder: Path, stem: str) -> Path:
    """Where the closed index of a segment lies.

    Raises:
        ValueError: ``stem`` is not that of a segment.
    """
    return folder / f"{_checked(stem, _STEM)}{_INDEX}"


def clip_path(folder: Path, event_id: str, suffix: str) -> Path:
    """Where a closed file of an event's clip lies, in the folder of the recordings.

    Args:
        folder: Of the recordings.
        event_id: Of the event; letters, digits, dot, dash and underscore, no dot first.
        suffix: One of :data:`CLIP_SUFFIXES`.

    Raises:
        ValueError: the suffix or the name is another.
    """
    if suffix not in CLIP_SUFFIXES:
        raise ValueError(f"a clip's files end in {', '.join(CLIP_SUFFIXES)}, got {suffix!r}")
    return folder / _CLIPS / f"{_checked(event_id, _EVENT)}{suffix}"


def part_of(path: Path) -> Path:
    """The name of a file while it is written."""
    return path.with_name(f"{path.name}{_PART}")


def whole_of(part: Path) -> Path:
    """The name of a file once it is closed: the opposite of :func:`part_of`."""
    return part.with_name(part.name.removesuffix(_PART))


def stem_of(name: str, begun_utc: datetime, number: int) -> str:
    """The stem of a pipeline's segment; what cannot stand in file names becomes a dash."""
    return f"{_NOT_IN_NAMES.sub('-', name).lstrip('.')}-{begun_utc.astimezone(UTC):{_BEGUN}}-{number:04d}"


def free_stem(folder: Path, name: str, begun_utc: datetime, *, number: int = 1) -> str:
    """The stem with the lowest number from ``number`` on of which ``folder`` has no file.

    A recorder that is started again within the second must not overwrite its forerunner.
    """
    while True:
        stem = stem_of(name, begun_utc, number)
        finals = [folder / f"{stem}{suffix}" for suffix in (*_SUFFIXES.values(), _INDEX)]
        if not any(path.exists() or part_of(path).exists() for path in finals):
            return stem
        number += 1


def pipeline_of(stem: str) -> str:
    """The name of the pipeline in a segment's stem.

    Raises:
        ValueError: ``stem`` is not that of a segment.
    """
    return _checked(stem, _STEM).rsplit("-", 2)[0]


def list_segments(folder: Path) -> list[SegmentFiles]:
    """The segments of a folder, oldest first; a folder that is not there has none.

    Raises:
        SourceError: the folder cannot be listed.
    """
    found: dict[str, dict[str, _File]] = defaultdict(dict)
    for file in _files(folder):
        # The longest suffix first: .visible.mp4 ends in .mp4, too.
        for suffix in sorted((*_SUFFIXES.values(), _INDEX), key=len, reverse=True):
            if file.name.endswith(suffix):
                stem = file.name.removesuffix(suffix)
                if _is_stem(stem):
                    found[stem].setdefault(suffix, file)
                break
    segments = [_segment(stem, files) for stem, files in found.items()]
    return sorted(segments, key=lambda segment: (segment.begun_utc, segment.stem))


def list_clips(folder: Path) -> list[ClipFiles]:
    """The clips in the ``events`` of a folder of recordings, newest first; without any, none.

    Raises:
        SourceError: the folder cannot be listed.
    """
    found: dict[str, dict[str, _File]] = defaultdict(dict)
    for file in _files(folder / _CLIPS):
        suffix = Path(file.name).suffix
        event_id = file.name.removesuffix(suffix)
        if suffix in CLIP_SUFFIXES and _EVENT.fullmatch(event_id):
            found[event_id].setdefault(suffix, file)
    clips = [_clip(event_id, files) for event_id, files in found.items()]
    return sorted(clips, key=lambda clip: (clip.begun_utc, clip.id), reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of a listing; ``name`` is without ``.part``."""

    name: str
    path: Path
    status: stat_result

    @property
    def is_part(self) -> bool:
        return self.path.name != self.name


def _files(folder: Path) -> Iterator[_File]:
    """The files of a folder that are not hidden; if one is there closed and as a part, closed first."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed ({error.strerror}); check its rights") from error
    for path in paths:
        try:
            status = path.stat()
        except OSError:  # it was renamed or removed since the listing
            continue
        yield _File(name=whole_of(path).name, path=path, status=status)


def _segment(stem: str, files: Mapping[str, _File]) -> SegmentFiles:
    index = files.get(_INDEX)
    return SegmentFiles(
        stem=stem,
        tracks={track: files[suffix].path for track, suffix in _SUFFIXES.items() if suffix in files},
        index=None if index is None else index.path,
        nbytes=sum(file.status.st_size for file in files.values()),
        begun_utc=_begun_utc(stem),
        is_open=any(file.is_part for file in files.values()),
    )


def _clip(event_id: str, files: Mapping[str, _File]) -> ClipFiles:
    video, thumbnail, about_file = (files.get(suffix) for suffix in CLIP_SUFFIXES)
    about = {} if about_file is None else _read_about(about_file.path)
    return ClipFiles(
        id=event_id,
        video=None if video is None else video.path,
        thumbnail=None if thumbnail is None else thumbnail.path,
        about=about,
        begun_utc=_clip_begun_utc(about, files),
        nbytes=sum(file.status.st_size for file in files.values()),
        is_open=any(file.is_part for file in files.values()),
    )


def _clip_begun_utc(about: Mapping[str, Any], files: Mapping[str, _File]) -> datetime:
    try:
        return datetime.fromisoformat(about["began_utc"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return datetime.fromtimestamp(min(file.status.st_mtime for file in files.values()), UTC)


def _read_about(path: Path) -> Mapping[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _begun_utc(stem: str) -> datetime:
    return datetime.strptime(stem.rsplit("-", 2)[1], _BEGUN).replace(tzinfo=UTC)


def _is_stem(stem: str) -> bool:
    """Whether it has the form of a segment's, with a time that exists."""
    if not _STEM.fullmatch(stem):
        return False
    try:
        _begun_utc(stem)
    except ValueError:
        return False
    return True


def _checked(name: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(name):
        raise ValueError(f"no name of a recording's file: {name!r}")
    return name
