"""The terminal that the program was started from, and what to do when its window is closed."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["Terminal"]

_STANDARD_FDS: Final = (0, 1, 2)


class Terminal:
    """This process's terminal, if it has one when this is made."""

    def __init__(self) -> None:
        self._was_there = _is_there()
        self._fds = [fd for fd in _STANDARD_FDS if os.isatty(fd)]

    @property
    def is_gone(self) -> bool:
        """Whether it was there and is not any more."""
        return self._was_there and not _is_there()

    def leave(self) -> None:
        """Let the words that were meant for it go nowhere, so that writing them is no error."""
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in self._fds:
            os.dup2(nowhere, fd)
        os.close(nowhere)


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
