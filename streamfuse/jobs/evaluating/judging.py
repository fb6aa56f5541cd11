"""What is asked of a task's scores: for which groups of images, which set against which, how surely."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamfuse.errors import UsageError
from streamfuse.jobs.evaluating.bootstrap import Resampling
from streamfuse.jobs.evaluating.scores import Comparison

__all__ = ["Judging"]

_ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Groups of images, comparisons of sets, and how often the images are drawn for the intervals.

    Raises:
        UsageError: a group called ``all``, which are all images, or a set compared with itself.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    """Name to a pattern of stems, such as ``*D``."""
    comparisons: tuple[Comparison, ...] = ()
    resampling: Resampling = field(default_factory=Resampling)

    def __post_init__(self) -> None:
        if _ALL in self.groups:
            raise UsageError(
                f"{_ALL} is the group of all images; call the group {self.groups[_ALL]} otherwise"
            )
        for one in self.comparisons:
            if one.first == one.second:
                raise UsageError(f"{one.first} is compared with itself; give two sets, as in fused:visible")

    @classmethod
    def parse(cls, *, groups: Sequence[str], comparisons: Sequence[str], resampling: Resampling) -> Judging:
        """Read ``name=PATTERN`` and ``first:second``, as a user writes them.

        Raises:
            UsageError: something else, or a name given twice.
        """
        patterns: dict[str, str] = {}
        for text in groups:
            name, equals, pattern = text.partition("=")
            if not (name and equals and pattern) or name in patterns:
                raise UsageError(f"a group must be name=PATTERN, each name once, as in day=*D; got {text!r}")
            patterns[name] = pattern
        return cls(groups=patterns, comparisons=tuple(map(_comparison, comparisons)), resampling=resampling)

    def check_sets(self, names: Sequence[str]) -> None:
        """Make sure that there is what is to be compared.

        Raises:
            UsageError: there is no such set.
        """
        for name in (name for one in self.comparisons for name in (one.first, one.second)):
            if name not in names:
                raise UsageError(f"there is no set {name} to compare; the sets are {', '.join(names)}")

    def places(self, stems: Sequence[str]) -> dict[str, list[int]]:
        """Which of the images each group holds.

        Raises:
            UsageError: none.
        """
        found = {
            name: [place for place, stem in enumerate(stems) if fnmatch.fnmatchcase(stem, pattern)]
            for name, pattern in self.groups.items()
        }
        for name, places in found.items():
            if not places:
                raise UsageError(
                    f"group {name}: no image has a name like {self.groups[name]}; "
                    f"names, without suffix, are such as {stems[0]}"
                )
        return found


def _comparison(text: str) -> Comparison:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise UsageError(f"a comparison must be two sets as in fused:visible, got {text!r}")
    return Comparison(first=first, second=second)
