"""How well tracks follow who they began with, on streets whose objects are known.

    python benchmarks/tracking.py

The detector is made up, so that the numbers speak of the tracker alone: it misses small and hidden objects,
now and then any object for some frames, is unsteady at the edges of its boxes, finds some objects twice, and
sees what is not there. No picture is drawn, so this runs anywhere.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lap
import numpy as np
import numpy.typing as npt
from _common import markdown_table, run, write_results

from streamfuse.clock import NS_PER_S
from streamfuse.engine.tracking import Tracker
from streamfuse.frames import Detection
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

CLASSES = ("person", "bicycle", "car")
FIRST_SEED = 600_000
CROWDS = (9, 16, 24)
"""People of the streets, in turn."""
FPS = 30
CONFIDENCE, FAINT = 0.25, 0.1
"""Of a pipeline; below the first one an object is faint, below the second it is nothing."""
DOUBLES = 0.1
"""Share of the objects that are found twice."""
LEAST_PIXELS = 100
"""That show an object which is to be followed."""
LEAST_IOU = 0.5
"""From which a track is where an object is."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object in one frame."""

    who: int
    """The same in all frames; a rider and the bicycle are two."""
    class_name: str
    box_xyxy: tuple[float, float, float, float]
    pixels: int
    """That show it."""


@dataclass(slots=True)
class Score:
    """What became of the tracks, over all frames so far."""

    truth: Counter[int] = field(default_factory=Counter)
    """Frames of each object; of those that can be asked for."""
    given: Counter[int] = field(default_factory=Counter)
    """Frames of each track."""
    joint: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Frames in which an object had a track."""
    switches: int = 0
    """How often an object that had one track had another one next."""
    stolen: int = 0
    """How often a track that was on one object was on another one next."""
    _track_of: dict[int, int] = field(default_factory=dict)
    _owner_of: dict[int, int] = field(default_factory=dict)

    def see(self, truth: Sequence[Seen], tracked: Sequence[Detection]) -> None:
        """Another frame. Specks are neither asked for nor held against who follows them."""
        named = {one.track_id: one for one in tracked if one.track_id is not None}
        tracks = list(named)
        self.truth.update(each.who for each in truth if each.pixels >= LEAST_PIXELS)
        self.given.update(tracks)
        for i, j in _matches(_iou(truth, list(named.values()))):
            who, track = truth[i].who, tracks[j]
            if truth[i].pixels < LEAST_PIXELS:
                self.given[track] -= 1
                continue
            self.joint[who, track] += 1
            self.switches += self._track_of.setdefault(who, track) != track
            self.stolen += self._owner_of.setdefault(track, who) != who
            self._track_of[who], self._owner_of[track] = track, who

    def figures(self) -> Mapping[str, float]:
        """IDF1 (Ristani et al., 2016), and HOTA (Luiten et al., 2021) at the one IoU of .5."""
        whos, tracks = sorted(self.truth), sorted(self.given)
        frames = np.array([[self.joint[who, track] for track in tracks] for who in whos], float)
        best = sum(frames[i, j] for i, j in _matches(frames, least=0.5)) if frames.size else 0.0
        there, given, hits = self.truth.total(), self.given.total(), self.joint.total()
        association = sum(
            n * n / (self.truth[who] + self.given[track] - n) for (who, track), n in self.joint.items()
        )
        detection = hits / max(1, there + given - hits)
        return {
            "IDF1": 2 * best / max(1, there + given),
            "HOTA": float(np.sqrt(detection * association / max(1, hits))),
            "switches": self.switches,
            "stolen": self.stolen,
            "recall": hits / max(1, there),
        }


def street_frames(seed: int, *, people: int, seconds: int) -> Iterator[list[Seen]]:
    """What can be seen in each frame of a street."""
    street = Street(StreetSpec(seed=seed, people=people, cyclists=4))
    numbers: dict[tuple[int, str], int] = {}
    for frame in range(seconds * FPS):
        yield [
            Seen(
                who=numbers.setdefault((id(one.actor), one.class_name), len(numbers)),
                class_name=one.class_name,
                box_xyxy=one.box_xyxy,
                pixels=int(np.count_nonzero(one.mask)),
            )
            for one in street.truth(1 + frame / FPS)
        ]


class MadeUpDetector:
    """Finds objects about as a small network does: what is big and in the open nearly always."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._mood: dict[int, Floats] = {}
        """How much surer each object is than usual, and the errors of its four edges; both last a while."""

    def find(self, truth: Sequence[Seen]) -> list[Detection]:
        """The objects of the next frame, faint ones too."""
        found = [one for seen in truth if (one := self._look(seen)) is not None]
        found += [self._double(one) for one in found if self._rng.random() < DOUBLES]
        for _ in range(self._rng.poisson(0.1)):
            x, y, height = self._rng.uniform((0, 200, 20), (600, 300, 60))
            found.append(
                _detection("person", (x, y, x + 0.4 * height, y + height), self._rng.uniform(0.1, 0.4))
            )
        return found

    def _double(self, found: Detection) -> Detection:
        """A second box for an object, a part of which it may be."""
        left, top, right, bottom = found.box_xyxy
        inset = self._rng.uniform(-0.1, 0.35, 4) * (right - left, bottom - top, right - left, bottom - top)
        box = (left + inset[0], top + inset[1], right - inset[2], bottom - inset[3])
        return _detection(found.class_name, box, found.confidence * self._rng.uniform(0.2, 0.8))

    def _look(self, seen: Seen) -> Detection | None:
        fresh = self._rng.normal(size=5)
        mood = self._mood[seen.who] = 0.85 * self._mood.get(seen.who, fresh) + 0.53 * fresh
        left, top, right, bottom = seen.box_xyxy
        width, height = right - left, bottom - top
        open_share = min(
            1.0, seen.pixels / (width * height) / {"person": 0.4, "bicycle": 0.2, "car": 0.6}[seen.class_name]
        )
        sure = 0.75 + 0.18 * mood[0] - 0.9 * (1 - open_share) ** 2 - 40 / (seen.pixels + 60)
        if sure < FAINT:
            return None
        errors = 0.04 * mood[1:] * (width, height, width, height) + 0.4 * fresh[1:]
        x1, y1, x2, y2 = (np.array(seen.box_xyxy) + errors).tolist()
        return _detection(seen.class_name, (x1, y1, max(x2, x1 + 2), max(y2, y1 + 2)), sure)


def follow(frames: Sequence[Sequence[Seen]], *, every: int, seed: int) -> Score:
    """Let a tracker follow what the detector finds in every n-th frame."""
    detector, tracker, score = MadeUpDetector(seed), Tracker(), Score()
    for number in range(0, len(frames), every):
        found = detector.find(frames[number])
        sure = sorted((one for one in found if one.confidence >= CONFIDENCE), key=lambda one: -one.confidence)
        faint = [one for one in found if one.confidence < CONFIDENCE]
        tracked = tracker.update(sure, capture_ns=number * NS_PER_S // FPS, looked=True, faint=faint)
        score.see(frames[number], tracked)
    return score


def _detection(name: str, box_xyxy: tuple[float, float, float, float], confidence: float) -> Detection:
    return Detection(
        box_xyxy=box_xyxy,
        class_id=CLASSES.index(name),
        class_name=name,
        confidence=float(np.clip(confidence, 0.0, 0.99)),
    )


def _iou(truth: Sequence[Seen], found: Sequence[Detection]) -> Floats:
    """(N, M); 0 between different classes."""
    a = np.array([one.box_xyxy for one in truth], float).reshape(-1, 1, 4)
    b = np.array([one.box_xyxy for one in found], float).reshape(1, -1, 4)
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    shared = sides.prod(axis=2)
    both = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2)
    same = np.equal.outer([one.class_name for one in truth], [one.class_name for one in found])
    return np.where(same.reshape(shared.shape), shared / np.maximum(both - shared, 1e-9), 0.0)


def _matches(worth: Floats, *, least: float = LEAST_IOU) -> Iterator[tuple[int, int]]:
    """Pairs of a row and a column that together are worth most."""
    if worth.size:
        _, columns, _ = lap.lapjv(-np.where(worth >= least, worth, 0.0), extend_cost=True)
        yield from ((i, int(j)) for i, j in enumerate(columns) if j >= 0 and worth[i, j] >= least)


def main() -> None:
    """Follow all streets, at several rates; write the table."""
    args = arguments()
    rows, account = [], dict[str, Any](commands=["python benchmarks/tracking.py"])
    streets = [
        list(street_frames(FIRST_SEED + number, people=CROWDS[number % len(CROWDS)], seconds=args.seconds))
        for number in range(args.streets)
    ]
    for every in (1, 3, 6):
        for number, frames in enumerate(streets):
            figures = follow(frames, every=every, seed=number).figures()
            account[f"{FPS / every:g} fps, street {number}"] = figures
            rows.append(
                [f"{FPS / every:g}", str(number), str(CROWDS[number % len(CROWDS)]), *_cells(figures)]
            )
    header = ["frames/s", "street", "people", "IDF1", "HOTA", "switches", "stolen", "recall"]
    write_results(args.results, "tracking", account=account, text=markdown_table(header, rows))


def _cells(figures: Mapping[str, float]) -> Iterator[str]:
    for value in figures.values():
        yield f"{value:d}" if isinstance(value, int) else f"{value:.3f}"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streets", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=10, help="of each street")
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the table"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
