"""Python, memory, disk, ports and limits: what the operating system has to give."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from streamfuse import __version__
from streamfuse.errors import OutputError
from streamfuse.folders import cache_dir
from streamfuse.io.files import check_writable
from streamfuse.jobs.doctor.finding import Finding, Level

__all__ = [
    "PORTS",
    "SHARED_NBYTES",
    "look_at_cache",
    "look_at_disk",
    "look_at_limits",
    "look_at_memory",
    "look_at_ports",
    "look_at_python",
    "look_at_shared_memory",
]

_SHM: Final = Path("/dev/shm")  # noqa: S108 - shared memory, looked at and not written
SHARED_NBYTES: Final = 350 * 10**6
"""Bytes: two 1080p cameras, one of them in 16 bits, with every sink there is and every layer recorded."""
_SHARED_LEAST_NBYTES: Final = 64 * 10**6
"""Bytes: what a container has if it is not told otherwise; 640x480 with a recorder takes 20 MB."""
_MEMORY_NBYTES: Final = 2 * 10**9
"""Bytes: five processes, of which one has torch, OpenVINO and a detector loaded."""
_DISK_NBYTES: Final = 10 * 10**9
"""Bytes: some hours of video."""
_DISK_LEAST_NBYTES: Final = 10**9
_FILES: Final = 1024
"""Open files: rings, sockets and 50 browsers take some hundreds."""
_FILES_LEAST: Final = 256
PORTS: Final = (("viewer", 8090), ("metrics", 9464))
"""Where the pages of the shipped pipelines are."""


def look_at_python() -> Iterator[Finding]:
    """The interpreter, and whether all packages are there that streamfuse depends on."""
    versions = metadata.metadata("streamfuse")["Requires-Python"]
    text = f"{platform.python_version()} in {sys.prefix}, streamfuse {__version__}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        fix = f"install Python {versions}, and streamfuse into a virtual environment of it"
        yield Finding(what="python", level=Level.FAIL, text=text, fix=fix)
        return
    missing = [name for name in _dependencies() if not _is_installed(name)]
    if missing:
        text = f"{text}, without {', '.join(missing)}"
        yield Finding(
            what="python", level=Level.FAIL, text=text, fix=f"{sys.executable} -m pip install streamfuse"
        )
        return
    yield Finding(what="python", level=Level.OK, text=text)


def _dependencies() -> Iterator[str]:
    for requirement in metadata.requires("streamfuse") or ():
        if "extra ==" not in requirement:
            yield re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def look_at_memory(meminfo: Path = Path("/proc/meminfo")) -> Iterator[Finding]:
    """Processors, and memory that is free for new programs."""
    numbers = dict(re.findall(r"^(\w+): +(\d+) kB$", meminfo.read_text(encoding="ascii"), re.MULTILINE))
    free, total = (int(numbers[name]) * 1024 for name in ("MemAvailable", "MemTotal"))
    text = f"{_gb(free)} of {_gb(total)} free, {len(os.sched_getaffinity(0))} processors"
    if free < _MEMORY_NBYTES:
        fix = f"a run with detection takes about {_gb(_MEMORY_NBYTES)}: end other programs, or add memory"
        yield Finding(what="memory", level=Level.WARNING, text=text, fix=fix)
    else:
        yield Finding(what="memory", level=Level.OK, text=text)


def look_at_shared_memory(folder: Path = _SHM) -> Iterator[Finding]:
    """The memory that pictures travel through; a container has 64 MB of it if it is not told otherwise."""
    fix = (
        f"in a container --shm-size=512m (compose: shm_size), else `mount -o remount,size=512m {folder}`; "
        "`streamfuse check PIPELINE` says what a pipeline needs"
    )
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        text = f"{folder} is not there, or cannot be written"
        yield Finding(what="shared memory", level=Level.FAIL, text=text, fix=fix)
        return
    free = shutil.disk_usage(folder).free
    level = _level(free, enough=SHARED_NBYTES, least=_SHARED_LEAST_NBYTES)
    text = f"{_mb(free)} free in {folder}; two 1080p cameras with all sinks take {_mb(SHARED_NBYTES)}"
    yield Finding(what="shared memory", level=level, text=text, fix="" if level is Level.OK else fix)


def look_at_disk(folder: Path) -> Iterator[Finding]:
    """Room for recordings in ``folder``."""
    try:
        check_writable(folder)
    except OutputError:
        fix = "set record.dir to a folder of yours, or name that folder with --dir"
        text = f"{folder} cannot be written"
        yield Finding(what="disk", level=Level.WARNING, text=text, fix=fix)
        return
    free = shutil.disk_usage(folder).free
    level = _level(free, enough=_DISK_NBYTES, least=_DISK_LEAST_NBYTES)
    fix = "make room, or let record.retention do it (min_free, max_bytes)" if level is not Level.OK else ""
    yield Finding(what="disk", level=level, text=f"{_gb(free)} free in {folder}", fix=fix)


def look_at_cache() -> Iterator[Finding]:
    """Whether what takes long to make can be kept for the next start."""
    folder = cache_dir()
    try:
        check_writable(next(parent for parent in (folder, *folder.parents) if parent.exists()))
    except OutputError as error:
        fix = "set XDG_CACHE_HOME to a folder of yours; until then every start compiles and measures again"
        yield Finding(what="cache", level=Level.WARNING, text=str(error).partition(";")[0], fix=fix)
    else:
        text = f"compiled networks and measured choices are kept in {folder}"
        yield Finding(what="cache", level=Level.OK, text=text)


def look_at_ports(ports: tuple[tuple[str, int], ...] = PORTS) -> Iterator[Finding]:
    """Whether the usual ports are free."""
    taken = [f"{port} ({name})" for name, port in ports if not _is_free(port)]
    if taken:
        fix = (
            "a run that goes on has them; for a second one choose others in viewer.web and metrics.prometheus"
        )
        yield Finding(what="ports", level=Level.WARNING, text=f"in use: {', '.join(taken)}", fix=fix)
    else:
        text = f"free: {', '.join(f'{port} ({name})' for name, port in ports)}"
        yield Finding(what="ports", level=Level.OK, text=text)


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def look_at_limits() -> Iterator[Finding]:
    """What a process may have at most: open files, size of a file, memory."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY
    level = Level.OK if unlimited else _level(files, enough=_FILES, least=_FILES_LEAST)
    text = f"{'any number of' if unlimited else files} open files"
    bounded = [name for name, kind in _SIZES if resource.getrlimit(kind)[0] != resource.RLIM_INFINITY]
    fixes = []
    if level is not Level.OK:
        fixes.append(f"`ulimit -n {_FILES}`, LimitNOFILE={_FILES} in a systemd unit")
    if bounded:
        level = max(level, Level.WARNING, key=_ORDER.index)
        text = f"{text}, {' and '.join(bounded)} limited"
        fixes.append("lift the limits with `ulimit -f unlimited -v unlimited`")
    yield Finding(what="limits", level=level, text=text, fix="; ".join(fixes))


_SIZES: Final = (("size of a file", resource.RLIMIT_FSIZE), ("address space", resource.RLIMIT_AS))
_ORDER: Final = (Level.OK, Level.WARNING, Level.FAIL)


def _level(got: int, *, enough: int, least: int) -> Level:
    if got >= enough:
        return Level.OK
    return Level.WARNING if got >= least else Level.FAIL


def _mb(nbytes: int) -> str:
    return f"{nbytes / 1e6:.0f} MB"


def _gb(nbytes: int) -> str:
    return f"{nbytes / 1e9:.1f} GB"
