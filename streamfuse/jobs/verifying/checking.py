"""Looking into the files of one segment, clip or video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamfuse.errors import SourceError
from streamfuse.io.images import read_image
from streamfuse.io.index import Index, lines_with, read_index
from streamfuse.io.recovery import is_held, is_loss
from streamfuse.io.shelf import ClipFiles, SegmentFiles, Track, segment_path, whole_of
from streamfuse.io.video.inspect import VideoFacts, inspect_video
from streamfuse.jobs.verifying.judging import gaps_of, index_problems, video_problems
from streamfuse.jobs.verifying.report import Finding, Kind, Mend, Problem, VideoReport

__all__ = ["Target", "check"]

_CLIP_OFF_S = 1.0
"""A clip's length and what its JSON file says of it may differ by a picture, and by rounding."""

Target = SegmentFiles | ClipFiles | Path
"""What can be checked; a path is that of a video which is not one of a recording."""


def check(target: Target) -> Finding:
    """Decode all videos of ``target``, and hold them against each other and what is written of them."""
    if isinstance(target, SegmentFiles):
        return _check_segment(target)
    return _check_clip(target) if isinstance(target, ClipFiles) else _check_video(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What became of opening some videos."""

    facts: Mapping[Track, VideoFacts]
    problems: tuple[Problem, ...]

    @property
    def reports(self) -> tuple[VideoReport, ...]:
        return tuple(_report(facts) for facts in self.facts.values())


def _look(tracks: Mapping[Track, Path]) -> _Look:
    facts: dict[Track, VideoFacts] = {}
    problems: list[Problem] = []
    for track, path in tracks.items():
        try:
            facts[track] = inspect_video(path)
            problems += video_problems(facts[track])
        except SourceError as error:
            problems.append(_told(path, error))
    return _Look(facts=facts, problems=tuple(problems))


def _check_segment(files: SegmentFiles) -> Finding:
    parts = [path for path in files.paths if whole_of(path) != path]
    if any(is_held(part) for part in parts):
        return Finding(kind=Kind.SEGMENT, name=files.stem, being_written=True)
    look = _look(files.tracks)
    problems = [*(_left(part) for part in parts), *look.problems]
    index: Index | None = None
    if files.index is None:
        mend = Mend.NEW_INDEX if look.facts else None
        problems.append(Problem(file=f"{files.stem}.jsonl", text="is missing", mend=mend))
    else:
        try:
            index = read_index(files.index)
            problems += [*index_problems(index, look.facts), *_absent(index, files, look)]
        except SourceError as error:
            mend = Mend.NEW_INDEX if look.facts else None
            problems.append(_told(files.index, error, mend))
    return Finding(
        kind=Kind.SEGMENT,
        name=files.stem,
        videos=look.reports,
        pairs=None if index is None else len(index.lines),
        gaps=() if index is None else gaps_of(index.lines, index.fps),
        problems=tuple(problems),
    )


def _absent(index: Index, files: SegmentFiles, look: _Look) -> list[Problem]:
    """Videos that the index tells of, and that are not there.

    Without a single image of its stream a video has no file; nor had it one before it was killed, if all
    its images but the first were of what a crash costs.
    """
    was_killed = any(facts.was_mended for facts in look.facts.values())
    problems = []
    for track in Track:
        lost = [*lines_with(track, index.lines)]
        if track not in index.tracks or track in files.tracks or not lost:
            continue
        lost_ns = index.lines[-1].pts_ns - index.lines[lost[0]].pts_ns
        if not was_killed or not is_loss(lost_ns, len(lost)):
            name = segment_path(Path(), files.stem, track).name
            problems.append(Problem(file=name, text="is missing"))
    return problems


def _check_clip(files: ClipFiles) -> Finding:
    parts = [path for path in files.paths if whole_of(path) != path]
    if any(is_held(part) for part in parts):
        return Finding(kind=Kind.CLIP, name=files.id, being_written=True)
    look = _look({} if files.video is None else {Track.FUSED: files.video})
    problems = [*(_left(part) for part in parts), *look.problems]
    if files.video is None:
        problems.append(Problem(file=f"{files.id}.mp4", text="is missing"))
    if files.thumbnail is None:
        problems.append(Problem(file=f"{files.id}.jpg", text="is missing"))
    else:
        try:
            read_image(files.thumbnail)
        except SourceError as error:
            problems.append(_told(files.thumbnail, error))
    problems += _about_problems(files, look)
    return Finding(kind=Kind.CLIP, name=files.id, videos=look.reports, problems=tuple(problems))


def _about_problems(files: ClipFiles, look: _Look) -> list[Problem]:
    name = f"{files.id}.json"
    if not files.about:
        return [Problem(file=name, text="is missing, or cannot be read")]
    length_s: Any = files.about.get("duration_s")
    for facts in look.facts.values():
        if isinstance(length_s, int | float) and facts.duration_s + _CLIP_OFF_S < length_s:
            text = f"tells of {length_s:.1f} s, and the clip has {facts.duration_s:.1f} s"
            return [Problem(file=name, text=text)]
    return []


def _check_video(path: Path) -> Finding:
    look = _look({Track.FUSED: path})
    return Finding(kind=Kind.VIDEO, name=path.name, videos=look.reports, problems=look.problems)


def _report(facts: VideoFacts) -> VideoReport:
    return VideoReport(
        path=facts.path,
        size_wh=facts.size_wh,
        pictures=len(facts.times_ns),
        damaged=facts.damaged,
        duration_s=round(facts.duration_s, 3),
        nbytes=facts.path.stat().st_size,
    )


def _left(part: Path) -> Problem:
    return Problem(file=part.name, text="was left by a recorder that died", mend=Mend.FINISH)


def _told(path: Path, error: SourceError, mend: Mend | None = None) -> Problem:
    """What an error says of a file, whose path comes first in it."""
    return Problem(file=path.name, text=str(error).removeprefix(f"{path}: "), mend=mend)
