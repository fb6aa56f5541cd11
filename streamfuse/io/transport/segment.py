"""Shared-memory segments: plain files in a memory file system, mapped by every process that knows them.

``multiprocessing.shared_memory`` is not used: its resource tracker removes segments behind the back of
processes that did not fork from each other. A file needs no tracker, has an owner and a mode, and goes
with the run folder.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from streamfuse.errors import MachineError, RingError

__all__ = ["new_segment", "open_segment", "preflight"]

_MIB = 2**20


def preflight(folder: Path, nbytes: int) -> None:
    """Check that ``folder`` has room for ``nbytes`` more.

    Raises:
        MachineError: it has not, or it cannot be looked at; says how much is needed and how to get it.
    """
    try:
        stats = os.statvfs(folder)
    except OSError as error:
        raise MachineError(f"{folder}: cannot be used for shared memory: {error.strerror}") from error
    if stats.f_bavail * stats.f_frsize < nbytes:
        raise _no_room(folder, nbytes)


@contextlib.contextmanager
def new_segment(path: Path, nbytes: int, *, replace: bool = False) -> Iterator[mmap.mmap]:
    """Make a segment of zero bytes; it appears at ``path``, mode 0600, when the block ends well.

    All its memory is taken at once, so that a full file system is an error here and not a SIGBUS later.

    Args:
        path: where it appears; other processes never see it half made.
        nbytes: its size.
        replace: whether it may take the place of a segment that is there. Whoever has that one mapped
            keeps it.

    Raises:
        RingError: ``path`` exists, or cannot be written.
        MachineError: the file system is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise RingError(f"{path}: cannot make shared memory: {error.strerror}") from error
    try:
        try:
            os.posix_fallocate(fd, 0, nbytes)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise RingError(f"{path}: cannot make shared memory: {error.strerror}") from error
            raise _no_room(path.parent, nbytes) from error
        with mmap.mmap(fd, nbytes) as memory:
            yield memory
        _publish(draft, path, replace=replace)
    finally:
        os.close(fd)
        draft.unlink(missing_ok=True)


def open_segment(path: Path, *, writable: bool) -> tuple[mmap.mmap, int]:
    """Map the segment at ``path``; returns the mapping and the inode it has.

    Raises:
        RingError: it is missing, empty or belongs to somebody else.
    """
    try:
        fd = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
    except OSError as error:
        raise RingError(f"{path}: cannot open shared memory: {error.strerror}") from error
    try:
        inode = os.fstat(fd).st_ino
        prot = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        # All page tables at once: else every page of the first frames would be a fault of its own.
        return mmap.mmap(fd, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=prot), inode
    except ValueError as error:
        raise RingError(f"{path}: shared memory is empty, expected a header") from error
    finally:
        os.close(fd)


def _publish(draft: Path, path: Path, *, replace: bool) -> None:
    try:
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    except FileExistsError as error:
        raise RingError(f"{path}: exists already; open it, or remove what an earlier run left") from error


def _no_room(folder: Path, nbytes: int) -> MachineError:
    stats = os.statvfs(folder)
    free = stats.f_bavail * stats.f_frsize
    wanted = stats.f_frsize * stats.f_blocks - free + nbytes
    return MachineError(
        f"{folder}: {nbytes / _MIB:.1f} MiB of shared memory needed, {free / _MIB:.1f} MiB free; "
        f"in a container give at least --shm-size={-(-wanted // _MIB)}m"
    )
