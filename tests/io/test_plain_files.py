"""What is left on the disk of things that came to nothing."""

from __future__ import annotations

from pathlib import Path

from streamfuse.io.files import missing, remove_empty


def test_what_was_made_and_stayed_empty_goes(tmp_path: Path) -> None:
    """Folders, those above them, and files; what was there before stays, also when it is empty."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "old.jsonl").touch()
    new = missing(
        [
            tmp_path / "there" / "a" / "b",
            tmp_path / "there" / "a" / "x.jsonl",
            tmp_path / "there" / "old.jsonl",
        ]
    )
    (tmp_path / "there" / "a" / "b").mkdir(parents=True)
    (tmp_path / "there" / "a" / "x.jsonl").touch()
    remove_empty(new)
    assert [path.name for path in tmp_path.rglob("*")] == ["there", "old.jsonl"]


def test_what_holds_something_stays(tmp_path: Path) -> None:
    """A file with a line in it, and the folder around a file of somebody else."""
    new = missing([tmp_path / "a" / "x.jsonl", tmp_path / "b", tmp_path / "never"])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "x.jsonl").write_text("{}\n")
    (tmp_path / "b" / "note").touch()
    remove_empty(new)
    assert {path.name for path in tmp_path.rglob("*")} == {"a", "x.jsonl", "b", "note"}
