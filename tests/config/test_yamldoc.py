"""Reading YAML: the places of things, and one clear line for whatever cannot be read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from streamfuse.config.document import Text
from streamfuse.config.yamldoc import load_yaml
from streamfuse.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, so that messages show bare file names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _message(content: str | bytes) -> str:
    Path("a.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_yaml("a.yaml")
    return str(caught.value)


def test_places_of_keys_and_values(folder: Path) -> None:
    """Every key and value is known by line and column, counted from 1, lists included."""
    (folder / "a.yaml").write_text("name: x\nsync:\n  base: visible\npublish: [{kind: jsonl}]\n")
    doc = load_yaml("a.yaml")
    assert doc.data == {"name": "x", "sync": {"base": "visible"}, "publish": ({"kind": "jsonl"},)}
    assert str(doc.key_place(("sync", "base"))) == "a.yaml:3:3"
    assert str(doc.value_place(("sync", "base"))) == "a.yaml:3:9"
    assert str(doc.value_place(("publish", 0, "kind"))) == "a.yaml:4:18"
    assert str(doc.value_place(("sync", "gone", "deeper"))) == "a.yaml:3:3", "nearest ancestor"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", None),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("127.0.0.1:8090", "127.0.0.1:8090"),
        ("20GB", "20GB"),
        ("!!str 5", "5"),
    ],
)
def test_scalars_follow_yaml_1_2(folder: Path, written: str, value: object) -> None:
    """Only true and false are booleans, there are no dates or base-60 numbers, 010 is ten."""
    (folder / "a.yaml").write_text(f"key: {written}\n")
    got = load_yaml("a.yaml").data["key"]
    assert got == value
    assert isinstance(got, type(value))


def test_text_knows_its_folder_and_what_was_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment variables are expanded, while the text as written stays known for messages."""
    monkeypatch.setenv("CAMERA", "10.0.0.5")
    (folder / "a.yaml").write_text("uri: rtsp://${CAMERA}/${CAMERA}\n")
    uri = load_yaml("a.yaml").data["uri"]
    assert isinstance(uri, Text)
    assert uri == "rtsp://10.0.0.5/10.0.0.5"
    assert uri.written == "rtsp://${CAMERA}/${CAMERA}"
    assert uri.base_dir == folder.resolve()


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        ("a: b: c\n", "1:5", "mapping values are not allowed here"),
        ("a: [1\n", "2:1", "while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 2\n", "2:1", "expected a single document in the stream, but found another document"),
        ("a: &x 1\nb: *x\n", "2:4", "aliases (*name) are not supported"),
        ("a: &x [*x]\n", "1:8", "aliases (*name) are not supported"),
        ("a: " + "[" * 500, "1:35", "nested deeper than 32 levels"),
        ("a: 1\nb: x\x07\n", "2:5", "a control character is not allowed here"),
        ('a: "\\U00110000"\n', "1:1", "an escape or a number is out of range"),
        ('a: "\\Uffffffff"\n', "1:1", "an escape or a number is out of range"),
    ],
)
def test_invalid_yaml_is_one_line_with_its_place(content: str, place: str, reason: str) -> None:
    """Syntax errors and what we refuse of YAML come with line and column."""
    assert _message(content) == f"a.yaml:{place}: not valid YAML: {reason}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff\n", "a.yaml: byte 3 is not UTF-8; expected a YAML file in UTF-8"),
        (b"", "a.yaml: the file is empty; expected keys such as `name: value`"),
        (b"# only a comment\n", "a.yaml: the file is empty; expected keys such as `name: value`"),
        (b"- 1\n", "a.yaml:1:1: expected keys such as `name: value` at the top of the file"),
        (b"just words\n", "a.yaml:1:1: expected keys such as `name: value` at the top of the file"),
        (b"#" * (1 << 21), "a.yaml: larger than 1 MiB; expected a YAML file"),
    ],
)
def test_what_is_no_configuration_is_one_line(content: bytes, message: str) -> None:
    """Each kind of wrong file has its own message."""
    assert _message(content) == message


def test_paths_that_are_no_files(folder: Path) -> None:
    """A missing file, a folder, a name no file can have and a forbidden file are told apart."""
    (folder / "sub").mkdir()
    for path, message in [
        ("no.yaml", "no.yaml: no such file"),
        ("sub", "sub: this is a folder; expected a YAML file"),
        ("a\0b", "'a\\x00b': cannot be read: embedded null byte"),
        ("x" * 300, f"'{'x' * 300}': cannot be read: File name too long"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load_yaml(path)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", 'a.yaml:3:1: duplicate key "a", first given at a.yaml:1:1'),
        ("s:\n  {a: 1, a: 1}\n", 'a.yaml:2:10: duplicate key "a", first given at a.yaml:2:4'),
        ("[1]: x\n", "a.yaml:1:1: expected a word as key"),
        ("u: ${NO_SUCH_NAME}\n", 'a.yaml:1:4: u: the environment variable "NO_SUCH_NAME" is not set'),
        ("u: ['${}']\n", 'a.yaml:1:5: u.0: the environment variable "" is not set'),
        ("u: !!python/none x\n", "a.yaml:1:4: u: cannot read this value as python/none"),
        ("u: !!int x\n", "a.yaml:1:4: u: cannot read this value as int"),
        ("u: " + "9" * 5000, "a.yaml:1:4: u: cannot read this value as int"),
        ('u: "\\0"\n', "a.yaml:1:4: u: text with a NUL or half a surrogate pair cannot be used"),
        ('u: "\\ud800"\n', "a.yaml:1:4: u: text with a NUL or half a surrogate pair cannot be used"),
    ],
)
def test_mistakes_that_do_not_stop_the_reading_are_kept(folder: Path, content: str, problem: str) -> None:
    """Duplicate keys, unset variables and unreadable values wait to be reported with all others."""
    (folder / "a.yaml").write_text(content)
    assert [str(found) for found in load_yaml("a.yaml").problems] == [problem]
