"""A document that was read: its values, and the place of each, so that every mistake can be pointed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Loc", "Place", "Problem", "Text", "YamlDoc", "dotted"]

Loc = tuple[str | int, ...]
"""The way to a node: keys and list indices from the top."""


def dotted(loc: Loc) -> str:
    """``("publish", 0, "path")`` as people write it: ``publish.0.path``."""
    return ".".join(map(str, loc))


class Text(str):
    """A string of a document, ``${NAME}`` expanded, that remembers where it came from."""

    __slots__ = ("base_dir", "written")

    base_dir: Path
    """Absolute folder in which a relative path starts."""
    written: str
    """The string before expansion: safe to print, holds no secret of the environment."""

    def __new__(cls, value: str, *, base_dir: Path, written: str) -> Text:
        """Make the string ``value``."""
        text = super().__new__(cls, value)
        text.base_dir = base_dir
        text.written = written
        return text


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands; sorts like the reader's eye: down the file, then along the ``--set``."""

    order: tuple[int, int, int]
    text: str
    """``file:line:column``, counted from 1, or ``--set key``."""
    key: str = ""
    """The key that the text names already; empty for a place in a file."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake at one place."""

    place: Place
    text: str

    @classmethod
    def of(cls, loc: Loc, place: Place, text: str) -> Problem:
        """A problem of the node at ``loc``, whose key leads the text unless the place says it already."""
        key = dotted(loc)
        return cls(place, text if f"{place.key}.".startswith(f"{key}.") or not key else f"{key}: {text}")

    def __str__(self) -> str:
        line = f"{self.place}: {self.text}"
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class YamlDoc:
    """A document: mappings are dicts, lists are tuples, strings are :class:`Text`."""

    path: Path
    """As the user named it."""
    data: dict[str, Any]
    keys: Mapping[Loc, Place]
    """Place of each key, by the way to its value."""
    values: Mapping[Loc, Place]
    """Place of each value."""
    problems: tuple[Problem, ...] = ()
    """Mistakes that did not stop the reading, to be reported together with those found later."""

    def key_place(self, loc: Loc) -> Place:
        """Where the key of ``loc`` stands."""
        return self.keys.get(loc) or self.value_place(loc)

    def value_place(self, loc: Loc) -> Place:
        """Where the value of ``loc`` stands, or else of its nearest ancestor."""
        while loc not in self.values:
            loc = loc[:-1]
        return self.values[loc]
