"""Staging memory: where a frame goes from the ring, and from where a device takes it.

A frame that leaves the ring needs memory of its own. Fresh memory has to be faulted in page by page, and a
GPU copies from it twice, through a page-locked buffer of its driver's. So a consumer may bring its own pool:
buffers that are made once, page-locked where the consumer knows how to, and used again and again::

    ring ──one copy──► buffer of the pool ──DMA──► device

Nobody gives a buffer back. Each is lent as a new object that all views of it refer to, numpy's and torch's
alike; when the last of them is gone, that object is, too, and its end brings the buffer back.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Allocate", "Staging", "fresh_memory", "plain_memory"]

Allocate: TypeAlias = Callable[[int], memoryview]
"""Makes a writable buffer of so many bytes, which is freed with the last view of it."""


def fresh_memory(nbytes: int) -> memoryview:
    """Ordinary memory whose content is whatever was there before."""
    return np.empty(nbytes, np.uint8).data


def plain_memory(nbytes: int) -> memoryview:
    """Ordinary memory, in huge pages where the system has them."""
    memory = mmap.mmap(-1, nbytes)
    with contextlib.suppress(OSError):  # a kernel without huge pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)


class Staging:
    """A bounded pool of buffers that come back by themselves. Safe to use from several threads.

    All buffers are made at once: what the pool takes is known at the start and never grows. Whoever wants
    more than there is, or a larger one, gets ordinary memory that is freed afterwards, and never waits.

    Args:
        nbytes: of each buffer.
        buffers: how many there are.
        allocate: makes one.

    Raises:
        ValueError: less than one buffer or byte.
    """

    def __init__(self, nbytes: int, *, buffers: int, allocate: Allocate = plain_memory) -> None:
        if nbytes < 1 or buffers < 1:
            raise ValueError(f"staging needs a buffer and a byte at least, got {buffers} of {nbytes} bytes")
        self.spilled = 0
        """Leases so far that were ordinary memory, since the pool was empty or its buffers too small."""
        self._type = ctypes.c_ubyte * nbytes
        self.nbytes = nbytes
        # A deque needs no lock: a lease may end in any thread, also in the middle of lease() itself.
        self._free = deque(allocate(nbytes) for _ in range(buffers))
        self._lent: dict[int, tuple[weakref.ref[Any], memoryview]] = {}
        """By the identity of the reference; a reference that nobody keeps tells nothing."""

    @property
    def free(self) -> int:
        """Buffers that are not lent."""
        return len(self._free)

    def lease(self, nbytes: int) -> memoryview:
        """Writable memory of at least ``nbytes`` bytes, whose content is whatever was there before.

        It belongs to whoever holds it, or a view of it.
        """
        if nbytes <= self.nbytes:
            try:
                buffer = self._free.pop()  # the one that came back last is still in the caches
            except IndexError:
                pass
            else:
                lease = self._type.from_buffer(buffer)
                reference = weakref.ref(lease, self._came_back)
                self._lent[id(reference)] = reference, buffer
                return memoryview(lease).cast("B")
        self.spilled += 1
        return fresh_memory(nbytes)

    def _came_back(self, reference: weakref.ref[Any]) -> None:
        _, buffer = self._lent.pop(id(reference))
        self._free.append(buffer)
