"""OpenVINO stays loaded: what it does to a thread's signals lasts as long as the thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gc, os, signal, threading
from streamfuse.engine import FusionEngine

engine = FusionEngine.load("grdb-quarter", backend="openvino")

def drop():
    global engine
    engine.close()
    engine = None
    gc.collect()

thread = threading.Thread(target=drop)
thread.start()
thread.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("options", [[], ["-X", "faulthandler"]], ids=["plain", "faulthandler"])
def test_ctrl_c_after_an_engine_was_dropped_by_another_thread(options: list[str]) -> None:
    """The process is interrupted, and not killed by a stack for signals that is gone."""
    done = subprocess.run(
        [sys.executable, *options, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
