"""The scores of a task on sets of images: of all images and of groups, with intervals and comparisons."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamfuse.jobs.evaluating.bootstrap import Resampling, Score

__all__ = ["Comparison", "GroupScores", "SetScores", "TaskReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScores:
    """How a task did on one set of images."""

    mean: Mapping[str, Score]
    """By name of the score: means over the classes that are there."""
    classes: Mapping[str, Mapping[str, Score]]
    """By name of the class, then of the score."""

    def rows(self) -> Iterator[tuple[str, Mapping[str, Score]]]:
        """The means, as those of ``all``, then each class."""
        yield "all", self.mean
        yield from self.classes.items()

    def minus(self, other: SetScores) -> SetScores:
        """The difference of each score, draw by draw."""
        return SetScores(
            mean=_minus(self.mean, other.mean),
            classes={name: _minus(own, other.classes[name]) for name, own in self.classes.items()},
        )

    def as_dict(self) -> dict[str, object]:
        """Plain values and, where there were draws, intervals, for JSON; None where there is no score."""
        scores: dict[str, object] = {
            "mean": _values(self.mean),
            "classes": {name: _values(own) for name, own in self.classes.items()},
        }
        if any(len(score.draws) for score in self.mean.values()):
            scores["intervals"] = {
                "mean": _intervals(self.mean),
                "classes": {name: _intervals(own) for name, own in self.classes.items()},
            }
        return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScores:
    """How a task did on the same images of every set."""

    images: int
    """In each set."""
    truths: tuple[int, ...]
    """What the labels hold of each class: objects, or pixels."""
    empty: int = 0
    """Images without any of it."""
    sets: Mapping[str, SetScores]

    def as_dict(self) -> dict[str, Any]:
        """The scores in plain values, for JSON."""
        classes = next(iter(self.sets.values())).classes
        return {
            "images": self.images,
            "empty": self.empty,
            "truths": dict(zip(classes, self.truths, strict=True)),
            "sets": {name: scores.as_dict() for name, scores in self.sets.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one set has over another."""

    first: str
    second: str

    def of(self, group: GroupScores) -> SetScores:
        """Scores of the first minus those of the second."""
        return group.sets[self.first].minus(group.sets[self.second])


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """How a task did on sets of images."""

    whole: GroupScores
    groups: Mapping[str, GroupScores] = field(default_factory=dict)
    """Parts of the images, by name."""
    comparisons: tuple[Comparison, ...] = ()
    resampling: Resampling
    unknown: tuple[str, ...] = ()
    """Classes that what was judged has no name for: it cannot find them."""

    @property
    def set_names(self) -> tuple[str, ...]:
        """The sets, in the order they were given."""
        return tuple(self.whole.sets)

    def parts(self) -> Iterator[tuple[str, GroupScores]]:
        """All images, as the group ``all``, then each group."""
        yield "all", self.whole
        yield from self.groups.items()

    def mean(self, set_name: str) -> dict[str, float | None]:
        """The means of all images of a set, by name; None where there is nothing to score."""
        return _values(self.whole.sets[set_name].mean)

    def by_class(self, set_name: str) -> dict[str, dict[str, float | None]]:
        """The scores of all images of a set, by class and name."""
        return {name: _values(own) for name, own in self.whole.sets[set_name].classes.items()}

    def as_dict(self) -> dict[str, Any]:
        """The report in plain values, for JSON."""
        return {
            **self._part(self.whole),
            "unknown": list(self.unknown),
            "bootstrap": {
                "resamples": self.resampling.draws,
                "seed": self.resampling.seed,
                "interval": 0.95,
            },
            "groups": {name: self._part(group) for name, group in self.groups.items()},
        }

    def as_csv(self) -> str:
        """A row for each score of each class, set and group; differences are sets of the name ``A - B``."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["group", "set", "class", "score", "value", "low", "high"])
        for group_name, group in self.parts():
            compared = {f"{c.first} - {c.second}": c.of(group) for c in self.comparisons}
            for set_name, scores in {**group.sets, **compared}.items():
                for class_name, named in scores.rows():
                    for score_name, score in named.items():
                        value = "" if math.isnan(score.value) else score.value
                        ends = score.interval or ("", "")
                        table.writerow([group_name, set_name, class_name, score_name, value, *ends])
        return text.getvalue()

    def _part(self, group: GroupScores) -> dict[str, Any]:
        compared = [{"first": c.first, "second": c.second, **c.of(group).as_dict()} for c in self.comparisons]
        return {**group.as_dict(), "comparisons": compared}


def _minus(first: Mapping[str, Score], second: Mapping[str, Score]) -> dict[str, Score]:
    return {name: score.minus(second[name]) for name, score in first.items()}


def _values(scores: Mapping[str, Score]) -> dict[str, float | None]:
    return {name: None if math.isnan(score.value) else score.value for name, score in scores.items()}


def _intervals(scores: Mapping[str, Score]) -> dict[str, list[float] | None]:
    return {
        name: None if (interval := score.interval) is None else list(interval)
        for name, score in scores.items()
    }
