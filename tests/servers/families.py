"""The end of a program with all the processes it has started, whoever of them still lives."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

__all__ = ["end_family", "family"]


def family(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """All living processes of the session that ``process`` leads, also those it has left behind.

    It must have been started with ``start_new_session=True``.
    """
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(pid) == process.pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(psutil.Process(pid))
    return found


def end_family(process: subprocess.Popen[Any], *, timeout_s: float = 10.0) -> None:
    """Kill the session that ``process`` leads and wait until none of it is left.

    Orphans hold the pipes of the one who started them: who reads these to their end, waits for all of them.

    Raises:
        AssertionError: somebody does not die; it names them, and what they wait for in the kernel.
    """
    deadline_s = time.monotonic() + timeout_s
    while left := family(process):
        assert time.monotonic() < deadline_s, f"not dead {timeout_s:g} s after a SIGKILL: {_described(left)}"
        for member in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(left, timeout=0.2)
    try:
        process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        holder = "somebody outside its session holds its output"
        raise AssertionError(f"{process.args!r} has ended, but {holder}") from error


def _described(processes: list[psutil.Process]) -> list[str]:
    words = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            channel = Path(f"/proc/{process.pid}/wchan").read_text()
            words.append(f"{process.pid} {process.name()} ({process.status()}, in {channel})")
    return words
