r"""The board: counters of one worker in shared memory, which outlive the worker.

::

    header    0 magic "SFBOARD\0"   8 version u32   12 cells u32   16 bytes of names u32
              20 names, UTF-8, one a line
    cells     u64 each, from the next multiple of 64 on, in the order of the names

The names are in the file, so that a reader needs no schema. A cell has one writer (one thread of one
process): then adding needs no lock, and readers see each cell whole, because eight aligned bytes are written
at once. A snapshot is not one moment for all cells; counters that are related are written in an order in
which no reader ever sees more come out than went in.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from streamfuse.errors import RingError
from streamfuse.io.closing import Closing
from streamfuse.io.transport.segment import new_segment, open_segment

__all__ = ["FIXED_CELLS", "Board"]

FIXED_CELLS = ("heartbeat_ns", "progress", "pid")
"""Cells that every board has before its own: last sign of life, work done, process id."""

_HEADER = struct.Struct("<8sIII")
_MAGIC = b"SFBOARD\0"
_VERSION = 1
_ALIGN = 64


class Board(Closing):
    """Named u64 cells; a :class:`streamfuse.core.flow.Ledger` that survives ``kill -9``."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self._map, _ = open_segment(path, writable=writable)
        try:
            self._names, start = _read_names(path, self._map)
        except RingError:
            self._map.close()
            raise
        self._index = {name: place for place, name in enumerate(self._names)}
        self._bytes = memoryview(self._map)
        self._cells = self._bytes[start : start + 8 * len(self._names)].cast("Q")

    @classmethod
    def create(cls, path: Path, names: Sequence[str] = ()) -> Board:
        """Make a board with the fixed cells and ``names``, all 0.

        Raises:
            ValueError: a name is empty, has a line break or comes twice.
            RingError: ``path`` exists or cannot be written.
            MachineError: there is not enough shared memory.
        """
        cells = (*FIXED_CELLS, *names)
        for name in cells:
            if not name or not name.isprintable() or cells.count(name) > 1:
                raise ValueError(f"cells need different names of printable characters, got {name!r}")
        text = "\n".join(cells).encode()
        with new_segment(path, _start(len(text)) + 8 * len(cells)) as memory:
            _HEADER.pack_into(memory, 0, _MAGIC, _VERSION, len(cells), len(text))
            memory[_HEADER.size : _HEADER.size + len(text)] = text
        return cls(path, writable=True)

    @classmethod
    def open(cls, path: Path, *, writable: bool = True) -> Board:
        """Map an existing board: a restarted worker goes on counting, a supervisor only looks.

        Raises:
            RingError: it is missing or not a board of this version.
        """
        return cls(path, writable=writable)

    @property
    def names(self) -> tuple[str, ...]:
        """The cells in the order of the file, the fixed ones first."""
        return self._names

    def add(self, name: str, n: int = 1) -> None:
        """Add ``n``, not negative, to a cell."""
        self._cells[self._place(name)] += n

    def set(self, name: str, value: int) -> None:
        """Put ``value``, not negative, into a cell."""
        self._cells[self._place(name)] = value

    def get(self, name: str) -> int:
        """What a cell holds."""
        return self._cells[self._place(name)]

    def snapshot(self) -> dict[str, int]:
        """All cells by name."""
        return dict(zip(self._names, self._cells, strict=True))

    def beat(self, now_ns: int) -> None:
        """Sign of life of this process at monotonic time ``now_ns``."""
        self.set("pid", os.getpid())
        self.set("heartbeat_ns", now_ns)

    def close(self) -> None:
        """Unmap the board; the file and its numbers stay."""
        with contextlib.suppress(BufferError):  # somebody iterates a snapshot: the mapping goes with that
            self._cells.release()
            self._bytes.release()
            self._map.close()

    def _place(self, name: str) -> int:
        try:
            return self._index[name]
        except KeyError:
            raise RingError(f"{self.path}: has no cell {name!r}, only {', '.join(self._names)}") from None


def _start(names_nbytes: int) -> int:
    return -(-(_HEADER.size + names_nbytes) // _ALIGN) * _ALIGN


def _read_names(path: Path, memory: mmap.mmap) -> tuple[tuple[str, ...], int]:
    """The names in a board's header and the offset of its first cell."""
    if len(memory) < _HEADER.size:
        raise RingError(f"{path}: has {len(memory)} bytes, a board has {_HEADER.size} at least")
    magic, version, count, names_nbytes = _HEADER.unpack_from(memory)
    if magic != _MAGIC:
        raise RingError(f"{path}: is not a board: starts with {magic!r}, expected {_MAGIC!r}")
    if version != _VERSION:
        raise RingError(f"{path}: is a board of version {version}, expected {_VERSION}")
    start = _start(names_nbytes)
    if len(memory) != start + 8 * count:
        raise RingError(f"{path}: has {len(memory)} bytes, expected {start + 8 * count} for {count} cells")
    text = memory[_HEADER.size : _HEADER.size + names_nbytes].decode()
    return tuple(text.split("\n")), start
