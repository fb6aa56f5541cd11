"""Mending a segment, clip or video; what was there is kept beside it as ``.damaged``."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.pair_record import PAIR_SCHEMA
from streamfuse.errors import OutputError, SourceError
from streamfuse.io.files import write_text
from streamfuse.io.index import INDEX_SCHEMA, add_lines, cut_index, read_index
from streamfuse.io.recovery import DAMAGED, counted, hidden, recover_clip, recover_segment
from streamfuse.io.shelf import ClipFiles, SegmentFiles, Track, index_path, pipeline_of, segment_path
from streamfuse.io.video.inspect import VideoFacts, inspect_video
from streamfuse.io.video.repair import copy_pictures
from streamfuse.jobs.verifying.checking import Target
from streamfuse.jobs.verifying.judging import unlisted_ns, unseen
from streamfuse.jobs.verifying.report import Finding, Mend

__all__ = ["mend"]

_LONE_FPS = 25.0
"""Of a video of one picture, which tells no rate."""


def mend(target: Target, finding: Finding) -> list[str]:
    """Do the first thing that can be done about ``finding``'s problems; what was done, a sentence each.

    Others may go with it, and the next step needs a new listing: so check again, and call again.

    Raises:
        OutputError: it cannot be written.
        SourceError: a file cannot be read any more.
    """
    wanted = {problem.mend: problem.file for problem in reversed(finding.problems)}
    step = next((step for step in _STEPS if step in wanted), None)
    try:
        return [] if step is None else _STEPS[step](target, wanted[step])
    except OSError as error:
        raise OutputError(f"{wanted[step]}: cannot be mended ({error.strerror})") from error


def _finish(target: Target, _: str) -> list[str]:
    match target:
        case SegmentFiles():
            results = recover_segment(target)
        case ClipFiles():
            results = recover_clip(target)
        case Path():
            results = []
    return [f"{each.path.name}: {each.fate}, {each.note}" for each in results]


def _copy_pictures(target: Target, name: str) -> list[str]:
    path = next(path for path in _paths(target) if path.name == name)
    facts = inspect_video(path)
    copy = hidden(path)
    copy.unlink(missing_ok=True)  # of a repair that was itself cut off
    copy_pictures(path, copy, facts.times_ns)
    aside = _aside(path)
    path.rename(aside)
    copy.rename(path)
    kept, left_out = counted(len(facts.times_ns), "picture"), facts.damaged
    return [f"{name}: {kept} kept, {left_out} left out; the old file is {aside.name}"]


def _cut_index(target: Target, name: str) -> list[str]:
    assert isinstance(target, SegmentFiles)  # nothing else has an index
    assert target.index is not None
    lines = read_index(target.index).lines
    gone_ns = frozenset(lines[number].pts_ns for number in unseen(_facts(target), lines))
    aside = _aside(target.index)
    shutil.copyfile(target.index, aside)
    count = cut_index(target.index, gone_ns=gone_ns)
    return [f"{name}: {counted(count, 'line')} kept; the old file is {aside.name}"]


def _add_lines(target: Target, _: str) -> list[str]:
    assert isinstance(target, SegmentFiles)  # nothing else has an index
    assert target.index is not None
    index = read_index(target.index)
    first_ns = index.lines[0].capture_ns - index.lines[0].pts_ns if index.lines else 0
    records = [
        {**_record(index.start_utc, time_ns, first_ns + time_ns), "rebuilt": True}
        for time_ns in unlisted_ns(_facts(target), index.lines)
    ]
    aside = _aside(target.index)
    shutil.copyfile(target.index, aside)
    add_lines(target.index, records)
    added = f"{counted(len(records), 'line')} added, without what had been found"
    return [f"{target.index.name}: {added}; the old file is {aside.name}"]


def _new_index(target: Target, name: str) -> list[str]:
    assert isinstance(target, SegmentFiles)
    facts = _facts(target)
    done = []
    if target.index is not None:
        aside = _aside(target.index)
        target.index.rename(aside)
        done.append(f"{name}: set aside as {aside.name}")
    main = next(iter(facts.values()))
    records = [
        {**_record(target.begun_utc, time_ns, time_ns), "pair_id": number}
        for number, time_ns in enumerate(main.times_ns)
    ]
    lines = [_header(target, main), *records]
    path = index_path(main.path.parent, target.stem)
    write_text(path, "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    count = counted(len(records), "picture")
    return [*done, f"{path.name}: made anew from the times of {count}, without what had been found"]


def _header(files: SegmentFiles, main: VideoFacts) -> dict[str, Any]:
    steps_ns = [after - before for before, after in pairwise(main.times_ns)]
    return {
        "streamfuse_index": INDEX_SCHEMA,
        "pipeline": pipeline_of(files.stem),
        "video": segment_path(Path(), files.stem, Track.FUSED).name,
        "tracks": {track.value: path.name for track, path in files.tracks.items()},
        "size_wh": main.size_wh,
        "fps": round(NS_PER_S / median(steps_ns), 3) if steps_ns else _LONE_FPS,
        "codec": None,
        "start_utc": _utc(files.begun_utc),
        "start_capture_ns": 0,
        "rebuilt": True,
    }


def _record(start_utc: datetime, time_ns: int, capture_ns: int) -> dict[str, Any]:
    """The line of a picture, with the keys of a pair's record; None is what is not known any more."""
    return {
        "pts_ms": round(time_ns / NS_PER_MS, 3),
        "schema": PAIR_SCHEMA,
        "pair_id": None,
        "capture_utc": _utc(start_utc + timedelta(microseconds=time_ns // 1_000)),
        "capture_ns": capture_ns,
        **dict.fromkeys(("state", "skew_ms", "infrared_age_ms", "visible_seq", "infrared_seq")),
        "detections": [],
        "events": [],
    }


def _facts(files: SegmentFiles) -> dict[Track, VideoFacts]:
    """The videos of a segment that can be opened."""
    facts = {}
    for track, path in files.tracks.items():
        with contextlib.suppress(SourceError):
            facts[track] = inspect_video(path)
    return facts


def _paths(target: Target) -> tuple[Path, ...]:
    return (target,) if isinstance(target, Path) else target.paths


def _aside(path: Path) -> Path:
    """A free name for the old file."""
    aside, number = path.with_name(f"{path.name}{DAMAGED}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{DAMAGED}-{number}")
    return aside


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


_STEPS: Mapping[Mend, Callable[[Target, str], list[str]]] = MappingProxyType(
    {
        Mend.FINISH: _finish,
        Mend.PICTURES: _copy_pictures,
        Mend.CUT_INDEX: _cut_index,
        Mend.ADD_LINES: _add_lines,
        Mend.NEW_INDEX: _new_index,
    }
)
