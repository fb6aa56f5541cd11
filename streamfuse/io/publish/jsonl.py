"""Messages as lines of a text file (JSON Lines, UTF-8)."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from streamfuse.core.messages import Message
from streamfuse.errors import OutputError
from streamfuse.io.files import check_writable
from streamfuse.io.publish.publisher import Publisher
from streamfuse.io.publish.standing import Standing

__all__ = ["JsonlPublisher", "check_path"]


def check_path(path: Path) -> None:
    """See whether messages can be appended to ``path``; nothing is made.

    Raises:
        OutputError: it is a folder, may not be written, or its folder cannot be made or written.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, and a file is wanted there; choose another name")
    if not path.exists():
        check_writable(next(parent for parent in path.parents if parent.exists()))
    elif not os.access(path, os.R_OK | os.W_OK):
        raise OutputError(f"{path}: cannot write there (Permission denied); choose another file")


class JsonlPublisher(Publisher):
    """Appends each message to a file, one per line.

    Every line reaches the operating system before ``publish`` returns, so a killed process loses at most
    the line it was writing; whoever appends next ends such a torn line first, so that it spoils no other.
    When the file is moved away or removed (``logrotate``), a new one is begun.

    Args:
        path: file to append to; it and its folders are made when missing.

    Raises:
        OutputError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.standing = Standing(str(path))
        self._path = path
        try:
            self._file: FileIO | None = _open_at_line_start(path)
        except OSError as error:
            raise OutputError(f"cannot write messages to {path}: {error.strerror}") from error

    def publish(self, message: Message) -> None:
        """Append a message; a line that the disk does not take, or not wholly, is lost."""
        line = message.body + b"\n"
        try:
            if self._file is None:
                self._file = _open_at_line_start(self._path)
            written = self._file.write(line)
        except OSError as error:
            self._lose(error.strerror)
        else:
            if written == len(line):
                self.standing.work()
            else:
                self._lose(f"the disk took {written} of {len(line)} bytes")

    def turn(self) -> None:
        """Begin a new file if ours is not there any more."""
        if self._file is None:
            return
        try:
            is_there = os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            is_there = False
        if not is_there:
            self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lose(self, why: str | None) -> None:
        self.close()  # opened again for the next line, which then does not continue a torn one
        self.standing.fail(f"cannot write messages: {why}")
        self.standing.lose()


def _open_at_line_start(path: Path) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered: after a failed write nothing is left that close() would try again.
    file = path.open("a+b", buffering=0)
    try:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
    except OSError:
        file.close()
        raise
    return file
