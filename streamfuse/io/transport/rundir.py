"""The run folder: where the processes of one run meet, and who clears it away.

The folder holds a file ``lock``. Every process of the run holds a shared lock on it, which the kernel lets
go of when the process ends, however it ends. So an exclusive lock can be had exactly when nobody uses the
folder: that, and no process id or age, is what allows to remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from pathlib import Path

from streamfuse.errors import MachineError, UsageError
from streamfuse.io.closing import Closing

__all__ = ["RunDir"]

_PREFIX = "streamfuse-"
_DRAFT_PREFIX = ".streamfuse-"
_LOCK = "lock"
_CREATE_ATTEMPTS = 5
_SOCKET_PATH_MAX_BYTES = 107
"""``sockaddr_un.sun_path`` of Linux less its closing zero byte."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class RunDir(Closing):
    """This process's membership of a run folder; make it with :meth:`create` or :meth:`join`."""

    def __init__(self, path: Path, lock_fd: int, *, owner: bool) -> None:
        self.path = path
        self.owner = owner
        self._lock_fd = lock_fd

    @classmethod
    def create(cls, base: Path | str = "/dev/shm") -> RunDir:  # noqa: S108 - memory, not a temp file; 0700 within
        """Make ``<base>/streamfuse-<8 hex>``, mode 0700, owned by this process.

        Raises:
            MachineError: the folder cannot be made.
        """
        swept: FileNotFoundError | None = None
        for _ in range(_CREATE_ATTEMPTS):
            try:
                return cls(*_make(Path(base)), owner=True)
            except FileNotFoundError as error:  # a sweep took the draft before it was locked
                swept = error
            except OSError as error:
                raise MachineError(f"{base}: cannot make a run folder: {error.strerror}") from error
        raise MachineError(f"{base}: cannot make a run folder: is it there?") from swept

    @classmethod
    def join(cls, path: Path | str) -> RunDir:
        """Become a member of a run that is going on.

        Raises:
            MachineError: there is no such run, or it is just being removed.
        """
        path = Path(path)
        try:
            lock_fd = os.open(path / _LOCK, os.O_RDWR)
        except OSError as error:
            raise MachineError(f"{path}: is not the folder of a run: {error.strerror}") from error
        if not _try_lock(lock_fd, fcntl.LOCK_SH) or not _names(path / _LOCK, lock_fd):
            os.close(lock_fd)
            raise MachineError(f"{path}: the run is over, its folder is being removed")
        return cls(path, lock_fd, owner=False)

    @staticmethod
    def sweep(base: Path | str = "/dev/shm") -> list[str]:  # noqa: S108 - memory, not a temp file; 0700 within
        """Remove the folders of runs that nobody is in any more; returns their names."""
        folders = [*Path(base).glob(f"{_PREFIX}*"), *Path(base).glob(f"{_DRAFT_PREFIX}*")]
        return [folder.name for folder in sorted(folders) if _remove_if_unused(folder)]

    def ring(self, name: str) -> Path:
        """Where the ring of a stream lies."""
        return self._file(name, "ring")

    def board(self, name: str) -> Path:
        """Where the board of a worker lies."""
        return self._file(name, "board")

    def endpoint(self, name: str) -> str:
        """Where the producer of a stream listens, ``ipc://…``.

        Raises:
            UsageError: the path is longer than a Unix socket may have.
        """
        path = self._file(name, "sock")
        length = len(os.fsencode(path))
        if length > _SOCKET_PATH_MAX_BYTES:
            raise UsageError(
                f"{path}: has {length} bytes, a socket may have {_SOCKET_PATH_MAX_BYTES}; "
                "use a base folder with a shorter path"
            )
        return f"ipc://{path}"

    def close(self) -> None:
        """Leave. The owner removes the folder; without an owner the last one to leave does."""
        if self._lock_fd < 0:
            return
        os.close(self._lock_fd)
        self._lock_fd = -1
        if self.owner:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            _remove_if_unused(self.path)

    def _file(self, name: str, suffix: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"names in a run folder must match {_NAME.pattern}, got {name!r}")
        return self.path / f"{name}.{suffix}"


def _make(base: Path) -> tuple[Path, int]:
    """A new run folder under its final name, and the open lock that it was given before."""
    name = secrets.token_hex(4)
    draft = base / f"{_DRAFT_PREFIX}{name}"
    final = base / f"{_PREFIX}{name}"
    draft.mkdir(mode=0o700)
    lock_fd = os.open(draft / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        # Locked before it has its final name: a sweep never finds a run folder that looks abandoned.
        fcntl.flock(lock_fd, fcntl.LOCK_SH)
        draft.rename(final)
    except OSError:
        os.close(lock_fd)
        raise
    return final, lock_fd


def _remove_if_unused(folder: Path) -> bool:
    """Remove a run folder unless a process is in it or it is another user's; whether it was removed."""
    try:
        lock_fd = os.open(folder / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return _remove_without_lock(folder)
    except OSError:
        return False
    try:
        if not _try_lock(lock_fd, fcntl.LOCK_EX):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    finally:
        os.close(lock_fd)


def _remove_without_lock(folder: Path) -> bool:
    if not folder.name.startswith(_DRAFT_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)  # the rest of one whose removal was interrupted
        return not folder.exists()
    # Perhaps just being made: only an empty folder goes, and its maker notices and makes another.
    with contextlib.suppress(OSError):
        folder.rmdir()
        return True
    return False


def _try_lock(fd: int, kind: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    return False


def _names(path: Path, fd: int) -> bool:
    """Whether ``path`` is still the name of the open file ``fd``."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False
