"""The user's folders: by the environment where it names a place, else below home."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.folders import cache_dir, data_dir


def test_the_environment_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its own variable."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert cache_dir() == tmp_path / "cache" / "streamfuse"
    assert data_dir() == tmp_path / "data" / "streamfuse"


@pytest.mark.parametrize("named", ["", "cache", "./cache", None])
def test_a_relative_path_is_ignored(named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the specification says; otherwise each working directory would get a cache of its own."""
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        if named is None:
            monkeypatch.delenv(variable)
        else:
            monkeypatch.setenv(variable, named)
    assert cache_dir() == Path.home() / ".cache" / "streamfuse"
    assert data_dir() == Path.home() / ".local" / "share" / "streamfuse"
