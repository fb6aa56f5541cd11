"""YAML in, and out: plain values plus the place of every key and value, so that mistakes can be pointed at.

Scalars follow the YAML 1.2 core schema (``yes`` and ``on`` are text, ``010`` is ten), duplicate keys
are mistakes, and aliases are refused: a configuration of one screen needs none, and they can hide
cycles. This is the only file that knows yaml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from streamfuse.config.document import Loc, Place, Problem, Text, YamlDoc
from streamfuse.errors import ConfigError

__all__ = ["DocBuilder", "dump_yaml", "load_yaml"]

_MAX_BYTES: Final = 1 << 20
"""Larger than any configuration; keeps a video given by mistake out of memory."""
_MAX_DEPTH: Final = 32
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_UNUSABLE: Final = re.compile("[\0\ud800-\udfff]")
"""NUL and lone surrogates: no file name, address or JSON text can hold them."""


class _Loader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2 scalars; refuses aliases and great depth."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]  # stubs say instance
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # stubs lack it
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not supported", problem_mark=mark)
        if self._depth == _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {_MAX_DEPTH} levels", problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Writes what :class:`_Loader` reads back as the same values: the same scalars, no aliases."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is yaml's
        return True

    def plain_text(self, text: str) -> yaml.Node:
        # What YAML takes for the end of a line, or cannot show, only comes back from between double quotes.
        style = None if all(char.isprintable() or char == "\n" for char in text) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", _UNUSABLE.sub("\ufffd", text), style=style)


_Dumper.add_multi_representer(str, _Dumper.plain_text)
_Dumper.add_representer(str, _Dumper.plain_text)


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_SCALARS: Final[dict[str, tuple[str, str, Callable[[str], Any]]]] = {
    # tag: (pattern of the YAML 1.2 core schema, first characters, meaning)
    "null": (r"~|null|Null|NULL|", "~nN", lambda _: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", _integer),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
        lambda text: float(re.sub(r"\.(?=[iInN])", "", text)),
    ),
}
for _tag, (_pattern, _first, _) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"(?:{_pattern})$"),
        [*_first, *([""] if _tag == "null" else [])],
    )


@dataclass(slots=True, kw_only=True)
class DocBuilder:
    """Turns YAML text into plain values and keeps the places of all it meets."""

    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    expand: bool = True
    """Whether ``${NAME}`` stands for a variable of the environment."""

    def parse(self, text: str, *, loc: Loc = (), base_dir: Path, place: Callable[[int, int], Place]) -> Any:
        """The value of ``text``, to stand at ``loc``; ``place`` maps line and column, from 1, to a place.

        Raises:
            ConfigError: ``text`` is not YAML.
        """
        node = _compose(text, place)
        if node is None:
            self.values[loc] = place(1, 1)
            return None
        return self._build(node, loc, _Origin(base_dir, place))

    def _build(self, node: yaml.Node, loc: Loc, origin: _Origin) -> Any:
        self.values[loc] = origin.at(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc, origin)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self._build(child, (*loc, index), origin) for index, child in enumerate(node.value))
        return self._scalar(node, loc, origin)

    def _mapping(self, node: yaml.MappingNode, loc: Loc, origin: _Origin) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = origin.at(key_node)
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or _UNUSABLE.search(key):
                self.problems.append(Problem(place, "expected a word as key"))
            elif key in data:
                first = self.keys[*loc, key]
                self.problems.append(Problem(place, f'duplicate key "{key}", first given at {first}'))
            else:
                self.keys[*loc, key] = place
                data[key] = self._build(value_node, (*loc, key), origin)
        return data

    def _scalar(self, node: yaml.Node, loc: Loc, origin: _Origin) -> Text | bool | int | float | None:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "str":
            return self._text(node.value, loc, origin)
        try:
            meaning = _SCALARS[kind][2]
            return meaning(node.value)  # type: ignore[no-any-return]  # the table holds four types
        except (KeyError, ValueError):
            self._complain(loc, f"cannot read this value as {kind}")
            return None

    def _text(self, written: str, loc: Loc, origin: _Origin) -> Text:
        def expand(match: re.Match[str]) -> str:
            value = os.environ.get(match[1])
            if value is None:
                self._complain(loc, f'the environment variable "{match[1]}" is not set')
                return match[0]
            return value

        usable = not _UNUSABLE.search(written)
        value = written if usable else ""
        if self.expand:
            value = _VARIABLE.sub(expand, value)
        if not usable or _UNUSABLE.search(value):
            self._complain(loc, "text with a NUL or half a surrogate pair cannot be used")
            value = ""
        return Text(value, base_dir=origin.base_dir, written=written)

    def _complain(self, loc: Loc, text: str) -> None:
        self.problems.append(Problem.of(loc, self.values[loc], text))


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a piece of YAML came from."""

    base_dir: Path
    place: Callable[[int, int], Place]

    def at(self, node: yaml.Node) -> Place:
        return self.place(node.start_mark.line + 1, node.start_mark.column + 1)


def _compose(text: str, place: Callable[[int, int], Place]) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place(mark.line + 1, mark.column + 1) if mark else place(1, 1)
        what = ", ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{where}: not valid YAML: {what}") from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        where = place(before.count("\n") + 1, error.position - before.rfind("\n"))
        raise ConfigError(f"{where}: not valid YAML: a control character is not allowed here") from error
    except (ValueError, OverflowError) as error:  # from chr() and int() in the scanner
        raise ConfigError(f"{place(1, 1)}: not valid YAML: an escape or a number is out of range") from error


def dump_yaml(data: Mapping[str, Any]) -> str:
    """The text that :func:`load_yaml` reads as ``data`` (mappings, lists, tuples, text, numbers, None).

    Lists of numbers stand on one line. Characters that no text of a document can hold (NUL, halves of
    surrogate pairs) become U+FFFD.
    """
    dumped = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
    return str(dumped)


def load_yaml(path: str | Path, *, expand: bool = True) -> YamlDoc:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: of the file.
        expand: whether ``${NAME}`` stands for a variable of the environment; not in data that we wrote.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8 or not YAML, is empty, or holds no mapping.
    """
    path = Path(path)
    builder = DocBuilder(expand=expand)
    data = builder.parse(
        _read(path),
        base_dir=path.absolute().parent.resolve(),
        place=lambda line, column: Place((0, line, column), f"{path}:{line}:{column}"),
    )
    if data is None:
        raise ConfigError(f"{path}: the file is empty; expected keys such as `name: value`")
    if not isinstance(data, dict):
        raise ConfigError(f"{builder.values[()]}: expected keys such as `name: value` at the top of the file")
    return YamlDoc(
        path=path, data=data, keys=builder.keys, values=builder.values, problems=tuple(builder.problems)
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: this is a folder; expected a YAML file") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(path)!r}: cannot be read: {getattr(error, 'strerror', error)}") from error
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{path}: larger than {_MAX_BYTES >> 20} MiB; expected a YAML file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8; expected a YAML file in UTF-8"
        ) from error
