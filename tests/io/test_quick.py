"""A process of ours ends before it is taken apart, and after all that matters."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, sys, threading
from streamfuse.io.quick import quick_process

class Kept:
    def __del__(self):
        print("taken apart")

kept = Kept()
with quick_process():
    atexit.register(print, "handler")
    threading.Timer(0.1, print, ["thread"]).start()
    {ending}
"""


def end(ending: str) -> subprocess.CompletedProcess[str]:
    """A process that ends so."""
    script = SCRIPT.format(ending=ending)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("ending", "status"), [("pass", 0), ("sys.exit()", 0), ("sys.exit(3)", 3)])
def test_it_ends_at_once_after_threads_handlers_and_words(ending: str, status: int) -> None:
    """With the status it asked for; nothing is taken apart."""
    done = end(ending)
    assert (done.returncode, done.stdout, done.stderr) == (status, "thread\nhandler\n", "")


@pytest.mark.parametrize("ending", ["sys.exit('some words')", "raise ValueError('some words')"])
def test_other_ends_go_their_usual_way(ending: str) -> None:
    """What they have to say is said."""
    done = end(ending)
    assert (done.returncode, done.stdout) == (1, "thread\nhandler\ntaken apart\n")
    assert "some words" in done.stderr


def test_output_that_nobody_reads_is_an_error_as_ever() -> None:
    """A reader that left is told by the status of the interpreter."""
    script = SCRIPT.format(ending="print('x' * 100_000)")
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.wait(timeout=60) != 0
