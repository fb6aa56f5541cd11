"""Kernels of the street: one process compiles, whoever comes second takes what it has made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamfuse.io.synthetic.compiled import kernel

USER = """
import numpy as np
from numba.core import event
from streamfuse.io.synthetic.noise import fractal_at

compiled = []
def note(happened):
    if happened.is_start:
        compiled.append(happened.data["dispatcher"].py_func.__name__)

listener = event.TimingListener()
listener.notify = note
with event.install_listener("numba:compile", listener):
    print("ready", flush=True)
    input()
    fractal_at(np.zeros((256, 256), np.float32), np.zeros(9, np.float32), np.zeros(9, np.float32))
print(compiled.count("_lookup"))
"""


def test_two_processes_that_want_a_kernel_at_once_compile_it_once(tmp_path: Path) -> None:
    """The second waits for the first, and reads what that has put into the cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    users = [
        subprocess.Popen(
            [sys.executable, "-c", USER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for user in users:
        assert user.stdout is not None
        assert user.stdout.readline() == "ready\n"
    for user in users:
        assert user.stdin is not None
        user.stdin.write("go\n")
        user.stdin.flush()
    assert sorted(int(user.communicate(timeout=60)[0]) for user in users) == [0, 1]


@kernel()
def _double(numbers: np.ndarray) -> None:
    for index in range(numbers.size):
        numbers[index] *= 2.0


def test_without_a_lock_to_be_had_it_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder that cannot be used costs time, no picture."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    numbers = np.arange(3.0)
    _double(numbers)
    assert numbers.tolist() == [0.0, 2.0, 4.0]
