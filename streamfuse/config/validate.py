"""A document against its model: every mistake at once, one line each, with place, expectation and a hint.

``vehicle.yaml:7:13: sync.max_wait_ms: expected a number, got "20 ms"``
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streamfuse.config.document import Loc, Problem, Text, YamlDoc
from streamfuse.errors import ConfigError

__all__ = ["validate"]

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXPECTED: Final[Mapping[str, str]] = {
    "bool_type": "true or false",
    "dict_type": "a block of keys",
    "expected": "{what}",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "model_attributes_type": "a block of keys",
    "model_type": "a block of keys",
    "path_type": "a path",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "too_short": "{min_length} or more items",
    "too_long": "{max_length} items or fewer",
    "tuple_type": "a list",
}
"""What pydantic's error types mean to the writer of a YAML file."""

_WORDS: Final[Mapping[str, str]] = {"literal_error": "expected", "union_tag_invalid": "expected_tags"}
"""Errors whose context lists the words that are allowed, and where."""

_USERINFO: Final = re.compile(r"//[^/@\s]*@")


def validate(model: type[ModelT], doc: YamlDoc) -> ModelT:
    """Check a document against a model.

    Args:
        model: the top block.
        doc: what was read; problems found on the way here are reported together with the new ones.

    Raises:
        ConfigError: with one line for each mistake, in the order of the file.
    """
    problems = list(doc.problems)
    try:
        config = model.model_validate(doc.data)
    except ValidationError as error:
        problems += _problems(model, doc, error.errors(include_url=False))
    if problems:
        raise ConfigError([str(problem) for problem in sorted(problems)])
    return config


def _problems(model: type[BaseModel], doc: YamlDoc, errors: list[ErrorDetails]) -> Iterator[Problem]:
    wrong_values: dict[Loc, list[ErrorDetails]] = {}
    for error in errors:
        loc = _without_branches(doc, error["loc"])
        if error["type"] == "extra_forbidden":
            yield Problem.of(loc[:-1], doc.key_place(loc), _unknown_key(model, error["loc"]))
        elif error["type"] == "missing":
            yield Problem.of(loc[:-1], doc.key_place(loc[:-1]), f'missing key "{loc[-1]}"')
        elif error["type"] == "union_tag_not_found":
            yield Problem.of(loc, doc.key_place(loc), 'missing key "kind"')
        elif error["type"] == "union_tag_invalid":
            wrong_values.setdefault((*loc, "kind"), []).append(error)
        elif error["type"] != "too_short" or not _has_bad_items(error, errors):
            wrong_values.setdefault(_in_document(doc, loc), []).append(error)
    for loc, alternatives in wrong_values.items():
        yield Problem.of(loc, doc.value_place(loc), _wrong_value(doc, loc, alternatives))


def _in_document(doc: YamlDoc, loc: Loc) -> Loc:
    """``loc`` without the parts that name a branch of a union rather than a node of the document."""
    while loc not in doc.values:
        loc = loc[:-1]
    return loc


def _has_bad_items(short: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a list is only too short because its bad items were not counted."""
    depth = len(short["loc"])
    return any(len(error["loc"]) > depth and error["loc"][:depth] == short["loc"] for error in errors)


def _without_branches(doc: YamlDoc, loc: Loc) -> Loc:
    """``loc`` without the parts in its midst that name a branch of a union."""
    kept: Loc = ()
    for part in loc[:-1]:
        if (*kept, part) in doc.values:
            kept = (*kept, part)
    return (*kept, *loc[-1:])


def _unknown_key(model: type[BaseModel], loc: Loc) -> str:
    key = str(loc[-1])  # `loc` still names the branches, which lead to the block
    block = _block_at(model, loc[:-1])
    known = list(block.model_fields) if block else []
    homes = [name for name, field in model.model_fields.items() if key in _fields(field.annotation)]
    if homes:
        return f'unknown key "{key}"; it belongs in the block "{homes[0]}"'
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f'unknown key "{key}"; did you mean "{near[0]}"?'
    return f'unknown key "{key}"; expected {_either(known)}'


def _wrong_value(doc: YamlDoc, loc: Loc, alternatives: list[ErrorDetails]) -> str:
    value: Any = doc.data
    for part in loc:
        value = value[part]
    words = [word for error in alternatives for word in _literals(error)]
    text = f"expected {_either([*words, *_phrases(alternatives)])}, got {_shown(value)}"
    if isinstance(value, dict) and all(error["type"] == "expected" for error in alternatives):
        return text.partition(", got")[0]  # a contradiction within the block: its keys are at fault
    near = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
    return f'{text}; did you mean "{near[0]}"?' if near else text


def _literals(error: ErrorDetails) -> list[str]:
    """The words of a literal type or of a union's kinds: ``'a', 'b' or 'c'`` in pydantic's message."""
    if error["type"] not in _WORDS:
        return []
    return [word.strip("'").lower() for word in re.split(", | or ", error["ctx"][_WORDS[error["type"]]])]


def _phrases(alternatives: list[ErrorDetails]) -> list[str]:
    return [
        _EXPECTED[error["type"]].format_map(error.get("ctx", {}))
        if error["type"] in _EXPECTED
        else error["msg"]
        for error in alternatives
        if error["type"] not in _WORDS
    ]


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | tuple):
        return "a block of keys" if isinstance(value, dict) else "a list" if value else "an empty list"
    plain = _USERINFO.sub("//***@", _plain(value))
    plain = plain if len(plain) <= 60 else f"{plain[:57]}..."
    return json.dumps(plain, ensure_ascii=False) if isinstance(value, str) else plain


def _plain(value: Any) -> str:
    if isinstance(value, Text):
        return value.written
    return str(value).lower()


def _block_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    branches: list[type[BaseModel]] = [model]
    for part in loc:
        if not isinstance(part, str):
            continue
        if len(branches) > 1:
            kinds = {block: get_args(block.model_fields["kind"].annotation) for block in branches}
            branches = [block for block in branches if part in kinds[block]]
        elif branches:
            branches = _blocks_of(branches[0].model_fields[part].annotation)
    return branches[0] if branches else None


def _blocks_of(annotation: Any) -> list[type[BaseModel]]:
    """The blocks in an annotation such as ``Record | None`` or ``tuple[FileSink | WebSink, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [block for part in get_args(annotation) for block in _blocks_of(part)]


def _fields(annotation: Any) -> Collection[str]:
    blocks = _blocks_of(annotation)
    return blocks[0].model_fields if len(blocks) == 1 else ()
