"""Shared fixtures: where the real data is, and the proof that a test cleans up after itself."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, settings

# A shell that runs the tests in the background (`&`, `nohup`) ignores these for them, and for all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Whoever ends the tests from outside wants what they started to end too: fixtures clean up after this.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# The tests start a thousand interpreters; without this variable each finds our code compiled by the first.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("streamfuse", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamfuse")

pytest_plugins = ("servers", "watchdog")  # tests/servers: real servers as fixtures, an end to what hangs
SHM = Path("/dev/shm")  # noqa: S108 - shared memory, looked at and not written
# Threads that belong to libraries for the life of the process, by the start of their name.
LIBRARY_THREADS = ("pydevd", "tqdm", "ThreadPoolExecutor-lib")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real data, where this machine has it: set STREAMFUSE_DATA to its folder."""
    folder = os.environ.get("STREAMFUSE_DATA")
    if folder is None:
        pytest.skip("STREAMFUSE_DATA is not set: tests on real data need its folder")
    path = Path(folder)
    assert path.is_dir(), f"STREAMFUSE_DATA is {path}, which is not a folder"
    return path.resolve()


@pytest.fixture(scope="session")
def published_checkpoint(data_dir: Path) -> Path:
    """The published SeAFusion network, beside the data."""
    path = data_dir.parent / "weights" / "seafusion_published.pth"
    assert path.is_file(), f"expected the published checkpoint at {path}"
    return path


@pytest.fixture(autouse=True, scope="session")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and what they share, out of the user's data and cache; messages are for people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMFUSE_LOG", "human")
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "xdg-data"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "xdg-cache"))
        yield


@pytest.fixture(autouse=True)
def _needs_cuda(request: pytest.FixtureRequest) -> None:
    """Skip a test marked ``needs_cuda`` without a CUDA device, unless this run was promised one."""
    if request.node.get_closest_marker("needs_cuda") is None:
        return
    import torch  # noqa: PLC0415 - seconds to load, and only such a test needs it

    if not torch.cuda.is_available():
        assert "STREAMFUSE_REQUIRE_CUDA" not in os.environ, "STREAMFUSE_REQUIRE_CUDA is set: torch finds none"
        pytest.skip("no CUDA device")


@pytest.fixture(autouse=True)
def _same_chance() -> None:
    """Random state is always the same."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    """Fail a test that leaves a process, a thread, a socket or shared memory behind."""
    before = _resources()
    yield
    left = {kind: sorted(now - before[kind]) for kind, now in _resources().items() if now - before[kind]}
    assert not left, f"the test left behind: {left}"


def _resources() -> dict[str, set[str]]:
    return {
        "processes": set(_processes()),
        "threads": {
            thread.name
            for thread in threading.enumerate()
            if thread.is_alive() and not thread.name.startswith(LIBRARY_THREADS)
        },
        "sockets": set(_sockets()),
        "shared memory": {path.name for path in SHM.glob("streamfuse-*") if not _is_used_by_others(path)},
        # All that is started later inherits it; at real-time priority that starves the whole machine.
        "scheduling": {f"policy {os.sched_getscheduler(0)}, priority {os.sched_getparam(0).sched_priority}"},
    }


def _is_used_by_others(run_dir: Path) -> bool:
    """Whether the folder belongs to a run that goes on beside the tests."""
    if any(str(target).startswith(str(run_dir)) for target in _open_files()):
        return False
    try:
        with (run_dir / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # it went away while we looked
        return not run_dir.exists()
    except BlockingIOError:
        return True
    return False


def _processes() -> Iterator[str]:
    for child in psutil.Process().children(recursive=True):
        try:
            yield f"{child.pid} {' '.join(child.cmdline())}"
        except psutil.ZombieProcess:
            yield f"{child.pid} (a zombie)"
        except psutil.NoSuchProcess:  # it ended while we looked
            continue


def _open_files() -> Iterator[Path]:
    for fd in Path("/proc/self/fd").iterdir():
        try:
            yield fd.readlink()
        except FileNotFoundError:  # the listing's own descriptor
            continue


def _sockets() -> Iterator[str]:
    return (str(target) for target in _open_files() if str(target).startswith("socket:"))
