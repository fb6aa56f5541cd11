"""Nothing that hangs keeps the tests from ending."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from families import end_family, family

SERVERS = Path(__file__).parents[1] / "servers"
HANGS = {
    "in a teardown after a failure": """
import subprocess, pytest

@pytest.fixture
def orphans():
    with subprocess.Popen(["sleep", "600"]) as process:
        yield
        process.communicate()

def test_it(orphans):
    assert False
""",
    "in a call that hears no signal": """
import signal, threading

def test_it():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
""",
}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_test_that_hangs_ends_the_session_with_its_stack(tmp_path: Path, hang: str) -> None:
    """Not even where the timeout of the single test is over, or never heard."""
    (tmp_path / "test_hang_inside.py").write_text(hang)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-p", "watchdog", "-p", "no:cacheprovider"),
            *("-o", "watchdog_s=1.5", "-o", "timeout=0.5", "--rootdir", str(tmp_path), str(tmp_path)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SERVERS)},
        start_new_session=True,
    )
    try:
        words, _ = process.communicate(timeout=60)
    finally:
        end_family(process)  # with what the hanging test had started
    assert process.returncode == 1
    assert "Timeout (0:00:01.500000)!" in words
    assert "test_hang_inside.py" in words.partition("Timeout (0")[2]


def test_the_end_of_a_program_is_the_end_of_its_orphans() -> None:
    """Its leader is gone, its child is in a process group of its own and holds the pipe: still no wait."""
    code = "import subprocess; subprocess.Popen(['sleep', '600'], process_group=0)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    process.wait(timeout=30)
    assert [orphan.name() for orphan in family(process)] == ["sleep"]
    end_family(process)
    assert family(process) == []
