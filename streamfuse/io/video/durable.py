"""A file that can be cut off at any moment, by a kill or by the power, and still be read."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Final

from streamfuse.io.closing import Closing

__all__ = ["DurableFile", "sync_folder"]

_PAUSE_S: Final = 0.25
"""Between two orders to the disk; a lossless video grows with every frame."""


class DurableFile(Closing):
    """What a muxer writes to: it grows, and a thread brings growth to the disk at once (``fdatasync``).

    Muxers finish a file by going back and changing its head, so that it leads to an index at the end.
    Between the two the file would lead nowhere. So from :meth:`finishing` on, changes of what is there
    already wait until everything behind them is on the disk.

    The file is held by an exclusive ``flock`` until it is closed. It has the methods of a Python file
    that PyAV calls. All methods are for one thread.

    Args:
        path: Where it is made.
        fresh: Whether an older file there is an error; otherwise it is overwritten.

    Raises:
        OSError: it cannot be made, or somebody else holds it.
    """

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self.closed = False
        self._path = path
        self._at = 0
        self._end = 0
        self._sound = 0
        self._patches: list[tuple[int, bytes]] | None = None
        self._error: OSError | None = None
        self._wanted = threading.Event()
        self._leaving = threading.Event()
        how = os.O_EXCL if fresh else os.O_TRUNC
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | how, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise
        self._thread = threading.Thread(target=self._bring_to_disk, name=f"sync {path.name}", daemon=True)
        self._thread.start()

    @property
    def nbytes(self) -> int:
        """Length of the file."""
        return self._end

    def write(self, data: bytes) -> int:
        """Write at the present place.

        Raises:
            OSError: there is no room, what was written before did not reach the disk, or the file was
                deleted under us.
        """
        if self._error is not None:
            raise self._error
        if self._patches is not None and self._at < self._sound:
            self._patches.append((self._at, data))
        else:
            _write_all(self._fd, data, self._at)
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The present place."""
        return self._at

    def settle(self) -> None:
        """Note that the file is sound as far as it was written, and let the thread bring it to the disk."""
        if self._end > self._sound:
            self._sound = self._end
            self._wanted.set()

    def finishing(self) -> None:
        """From here on changes of what is there wait for :meth:`finish`."""
        self._patches = []

    def finish(self, *, rename_to: Path | None = None) -> None:
        """Bring all to the disk, then make the changes that waited, give the file its name, and close.

        Raises:
            OSError: that cannot be done; the file is as sound as before, and not closed.
        """
        if self._error is not None:
            raise self._error
        os.fdatasync(self._fd)
        for offset, data in self._patches or ():
            _write_all(self._fd, data, offset)
        os.fdatasync(self._fd)
        self._sound = self._end
        if rename_to is not None:  # while it is held: nobody shall take it for a dead writer's
            self._path.rename(rename_to)
            sync_folder(rename_to.parent)
        self.close()

    def close(self) -> None:
        """Close the file as far as it is sound; may be called twice."""
        if self.closed:
            return
        self.closed = True
        self._leaving.set()
        self._wanted.set()
        self._thread.join()
        # What a disk without room took of a fragment goes; a device has no size.
        with contextlib.suppress(OSError):
            if os.fstat(self._fd).st_size > self._sound:
                os.ftruncate(self._fd, self._sound)
        os.close(self._fd)

    def _bring_to_disk(self) -> None:
        try:
            sync_folder(self._path.parent)  # the name of the file
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._leaving.is_set():
                    return
                os.fdatasync(self._fd)
                if os.fstat(self._fd).st_nlink == 0:
                    raise FileNotFoundError(errno.ENOENT, "it was deleted while it was written")
                if self._leaving.wait(_PAUSE_S):
                    return
        except OSError as error:
            self._error = error


def sync_folder(folder: Path) -> None:
    """Bring the names of the files in ``folder`` to the disk.

    Raises:
        OSError: that cannot be done.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks know no such thing
            raise
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written
