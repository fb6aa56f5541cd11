"""Whether what a segment's files hold fits together; decided from times alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.io.index import SAME_NS, Index, IndexLine, lines_with
from streamfuse.io.recovery import counted, is_loss
from streamfuse.io.shelf import Track
from streamfuse.io.video.inspect import VideoFacts
from streamfuse.jobs.verifying.report import Gap, Mend, Problem

__all__ = ["Match", "gaps_of", "index_problems", "match", "unlisted_ns", "unseen", "video_problems"]

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
    explained = {number for track in facts for number in _excused(track, facts, lines)}
    return sorted(set.intersection(*gone) - explained) if gone else []


def unlisted_ns(facts: Mapping[Track, VideoFacts], lines: Sequence[IndexLine]) -> tuple[int, ...]:
    """Times of the fused pictures that a line can be added for.

    There are none where the video may be that of another segment: where it lacks pictures, too, or its
    times do not rise.
    """
    fused = facts.get(Track.FUSED)
    if fused is None or _is_falling(fused):
        return ()
    found = match(fused.times_ns, lines, Track.FUSED)
    if not set(found.missing) <= {*_excused(Track.FUSED, facts, lines)}:
        return ()
    known = {_as_written(line.pts_ns) for line in lines}
    return tuple(ns for ns in (fused.times_ns[n] for n in found.strange) if _as_written(ns) not in known)


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
        verbs = "is damaged or leans" if facts.damaged == 1 else "are damaged or lean"
        text = f"{facts.damaged} of {counted(good + facts.damaged, 'picture')} {verbs} on one that is"
        yield Problem(file=name, text=text, mend=Mend.PICTURES)
    elif facts.promised is not None and facts.promised != good:
        text = f"holds {good} of the {counted(facts.promised, 'picture')} that its head tells of"
        yield Problem(file=name, text=text, mend=Mend.PICTURES)
    if facts.resized:
        verb = "has" if facts.resized == 1 else "have"
        text = f"{counted(facts.resized, 'picture')} {verb} another size than the first"
        yield Problem(file=name, text=text)
    if _is_falling(facts):
        falling = sum(after <= before for before, after in pairwise(facts.times_ns))
        yield Problem(file=name, text=f"its times do not rise from 0 ({counted(falling or 1, 'picture')})")


def index_problems(index: Index, facts: Mapping[Track, VideoFacts]) -> Iterator[Problem]:
    """What is wrong with an index, by itself and beside the videos of its segment."""
    name = index.path.name
    if index.bad_lines:
        count, first = len(index.bad_lines), index.bad_lines[0]
        text = f"{count} lines, from line {first} on, cannot be read or do not rise in time"
        if count == 1:
            text = f"line {first} cannot be read or does not rise in time"
        yield Problem(file=name, text=text, mend=Mend.CUT_INDEX)
    if index.is_cut:
        yield Problem(file=name, text="its last line is cut off", mend=Mend.CUT_INDEX)
    gone = unseen(facts, index.lines)
    if gone:
        verb = "has" if len(gone) == 1 else "have"
        text = f"{len(gone)} of {counted(len(index.lines), 'line')} {verb} no picture"
        text += _at(index.lines[gone[0]])
        mend = Mend.CUT_INDEX if _is_cost(gone, index.lines) else None
        yield Problem(file=name, text=text, mend=mend)
    can_add = bool(unlisted_ns(facts, index.lines))
    for track, each in facts.items():
        found = match(each.times_ns, index.lines, track)
        known = {*gone, *_excused(track, facts, index.lines)}
        mend = Mend.ADD_LINES if can_add and track is Track.FUSED else None
        yield from _disagreements(each, found, index.lines, known=known, mend=mend)


def _disagreements(
    facts: VideoFacts, found: Match, lines: Sequence[IndexLine], *, known: set[int], mend: Mend | None
) -> Iterator[Problem]:
    name = facts.path.name
    missing = [number for number in found.missing if number not in known]
    if missing:
        text = f"lacks {counted(len(missing), 'picture')} that the index tells of{_at(lines[missing[0]])}"
        yield Problem(file=name, text=text)
    if found.strange:
        first_s = facts.times_ns[found.strange[0]] / NS_PER_S
        verb = "is" if len(found.strange) == 1 else "are"
        text = f"{counted(len(found.strange), 'picture')} {verb} not in the index, from {first_s:.3f} s on"
        yield Problem(file=name, text=text, mend=mend)


def _excused(track: Track, facts: Mapping[Track, VideoFacts], lines: Sequence[IndexLine]) -> Sequence[int]:
    """Numbers of the lines at the end whose pictures a video lacks because its writer was killed.

    The videos of a segment go to the disk one after the other, so one may end a little before another.
    """
    video = facts[track]
    if not video.was_mended or not video.times_ns:
        return ()
    last_ns = video.times_ns[-1]
    end_ns = max(each.times_ns[-1] for each in facts.values() if each.times_ns)
    lost = [n for n in lines_with(track, lines) if last_ns < lines[n].pts_ns - SAME_NS <= end_ns]
    return lost if is_loss(end_ns - last_ns, len(lost)) else ()


def _is_cost(gone: Sequence[int], lines: Sequence[IndexLine]) -> bool:
    """Whether lines without pictures are what damage costs, and not an end without room for videos."""
    first = len(lines)
    for number in reversed(gone):
        if number != first - 1:
            break
        first = number
    return first == len(lines) or is_loss(lines[-1].pts_ns - lines[first].pts_ns, len(lines) - first)


def _is_falling(video: VideoFacts) -> bool:
    """Whether its times do not rise from 0."""
    return any(after <= before for before, after in pairwise((-1, *video.times_ns)))


def _as_written(time_ns: int) -> float:
    """A time as lines have it; two of the same would make one of them bad."""
    return round(time_ns / NS_PER_MS, 3)


def _at(line: IndexLine) -> str:
    return f", from {line.pts_ns / NS_PER_S:.3f} s on"
