"""The run folder: who is in it, and who removes it."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamfuse.errors import MachineError, UsageError
from streamfuse.io.transport.rundir import RunDir

OWNER = """
import sys
from streamfuse.io.transport.rundir import RunDir
run = RunDir.create(sys.argv[1])
print(run.path, flush=True)
sys.stdin.readline()
run.close()
"""

MEMBER = """
import sys
from streamfuse.io.transport.rundir import RunDir
run = RunDir.join(sys.argv[1])
print("in", flush=True)
sys.stdin.readline()
run.close()
"""


@contextmanager
def process(script: str, argument: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs ``script`` until its standard input has a line."""
    command = [sys.executable, "-c", script, str(argument)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def say(running: subprocess.Popen[str]) -> None:
    """Let the process leave, and wait until it has."""
    running.communicate("leave\n", timeout=60)


def heard(running: subprocess.Popen[str]) -> str:
    """The next line the process prints."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


def test_a_run_folder_is_private_and_goes_with_its_owner(tmp_path: Path) -> None:
    """It has a name of its own, mode 0700, and is gone after the run."""
    with RunDir.create(tmp_path) as run:
        assert run.path.parent == tmp_path
        assert len(run.path.name) == len("streamfuse-") + 8
        assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
        run.ring("visible").write_bytes(b"x")
    assert not list(tmp_path.iterdir())
    run.close()


def test_a_member_that_leaves_does_not_remove_the_folder(tmp_path: Path) -> None:
    """While the owner lives the folder stays, whoever leaves."""
    with RunDir.create(tmp_path) as run:
        with RunDir.join(run.path) as member:
            assert not member.owner
        assert run.path.exists()
        assert RunDir.sweep(tmp_path) == []


def test_after_a_killed_owner_the_last_member_removes_the_folder(tmp_path: Path) -> None:
    """The first of two members to leave leaves the folder, the second takes it along."""
    with process(OWNER, tmp_path) as owner:
        path = Path(heard(owner))
        with process(MEMBER, path) as first, process(MEMBER, path) as second:
            assert heard(first) == heard(second) == "in"
            owner.kill()
            owner.wait()
            say(first)
            assert path.exists()
            assert RunDir.sweep(tmp_path) == []
            say(second)
            assert not path.exists()


def test_a_sweep_removes_what_killed_runs_left_and_nothing_else(tmp_path: Path) -> None:
    """Folders without a living process go, those in use and those of others stay."""
    (tmp_path / "streamfuse.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / ".streamfuse-00000000").mkdir()
    with RunDir.create(tmp_path) as alive, process(OWNER, tmp_path) as owner:
        path = Path(heard(owner))
        assert RunDir.sweep(tmp_path) == [".streamfuse-00000000"]
        owner.kill()
        owner.wait()
        assert RunDir.sweep(tmp_path) == [path.name]
        assert {entry.name for entry in tmp_path.iterdir()} == {"streamfuse.txt", "other", alive.path.name}


CREATORS = """
import sys
from streamfuse.io.transport.rundir import RunDir
for _ in range(200):
    RunDir.sweep(sys.argv[1])
    with RunDir.create(sys.argv[1]) as run:
        with RunDir.join(run.path):
            assert run.ring("a").parent.is_dir()
"""


def test_sweeping_never_takes_a_folder_that_is_being_made(tmp_path: Path) -> None:
    """Two processes that make and sweep folders all the time do not get into each other's way."""
    with process(CREATORS, tmp_path) as first, process(CREATORS, tmp_path) as second:
        say(first)
        say(second)
        assert (first.returncode, second.returncode) == (0, 0)
    assert not list(tmp_path.iterdir())


def test_joining_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder that is not there, or is no run, is named."""
    with pytest.raises(MachineError, match="is not the folder of a run"):
        RunDir.join(tmp_path / "streamfuse-00000000")
    with pytest.raises(MachineError, match="cannot make a run folder"):
        RunDir.create(tmp_path / "none")


def test_names_become_paths_and_endpoints(tmp_path: Path) -> None:
    """Every thing of a run has its place in the folder."""
    with RunDir.create(tmp_path) as run:
        assert run.ring("visible") == run.path / "visible.ring"
        assert run.board("capture-visible") == run.path / "capture-visible.board"
        assert run.endpoint("visible") == f"ipc://{run.path}/visible.sock"
        with pytest.raises(ValueError, match=r"got '\.\./x'"):
            run.ring("../x")


def test_an_endpoint_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """The limit is the kernel's, and the error says what to do."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with RunDir.create(deep) as run, pytest.raises(UsageError, match="a socket may have 107"):
        run.endpoint("visible")
