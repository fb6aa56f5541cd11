"""``--set a.b=c``: values from the command line, laid over a YAML document.

A relative path given this way starts in the working directory, as the shell completes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamfuse.config.document import Loc, Place, Problem, YamlDoc, dotted
from streamfuse.config.yamldoc import DocBuilder
from streamfuse.errors import ConfigError

__all__ = ["with_overrides"]


def with_overrides(doc: YamlDoc, overrides: Sequence[str], *, name: str | None = None) -> YamlDoc:
    """The document with each ``key.path=value`` set in turn; list items go by number (``publish.0.path``).

    A value is YAML (``null`` takes a block away) and missing blocks are made. An override that cannot
    be applied is added to the problems of the document.

    Args:
        doc: the document.
        overrides: in their order.
        name: what those for this document alone begin with (``name:key.path=value``).
    """
    for number, override in enumerate(overrides):
        written, equals, value = override.partition("=")
        key = written if name is None else written.removeprefix(f"{name}:")
        place = Place((1, number, 0), f"--set {written}", key)
        if not equals or not all(key.split(".")):
            text = 'expected key.path=value, such as "--set mode=every_frame"'
            doc = replace(doc, problems=(*doc.problems, Problem(place, text)))
            continue
        try:
            doc = _with_value(doc, key, value, place)
        except ConfigError as error:
            doc = replace(
                doc, problems=(*doc.problems, Problem(place, str(error).removeprefix(f"{place}: ")))
            )
    return doc


def _with_value(doc: YamlDoc, key: str, value: str, place: Place) -> YamlDoc:
    loc = _find(doc.data, key)
    kept = {known for known in (*doc.keys, *doc.values) if known[: len(loc)] != loc}
    builder = DocBuilder(
        keys={known: at for known, at in doc.keys.items() if known in kept},
        values={known: at for known, at in doc.values.items() if known in kept},
    )
    gone = {*doc.keys.values(), *doc.values.values()} - {*builder.keys.values(), *builder.values.values()}
    builder.problems += (problem for problem in doc.problems if problem.place not in gone)
    for depth in range(1, len(loc)):
        builder.values.setdefault(loc[:depth], place)
    builder.keys[loc] = place
    parsed = builder.parse(value, loc=loc, base_dir=Path.cwd(), place=lambda _line, _column: place)
    return replace(
        doc,
        data=_put(doc.data, loc, parsed),
        keys=builder.keys,
        values=builder.values,
        problems=tuple(builder.problems),
    )


def _find(data: dict[str, Any], key: str) -> Loc:
    """The way to a dotted key, with numbers where the document has lists."""
    loc: Loc = ()
    node: Any = data
    for part in key.split("."):
        if isinstance(node, tuple):
            if not (part.isdecimal() and int(part) <= len(node)):
                raise ConfigError(f'expected a number from 0 to {len(node)} for an item, got "{part}"')
            index = int(part)
            loc, node = (*loc, index), node[index] if index < len(node) else None
        elif isinstance(node, dict) or node is None:
            loc, node = (*loc, part), (node or {}).get(part)
        else:
            raise ConfigError(f'"{dotted(loc)}" is a single value, it has no key "{part}"')
    return loc


def _put(node: Any, loc: Loc, value: Any) -> Any:
    """A copy of ``node`` in which ``loc`` holds ``value``."""
    if not loc:
        return value
    key, rest = loc[0], loc[1:]
    if isinstance(key, int):
        items = list(node)
        items[key : key + 1] = [_put(items[key] if key < len(items) else None, rest, value)]
        return tuple(items)
    block = node or {}
    return {**block, key: _put(block.get(key), rest, value)}
