"""Whether what a segment's files hold fits together; decided from times alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from streamfuse.clock import NS_PER_S
from streamfuse.io.index import SAME_NS, Index, IndexLine, lines_with
from streamfuse.io.recovery import LOSS_NS
from streamfuse.io.shelf import Track
from streamfuse.io.video.inspect import VideoFacts
from streamfuse.jobs.verifying.report import Gap, Mend, Problem

__all__ = ["Match", "gaps_of", "index_problems", "match", "unseen", "video_problems"]

_GAP_PERIODS = 3
"""A pair that comes so many periods after the one before it comes after a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The pictures of one track beside the lines of the index."""

    missing: tuple[int, ...]
    """Numbers of the lines that should have a picture and have none, the first line being 0."""
    strange: tuple[int, ...]
    """Numbers of the pictures that no line knows."""


def match(times_ns: Sequence[int], lines: Sequence[IndexLine], track: Track) -> Match:
    """Lay pictures and lines, both rising in time, beside each other."""
    seen: set[int] = set()
    strange = []
    number = 0
    for picture, time_ns in enumerate(times_ns):
        while number < len(lines) and lines[number].pts_ns < time_ns - SAME_NS:
            number += 1
        if number < len(lines) and lines[number].pts_ns <= time_ns + SAME_NS:
            seen.add(number)
            number += 1
        else:
            strange.append(picture)
    missing = tuple(n for n in lines_with(track, lines) if n not in seen)
    return Match(missing=missing, strange=tuple(strange))


def unseen(facts: Mapping[Track, VideoFacts], lines: Sequence[IndexLine]) -> list[int]:
    """Numbers of the lines of which no video has a picture, and that no crash explains."""
    gone = [set(match(each.times_ns, lines, Track.FUSED).missing) for each in facts.values()]
    explained = {number for each in facts.values() for number in _excused(each, facts, lines)}
    return sorted(set.intersection(*gone) - explained) if gone else []


def gaps_of(lines: Sequence[IndexLine], fps: float) -> tuple[Gap, ...]:
    """Where pairs are much further apart than they usually are."""
    steps = [(before.pts_ns, after.pts_ns - before.pts_ns) for before, after in pairwise(lines)]
    if not steps:
        return ()
    usual_ns = max(NS_PER_S / fps, median(step for _, step in steps))
    return tuple(
        Gap(at_s=round(at_ns / NS_PER_S, 3), length_s=round(step_ns / NS_PER_S, 3))
        for at_ns, step_ns in steps
        if step_ns > _GAP_PERIODS * usual_ns
    )


def video_problems(facts: VideoFacts) -> Iterator[Problem]:
    """What is wrong with a video by itself."""
    name, good = facts.path.name, len(facts.times_ns)
    if facts.broken_off is not None:
        yield Problem(file=name, text=f"cannot be read past picture {good}", mend=Mend.PICTURES)
    elif facts.damaged:
        text = f"{facts.damaged} of {good + facts.damaged} pictures are damaged or lean on one that is"
        yield Problem(file=name, text=text, mend=Mend.PICTURES)
    elif facts.promised is not None and facts.promised != good:
        text = f"holds {good} of the {facts.promised} pictures that its head tells of"
        yield Problem(file=name, text=text, mend=Mend.PICTURES)
    if facts.resized:
        yield Problem(file=name, text=f"{facts.resized} pictures have another size than the first")
    falling = sum(after <= before for before, after in pairwise(facts.times_ns))
    if falling or (facts.times_ns and facts.times_ns[0] < 0):
        yield Problem(file=name, text=f"the times of {falling or 1} pictures do not rise from 0")


def index_problems(index: Index, facts: Mapping[Track, VideoFacts]) -> Iterator[Problem]:
    """What is wrong with an index, by itself and beside the videos of its segment."""
    name = index.path.name
    if index.bad_lines:
        count, first = len(index.bad_lines), index.bad_lines[0]
        text = f"{count} lines, from line {first} on, cannot be read or do not rise in time"
        yield Problem(file=name, text=text, mend=Mend.CUT_INDEX)
    if index.is_cut:
        yield Problem(file=name, text="its last line is cut off", mend=Mend.CUT_INDEX)
    excused = {track: _excused(each, facts, index.lines) for track, each in facts.items()}
    gone = unseen(facts, index.lines)
    if gone:
        text = f"{len(gone)} of {len(index.lines)} lines have no picture{_at(index.lines[gone[0]])}"
        mend = Mend.CUT_INDEX if _is_loss(gone, index.lines) else None
        yield Problem(file=name, text=text, mend=mend)
    for track, each in facts.items():
        found = match(each.times_ns, index.lines, track)
        yield from _disagreements(each, found, index.lines, known={*gone, *excused[track]})


def _disagreements(
    facts: VideoFacts, found: Match, lines: Sequence[IndexLine], *, known: set[int]
) -> Iterator[Problem]:
    name = facts.path.name
    missing = [number for number in found.missing if number not in known]
    if missing:
        text = f"lacks {len(missing)} pictures that the index tells of{_at(lines[missing[0]])}"
        yield Problem(file=name, text=text)
    if found.strange:
        first_s = facts.times_ns[found.strange[0]] / NS_PER_S
        text = f"{len(found.strange)} pictures are not in the index, from {first_s:.3f} s on"
        yield Problem(file=name, text=text)


def _excused(
    video: VideoFacts, facts: Mapping[Track, VideoFacts], lines: Sequence[IndexLine]
) -> Sequence[int]:
    """Numbers of the lines at the end that a video lacks because its writer was killed.

    The videos of a segment go to the disk one after the other, so one may end a little before another.
    """
    ends_ns = [each.times_ns[-1] for each in facts.values() if each.times_ns]
    if not video.was_mended or not video.times_ns or max(ends_ns) - video.times_ns[-1] > LOSS_NS:
        return ()
    times_ns = [line.pts_ns - SAME_NS for line in lines]
    return range(bisect_right(times_ns, video.times_ns[-1]), bisect_right(times_ns, max(ends_ns)))


def _is_loss(gone: Sequence[int], lines: Sequence[IndexLine]) -> bool:
    """Whether lines without pictures are what damage costs, and not an end without room for videos."""
    first = len(lines)
    for number in reversed(gone):
        if number != first - 1:
            break
        first = number
    return first == len(lines) or lines[-1].pts_ns - lines[first].pts_ns <= LOSS_NS


def _at(line: IndexLine) -> str:
    return f", from {line.pts_ns / NS_PER_S:.3f} s on"
