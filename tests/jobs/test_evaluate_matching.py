"""Which images an evaluation compares, and what the sets are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import SourceError, UsageError
from streamfuse.jobs.evaluating.matching import Match, match_folders, read_stems, set_names


def folder(path: Path, *names: str) -> Path:
    """A folder of files whose names alone matter."""
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()
    return path


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    """Four pairs of sources in different formats."""
    return (
        folder(tmp_path / "visible", "1.jpg", "2.jpg", "10.jpg", "x.jpg"),
        folder(tmp_path / "infrared", "1.png", "2.png", "10.png", "x.bmp"),
    )


def stems(match: Match) -> list[list[str]]:
    """The stems of every set."""
    return [list(images) for images in match.sets]


def test_what_was_fused_is_compared_in_natural_order(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """Suffixes may differ, and pairs of sources that were not fused are only counted."""
    a = folder(tmp_path / "a", "10.png", "2.png", "1.png")
    b = folder(tmp_path / "b", "1.tif", "2.tif", "10.tif")
    match = match_folders(sources, (a, b))
    assert stems(match) == [["1", "2", "10"]] * 2
    triple = match.sets[1]["10"]
    assert (triple.visible, triple.infrared, triple.fused) == (
        sources[0] / "10.jpg",
        sources[1] / "10.png",
        b / "10.tif",
    )
    assert (match.left_out, match.unfused) == ((), 1)


def test_sets_of_different_images_are_refused(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """The message names the first image that is missing, where it is missing and where it is not."""
    a, b = folder(tmp_path / "a", "1.png", "2.png", "10.png"), folder(tmp_path / "b", "10.png", "1.png")
    with pytest.raises(SourceError, match=r"b: holds no image 2, which is in .*a; .*--common"):
        match_folders(sources, (a, b))
    match = match_folders(sources, (a, b), common=True)
    assert (stems(match), match.left_out) == ([["1", "10"]] * 2, ("2",))


def test_a_fused_image_without_a_source_is_refused(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """Either source may be the one that is missing."""
    a = folder(tmp_path / "a", "1.png", "new.png")
    with pytest.raises(SourceError, match="visible: holds no image new"):
        match_folders(sources, (a,))
    (sources[0] / "new.jpg").touch()
    with pytest.raises(SourceError, match="infrared: holds no image new"):
        match_folders(sources, (a,))


def test_nothing_in_common(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """Even for --common that is an error, with a name of each folder."""
    a = folder(tmp_path / "a", "fused_1.png")
    for common in (False, True):
        with pytest.raises(SourceError, match=r"visible has 1\.jpg; .*infrared has 1\.png; .*a has fused_1"):
            match_folders(sources, (a,), common=common)
    with pytest.raises(SourceError, match="no image of the list is in all folders"):
        match_folders(sources, (sources[0],), stems=("fused_1",))


def test_a_stem_twice_in_a_folder(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """It is not guessed which one is meant."""
    with pytest.raises(SourceError, match=r"1\.jpg and 1\.png have one stem"):
        match_folders(sources, (folder(tmp_path / "a", "1.jpg", "1.png"),))


def test_only_the_images_of_a_list(sources: tuple[Path, Path], tmp_path: Path) -> None:
    """They must be in every folder; what the list does not name may be missing."""
    a, b = folder(tmp_path / "a", "1.png", "2.png"), folder(tmp_path / "b", "2.png", "1.png", "x.png")
    assert stems(match_folders(sources, (a, b), stems=("2",))) == [["2"]] * 2
    with pytest.raises(SourceError, match=r"a: holds no image x, which is in .*b"):
        match_folders(sources, (a, b), stems=("2", "x"))
    with pytest.raises(SourceError, match="holds no image gone, which is in the list of names"):
        match_folders(sources, (a, b), stems=("2", "gone"))


def test_a_list_of_names(tmp_path: Path) -> None:
    """Suffixes, empty lines and repetitions do not matter; a dot in a stem stays."""
    path = tmp_path / "names.txt"
    path.write_text("a.png\n\n b \nv1.2\na\n")
    assert read_stems(path) == ("a", "b", "v1.2")
    path.write_text("\n")
    with pytest.raises(SourceError, match="is empty"):
        read_stems(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="no text in UTF-8"):
        read_stems(path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_stems(tmp_path / "none.txt")


def test_sets_of_one_name_are_told_apart_by_their_parents(tmp_path: Path) -> None:
    """Only as much of the path as is needed, and only where it is."""
    assert set_names([Path("runs/a/fused"), Path("runs/b/fused/"), Path("other")]) == (
        "a/fused",
        "b/fused",
        "other",
    )
    with pytest.raises(UsageError, match="given twice"):
        set_names([tmp_path / "a", tmp_path / "b" / ".." / "a"])


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=6))
def test_names_of_sets_are_unique_ends_of_their_paths(paths: list[list[str]]) -> None:
    """For any different folders."""
    folders = [Path("/", *parts) for parts in {tuple(parts) for parts in paths}]
    names = set_names(folders)
    assert len(set(names)) == len(folders)
    assert all(str(path).endswith(name) for path, name in zip(folders, names, strict=True))
