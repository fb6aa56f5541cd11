"""Events and recordings for the page: lists, thumbnails, clips, videos.

``/api/events`` and ``/api/events/ID/thumbnail.jpg`` · ``clip.mp4``; ``/api/recordings`` and
``/api/recordings/STEM/fused.mp4`` · ``visible.mp4`` · ``infrared.mp4`` · ``raw_infrared.mkv`` ·
``index.jsonl``.
Lists are newest first. Files are served once they are closed, with ranges. Nothing that a browser sends
becomes part of a path: names are looked up in a listing of the folder, and a link that leads out of it is
not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from streamfuse.clock import NS_PER_S, Clock
from streamfuse.errors import SourceError
from streamfuse.io.shelf import ClipFiles, SegmentFiles, Track, list_clips, list_segments, pipeline_of
from streamfuse.io.viewer.duration import duration_s
from streamfuse.io.viewer.eventlog import EventLog

__all__ = ["Library"]

_MOST: Final = 500
"""Entries of a list at most; ``?before=`` with the last one gives those that follow."""
_FRESH_NS: Final = 2 * NS_PER_S
"""For this long a listing is good: a player asks for many ranges of one file."""
_TRACKS: Final = MappingProxyType(
    {
        "fused.mp4": Track.FUSED,
        "visible.mp4": Track.VISIBLE,
        "infrared.mp4": Track.INFRARED,
        "raw_infrared.mkv": Track.RAW_INFRARED,
    }
)
_TYPES: Final = MappingProxyType(
    {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".jpg": "image/jpeg", ".jsonl": "text/plain"}
)


class _Listed(Protocol):
    @property
    def is_open(self) -> bool: ...


E = TypeVar("E")
T = TypeVar("T", bound=_Listed)


class Library:
    """What was recorded, as routes.

    Args:
        folder: of the recordings; None: there are none.
        events: what the live pictures told of events.
        clock: tells when the folder was listed last.
    """

    def __init__(self, folder: Path | None, events: EventLog, clock: Clock) -> None:
        self._folder = folder
        self._seen = events
        self._clips = _Listing(folder, _clips_by_id, clock)
        self._segments = _Listing(folder, _segments_by_stem, clock)
        # Starlette runs these in threads of its own: they look at disks, which may be slow.
        self.routes = [
            Route("/api/events", self.events),
            Route("/api/events/{id}/{name}", self.clip),
            Route("/api/recordings", self.recordings),
            Route("/api/recordings/{stem}/{name}", self.recording),
        ]

    def events(self, request: Request) -> Response:
        """The events with a clip, and those that the live pictures showed."""
        try:
            clips = self._clips.read()
        except SourceError as error:
            return _unavailable(error)
        seen = self._seen.entries()
        about = {**seen, **{id_: _event_entry(clip, seen.get(id_, {})) for id_, clip in clips.items()}}
        newest = sorted(about.values(), key=lambda entry: str(entry["began_utc"]), reverse=True)
        return JSONResponse(_page(request, newest, key=lambda entry: str(entry["id"])))

    def clip(self, request: Request) -> Response:
        """The thumbnail or the video of an event."""
        try:
            clip = self._clips.read().get(request.path_params["id"])
        except SourceError as error:
            return _unavailable(error)
        paths = {} if clip is None else {"thumbnail.jpg": clip.thumbnail, "clip.mp4": clip.video}
        return self._file(paths.get(request.path_params["name"]))

    def recordings(self, request: Request) -> Response:
        """The segments of the recording."""
        try:
            segments = self._segments.read()
        except SourceError as error:
            return _unavailable(error)
        page = _page(request, list(reversed(segments.values())), key=lambda segment: segment.stem)
        return JSONResponse([self._segment_entry(segment) for segment in page])

    def recording(self, request: Request) -> Response:
        """A video of a segment, or its index."""
        name = request.path_params["name"]
        try:
            segment = self._segments.read().get(request.path_params["stem"])
        except SourceError as error:
            return _unavailable(error)
        if segment is None:
            return _not_found()
        path = segment.index if name == "index.jsonl" else None
        return self._file(segment.tracks[_TRACKS[name]] if _TRACKS.get(name) in segment.tracks else path)

    def _file(self, path: Path | None) -> Response:
        """A closed file of the folder."""
        if path is None or path.suffix not in _TYPES or not self._is_inside(path):
            return _not_found()
        try:
            status = path.stat()
        except OSError:  # retention was quicker
            return _not_found()
        return FileResponse(path, media_type=_TYPES[path.suffix], stat_result=status)

    def _is_inside(self, path: Path) -> bool:
        """Whether a listed file is there and lies in the folder, as a link need not."""
        try:
            return self._folder is not None and path.resolve(strict=True).is_relative_to(
                self._folder.resolve()
            )
        except OSError:
            return False

    def _segment_entry(self, segment: SegmentFiles) -> dict[str, Any]:
        index = segment.index
        closed = index if index is not None and index.suffix in _TYPES and self._is_inside(index) else None
        return {
            "stem": segment.stem,
            "pipeline": pipeline_of(segment.stem),
            "begun_utc": segment.begun_utc.isoformat().replace("+00:00", "Z"),
            "duration_s": None if closed is None else duration_s(closed),
            "nbytes": segment.nbytes,
            "is_open": segment.is_open,
            "tracks": [track.value for track, path in segment.tracks.items() if path.suffix in _TYPES],
            "has_index": index is not None and index.suffix in _TYPES,
        }


class _Listing(Generic[T]):
    """A listing of the folder, renewed when somebody asks and it has become old."""

    def __init__(self, folder: Path | None, listed: Callable[[Path], Mapping[str, T]], clock: Clock) -> None:
        self._folder = folder
        self._listed = listed
        self._clock = clock
        self._lock = Lock()
        self._read_ns: int | None = None
        self._entries: dict[str, T] = {}

    def read(self) -> dict[str, T]:
        """All entries by name.

        Raises:
            SourceError: the folder cannot be listed.
        """
        with self._lock:
            now_ns = self._clock.now_ns()
            if self._folder is not None and (self._read_ns is None or now_ns - self._read_ns > _FRESH_NS):
                self._entries = dict(self._listed(self._folder))
                self._read_ns = now_ns
            return self._entries


def _clips_by_id(folder: Path) -> dict[str, ClipFiles]:
    return {clip.id: clip for clip in list_clips(folder)}


def _segments_by_stem(folder: Path) -> dict[str, SegmentFiles]:
    return {segment.stem: segment for segment in list_segments(folder)}


def _event_entry(clip: ClipFiles, seen: Mapping[str, Any]) -> dict[str, Any]:
    """An event with files; until what it is about lies beside them, the live pictures tell that."""
    return {
        "rule": clip.id,
        "began_utc": clip.begun_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **seen,
        **clip.about,
        "id": clip.id,
        "nbytes": clip.nbytes,
        "is_open": clip.is_open or (not clip.about and bool(seen.get("is_open"))),
        "has_clip": clip.video is not None and clip.video.suffix in _TYPES,
        "has_thumbnail": clip.thumbnail is not None and clip.thumbnail.suffix in _TYPES,
    }


def _page(request: Request, listed: Sequence[E], *, key: Callable[[E], str]) -> Sequence[E]:
    """The part of a list that a browser asks for."""
    names, before = [key(entry) for entry in listed], request.query_params.get("before")
    start = names.index(before) + 1 if before in names else 0
    return listed[start : start + _MOST]


def _not_found() -> Response:
    return PlainTextResponse("not found\n", status_code=404)


def _unavailable(error: SourceError) -> Response:
    return PlainTextResponse(f"{error}\n", status_code=503)
