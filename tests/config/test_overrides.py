"""``--set``: values from the command line over a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamfuse.config.document import Text, YamlDoc
from streamfuse.config.overrides import with_overrides
from streamfuse.config.yamldoc import load_yaml


@pytest.fixture
def doc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> YamlDoc:
    """A small document in a folder beside the working directory."""
    (tmp_path / "here").mkdir()
    (tmp_path / "file").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "file" / "a.yaml").write_text(
        'name: x\nsync: {base: "${NO_SUCH_NAME}"}\nitems: [{n: 1}, {n: 2}]\n'
    )
    return load_yaml("../file/a.yaml")


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("name=y", "name", "y"),
        ("name=a=b", "name", "a=b"),
        ("sync.wait=20", "sync", {"base": "${NO_SUCH_NAME}", "wait": 20}),
        ("sync={wait: 1.5}", "sync", {"wait": 1.5}),
        ("sync=null", "sync", None),
        ("record.dir.deep=true", "record", {"dir": {"deep": True}}),
        ("items.1.n=5", "items", ({"n": 1}, {"n": 5})),
        ("items.2.n=5", "items", ({"n": 1}, {"n": 2}, {"n": 5})),
        ("items=[]", "items", ()),
        ("name=synthetic://street?seed=7", "name", "synthetic://street?seed=7"),
    ],
)
def test_a_value_is_laid_over(doc: YamlDoc, override: str, key: str, value: Any) -> None:
    """Values are YAML, blocks that are missing are made, list items go by number, the rest stays."""
    changed = with_overrides(doc, [override])
    assert changed.data[key] == value
    assert {k: v for k, v in changed.data.items() if k != key} == {
        k: v for k, v in doc.data.items() if k != key
    }


def test_places_and_folders_of_overridden_values(doc: YamlDoc, tmp_path: Path) -> None:
    """What was set is found at ``--set key``, and its relative paths start in the working directory."""
    changed = with_overrides(doc, ["record.dir=out"])
    assert str(changed.value_place(("record", "dir"))) == "--set record.dir"
    assert str(changed.key_place(("record",))) == "--set record.dir"
    assert str(changed.value_place(("name",))) == "../file/a.yaml:1:7"
    text = changed.data["record"]["dir"]
    assert isinstance(text, Text)
    assert text.base_dir == tmp_path / "here"
    assert doc.data["name"].base_dir == tmp_path / "file"


def test_an_override_takes_the_problems_of_what_it_replaces(doc: YamlDoc) -> None:
    """An unset variable in a value that is overridden does not matter any more."""
    assert len(doc.problems) == 1
    assert with_overrides(doc, ["name=y"]).problems == doc.problems
    assert with_overrides(doc, ["sync.base=visible"]).problems == ()
    assert with_overrides(doc, ["sync=null"]).problems == ()


def test_later_overrides_win(doc: YamlDoc) -> None:
    """Overrides are applied in the order they are given."""
    assert with_overrides(doc, ["name=y", "name=z"]).data["name"] == "z"


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("name", '--set name: expected key.path=value, such as "--set mode=every_frame"'),
        ("=1", '--set : expected key.path=value, such as "--set mode=every_frame"'),
        ("a..b=1", '--set a..b: expected key.path=value, such as "--set mode=every_frame"'),
        ("name.first=1", '--set name.first: "name" is a single value, it has no key "first"'),
        ("items.n=1", '--set items.n: expected a number from 0 to 2 for an item, got "n"'),
        ("items.3=1", '--set items.3: expected a number from 0 to 2 for an item, got "3"'),
        ("name=a: *b", "--set name: not valid YAML: aliases (*name) are not supported"),
        ("name=a: b: c", "--set name: not valid YAML: mapping values are not allowed here"),
        ("name=${NO_SUCH_NAME}", '--set name: the environment variable "NO_SUCH_NAME" is not set'),
        ("name={a: 1, a: 2}", '--set name: duplicate key "a", first given at --set name'),
    ],
)
def test_an_override_that_cannot_be_applied_is_a_problem(doc: YamlDoc, override: str, problem: str) -> None:
    """A bad override is reported beside the problems of the file, which stays as it was."""
    changed = with_overrides(doc, [override])
    assert problem in map(str, changed.problems)
