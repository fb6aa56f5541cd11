"""Checking recordings and, on request, mending what a crash or a damaged disk left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamfuse.errors import PromiseError, SourceError
from streamfuse.io.shelf import CLIP_SUFFIXES, clip_path, list_clips, list_segments, whole_of
from streamfuse.jobs.verifying.checking import Target, check
from streamfuse.jobs.verifying.mending import mend
from streamfuse.jobs.verifying.report import Finding, Kind, Report

__all__ = ["verify"]

_STEPS_MAX = 20
"""Far more than there are things to mend in one segment."""


def verify(
    recordings: Sequence[Path],
    *,
    repair: bool = False,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Decode every picture of recordings and hold their files against each other.

    Args:
        recordings: Folders of recordings, or files of a segment or clip, or any videos.
        repair: Whether to mend what can be mended; what is replaced is kept as ``.damaged``.
        on_progress: Told how many are done, of how many, and the name of the next.

    Returns:
        What was found, after the repair if there was one.

    Raises:
        SourceError: there is no such file or folder, or no recording in a folder.
        OutputError: something cannot be mended for lack of rights or room.
    """
    places = {place: target for path in recordings for place, target in _targets(path)}
    findings = []
    for done, (place, target) in enumerate(places.items()):
        if on_progress is not None:
            on_progress(done, len(places), place.name)
        findings.append(_mended(place, target) if repair else check(target))
    return Report(findings=tuple(findings))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something to check lies, whatever files there are of it at the moment."""

    folder: Path
    """Of the recordings; of the video, if it is not one of a recording."""
    kind: Kind
    name: str

    def find(self) -> Target | None:
        """What there is of it now."""
        match self.kind:
            case Kind.SEGMENT:
                return next((each for each in list_segments(self.folder) if each.stem == self.name), None)
            case Kind.CLIP:
                return next((each for each in list_clips(self.folder) if each.id == self.name), None)
            case Kind.VIDEO:
                return self.folder / self.name


def _mended(place: _Place, target: Target) -> Finding:
    """Check and mend by turns until nothing is left that can be mended."""
    done: list[str] = []
    finding = check(target)
    for _ in range(_STEPS_MAX):
        news = mend(target, finding)
        again = place.find() if news else None
        done += news
        if again is None:
            break
        target, finding = again, check(again)
    else:
        raise PromiseError(f"{place.name}: is not whole after {_STEPS_MAX} repairs; please report this")
    is_gone = place.find() is None
    return replace(finding, mended=tuple(done), problems=() if is_gone else finding.problems)


def _targets(path: Path) -> Iterator[tuple[_Place, Target]]:
    if not path.exists():
        raise SourceError(f"{path}: is not there; check the path")
    if not path.is_dir():
        yield _of_file(path)
        return
    found = [*_all(path)]
    if not found:
        raise SourceError(f"{path}: holds no recording; give the folder that a pipeline recorded into")
    yield from found


def _all(folder: Path) -> Iterator[tuple[_Place, Target]]:
    for segment in list_segments(folder):
        yield _Place(folder, Kind.SEGMENT, segment.stem), segment
    for clip in list_clips(folder):
        yield _Place(folder, Kind.CLIP, clip.id), clip


def _of_file(path: Path) -> tuple[_Place, Target]:
    """The segment or clip that a file belongs to; a video that belongs to none is checked alone."""
    for segment in list_segments(path.parent):
        if path.name in {each.name for each in segment.paths}:
            return _Place(path.parent, Kind.SEGMENT, segment.stem), segment
    home, whole = path.absolute().parent.parent, whole_of(path.absolute())
    for clip in list_clips(home):
        if whole in {clip_path(home, clip.id, suffix) for suffix in CLIP_SUFFIXES}:
            return _Place(home, Kind.CLIP, clip.id), clip
    if path.suffix == ".jsonl":
        raise SourceError(f"{path}: is no index of a recording; give its folder, or a video")
    return _Place(path.parent, Kind.VIDEO, path.name), path
