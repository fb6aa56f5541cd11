"""Mending a segment, clip or video; what was there is kept beside it as ``.damaged``."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
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
from streamfuse.io.index import INDEX_SCHEMA, cut_index, read_index
from streamfuse.io.recovery import DAMAGED, hidden, recover_clip, recover_segment
from streamfuse.io.shelf import ClipFiles, SegmentFiles, Track, index_path, pipeline_of, segment_path
from streamfuse.io.video.inspect import VideoFacts, inspect_video
from streamfuse.io.video.repair import copy_pictures
from streamfuse.jobs.verifying.checking import Target
from streamfuse.jobs.verifying.judging import unseen
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
    count, left_out = len(facts.times_ns), facts.damaged
    return [f"{name}: {count} pictures kept, {left_out} left out; the old file is {aside.name}"]


def _cut_index(target: Target, name: str) -> list[str]:
    assert isinstance(target, SegmentFiles)  # nothing else has an index
    assert target.index is not None
    lines = read_index(target.index).lines
    gone_ns = frozenset(lines[number].pts_ns for number in unseen(_facts(target), lines))
    aside = _aside(target.index)
    shutil.copyfile(target.index, aside)
    count = cut_index(target.index, gone_ns=gone_ns)
    return [f"{name}: {count} lines kept; the old file is {aside.name}"]


def _new_index(target: Target, name: str) -> list[str]:
    assert isinstance(target, SegmentFiles)
    facts = _facts(target)
    done = []
    if target.index is not None:
        aside = _aside(target.index)
        target.index.rename(aside)
        done.append(f"{name}: set aside as {aside.name}")
    main = next(iter(facts.values()))
    lines = [_header(target, main), *_records(target, main)]
    path = index_path(main.path.parent, target.stem)
    write_text(path, "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    count = len(lines) - 1
    return [*done, f"{path.name}: made anew from the times of {count} pictures, without what was in them"]


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


def _records(files: SegmentFiles, main: VideoFacts) -> Iterator[dict[str, Any]]:
    """A line for each picture, with the keys of a pair's record; None is what is not known any more."""
    for number, time_ns in enumerate(main.times_ns):
        yield {
            "pts_ms": round(time_ns / NS_PER_MS, 3),
            "schema": PAIR_SCHEMA,
            "pair_id": number,
            "capture_utc": _utc(files.begun_utc + timedelta(microseconds=time_ns // 1_000)),
            "capture_ns": time_ns,
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
        Mend.NEW_INDEX: _new_index,
    }
)
