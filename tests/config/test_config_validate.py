"""From a document to a model: every kind of mistake, as the user reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from streamfuse.config.fields import AbsolutePath, Block
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml
from streamfuse.errors import ConfigError


class _Part(Block):
    word: Literal["one", "other"]
    whole: Annotated[int, Field(ge=1, lt=10)] = 1


class _Top(Block):
    number: Annotated[float, Field(gt=0, le=1)] = 1.0
    switch: bool = False
    mixed: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    part: _Part | None = None
    parts: Annotated[tuple[_Part, ...], Field(min_length=1)] = (_Part(word="one"),)
    where: AbsolutePath = Path("/")


def _problems(content: str) -> list[str]:
    Path("a.yaml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        validate(_Top, load_yaml("a.yaml"))
    return list(caught.value.problems)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, so that messages show bare file names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("number: half", 'a.yaml:1:9: number: expected a number, got "half"'),
        ("number: '0.5'", 'a.yaml:1:9: number: expected a number, got "0.5"'),
        ("number: true", "a.yaml:1:9: number: expected a number, got true"),
        ("number: .nan", "a.yaml:1:9: number: expected a finite number, got nan"),
        ("number: 0", "a.yaml:1:9: number: expected more than 0, got 0"),
        ("number: 1.5", "a.yaml:1:9: number: expected at most 1, got 1.5"),
        ("number:", "a.yaml:1:8: number: expected a number, got nothing"),
        ("switch: yes", 'a.yaml:1:9: switch: expected true or false, got "yes"'),
        ("switch: 1", "a.yaml:1:9: switch: expected true or false, got 1"),
        ("mixed: -1", "a.yaml:1:8: mixed: expected auto or at least 0, got -1"),
        ("mixed: {a: 1}", "a.yaml:1:8: mixed: expected auto or a number, got a block of keys"),
        ("part: [1]", "a.yaml:1:7: part: expected a block of keys, got a list"),
        ("part:\n  whole: 3", 'a.yaml:1:1: part: missing key "word"'),
        (
            "part: {word: none}",
            'a.yaml:1:14: part.word: expected one or other, got "none"; did you mean "one"?',
        ),
        ("part: {word: one, whole: 2.0}", "a.yaml:1:26: part.whole: expected a whole number, got 2.0"),
        ("part: {word: one, whole: 0}", "a.yaml:1:26: part.whole: expected at least 1, got 0"),
        ("part: {word: one, whole: 10}", "a.yaml:1:26: part.whole: expected less than 10, got 10"),
        ("part: {word: one, whle: 1}", 'a.yaml:1:19: part: unknown key "whle"; did you mean "whole"?'),
        ("part: {word: one, x: 1}", 'a.yaml:1:19: part: unknown key "x"; expected word or whole'),
        ("whole: 1", 'a.yaml:1:1: unknown key "whole"; it belongs in the block "part"'),
        ("parts: one", 'a.yaml:1:8: parts: expected a list, got "one"'),
        ("parts: []", "a.yaml:1:8: parts: expected 1 or more items, got an empty list"),
        ("parts: [{}]", 'a.yaml:1:9: parts.0: missing key "word"'),
        (
            "parts: [{word: third}]",
            'a.yaml:1:16: parts.0.word: expected one or other, got "third"; did you mean "other"?',
        ),
        ("where: 5", "a.yaml:1:8: where: expected a path, got 5"),
        ("where: ''", 'a.yaml:1:8: where: expected a path, got ""'),
        ('where: "a\\nb"', 'a.yaml:1:8: where: expected a path, got "a\\nb"'),
    ],
)
def test_each_mistake_is_one_line(content: str, problem: str) -> None:
    """A line names the place, the key, what was expected, what was got and the nearest valid word."""
    assert _problems(content) == [problem]


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    """Mistakes found while reading and while checking are reported together, top to bottom."""
    assert _problems("part: {wrd: one}\nnumber: 7\nnumber: 8\nswitch: ${NO_SUCH_NAME}\nmixed: no\n") == [
        'a.yaml:1:1: part: missing key "word"',
        'a.yaml:1:8: part: unknown key "wrd"; did you mean "word"?',
        "a.yaml:2:9: number: expected at most 1, got 7",
        'a.yaml:3:1: duplicate key "number", first given at a.yaml:2:1',
        'a.yaml:4:9: switch: expected true or false, got "${NO_SUCH_NAME}"',
        'a.yaml:4:9: switch: the environment variable "NO_SUCH_NAME" is not set',
        'a.yaml:5:8: mixed: expected auto or a number, got "no"',
    ]


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message shows a value as written, before variables are expanded, and without credentials."""
    monkeypatch.setenv("SECRET", "hunter2")
    assert _problems("number: ${SECRET}\nmixed: rtsp://me:hunter2@cam\n") == [
        'a.yaml:1:9: number: expected a number, got "${SECRET}"',
        'a.yaml:2:8: mixed: expected auto or a number, got "rtsp://***@cam"',
    ]


def test_long_values_are_cut() -> None:
    """A value of any length stays one short line."""
    (problem,) = _problems(f"number: {'x' * 500}")
    assert problem == f'a.yaml:1:9: number: expected a number, got "{"x" * 57}..."'
