"""The file under a muxer."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import time
from pathlib import Path

import pytest

from streamfuse.io.video.durable import DurableFile


def grow(file: DurableFile, *, seconds: float) -> None:
    """Write on and on."""
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        file.write(b"more")
        file.settle()


def test_what_is_there_changes_only_at_the_very_end(tmp_path: Path) -> None:
    """A head that leads to an index is not written before the index; until then the old head stands."""
    path = tmp_path / "f"
    file = DurableFile(path, fresh=True)
    file.write(b"head fragments")
    file.settle()
    file.finishing()
    assert file.seek(0) == 0
    file.write(b"HEAD")
    assert file.seek(0, os.SEEK_END) == file.nbytes == 14
    file.write(b" index")
    assert path.read_bytes() == b"head fragments index"
    file.finish()
    assert path.read_bytes() == b"HEAD fragments index"
    assert file.closed


def test_a_file_that_is_closed_early_ends_where_it_was_sound(tmp_path: Path) -> None:
    """Half a fragment and half an index go."""
    path = tmp_path / "f"
    with DurableFile(path, fresh=True) as file:
        file.write(b"sound")
        file.settle()
        file.write(b" and half")
        assert file.tell() == file.nbytes == 14
    assert path.read_bytes() == b"sound"


def test_a_file_gets_its_name_while_it_is_held(tmp_path: Path) -> None:
    """So no scan finds a part that nobody holds, but for a crash."""
    file = DurableFile(tmp_path / "f.part", fresh=True)
    file.write(b"all")
    file.finish(rename_to=tmp_path / "f")
    assert file.closed
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"all"


def test_half_a_write_goes(tmp_path: Path) -> None:
    """A disk may take the first bytes of a write and then be full."""
    path = tmp_path / "f"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DurableFile(path, fresh=True) as file:
        file.write(b"sound")
        file.settle()
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                file.write(b" and half")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.read_bytes() == b"sound an"
    assert path.read_bytes() == b"sound"


def test_others_see_that_it_is_held(tmp_path: Path) -> None:
    """A scan after a crash can tell a living writer from a dead one; the lock ends with the file."""
    path = tmp_path / "f"
    with path.open("w") as other:
        with DurableFile(path, fresh=False), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            DurableFile(path, fresh=False)


def test_an_older_file_is_not_touched(tmp_path: Path) -> None:
    """What a crash left may be the only copy."""
    path = tmp_path / "f"
    path.write_bytes(b"evidence")
    with pytest.raises(FileExistsError):
        DurableFile(path, fresh=True)
    assert path.read_bytes() == b"evidence"


def test_a_file_that_was_deleted_under_us_is_noticed(tmp_path: Path) -> None:
    """Writes to it would go nowhere without a word."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    file = DurableFile(folder / "f", fresh=True)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError) as caught:
        grow(file, seconds=20)
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(FileNotFoundError):
        file.finish()
    file.close()
