r"""The ring: frames of one stream in shared memory, written by one process and read by many.

A segment is a page of header and then slots of equal size::

    header page    0  magic "SFRING\0\0"   8 version u32   12 slots u32   16 slot_nbytes u64   24 stride u64
    slot           0  generation u64     64 pixels, planes back to back

The generation is odd while a frame is written and even when it is whole. A reader copies the pixels and
then looks whether the generation is still the one that its descriptor named; if not, the copy is thrown
away. Nobody locks, so a process that dies stops nobody.

How far this can be trusted: the descriptor travels through a socket, which orders the writer's stores
before the reader's loads on every machine. The check *after* the copy needs loads and stores to keep their
order, too. x86 keeps it (total store order). ARM does not promise it, and pure Python has no fence: there a
frame that is overwritten at the very moment of its copy could slip through within the depth of the store
buffer. Slots are reused oldest first and never while the flow control has them in use, so that moment
exists only for readers that the producer has given up on.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import struct
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamfuse.errors import RingError
from streamfuse.frames import Image, ImageSpec
from streamfuse.io.closing import Closing
from streamfuse.io.transport.segment import new_segment, open_segment, preflight
from streamfuse.io.transport.staging import Staging, fresh_memory

__all__ = ["RingReader", "RingWriter", "SlotPool", "preflight", "ring_nbytes"]

_HEADER = struct.Struct("<8sIIQQ")
_MAGIC = b"SFRING\0\0"
_VERSION = 1
_PAGE = 4096
_SLOT_HEAD = 64


def ring_nbytes(slots: int, slot_nbytes: int) -> int:
    """Bytes of shared memory that a ring takes, for the sum that :func:`preflight` checks."""
    return _PAGE + slots * _stride(slot_nbytes)


class SlotPool:
    """Chooses the slot for the next frame: the free one that was written longest ago."""

    def __init__(self, slots: int) -> None:
        self._oldest_first = list(range(slots))

    def acquire(self, in_use: Set[int], needed: Set[int] = frozenset()) -> int:
        """The next slot to write.

        When all are ``in_use`` it is the oldest that is not ``needed``, or else the oldest of all: whoever
        reads it notices by its generation.
        """
        free = next((slot for slot in self._oldest_first if slot not in in_use), None)
        if free is None:
            free = next((slot for slot in self._oldest_first if slot not in needed), self._oldest_first[0])
        self._oldest_first.remove(free)
        self._oldest_first.append(free)
        return free

    def has_free(self, in_use: Set[int]) -> bool:
        """Whether a slot is not in use."""
        return any(slot not in in_use for slot in self._oldest_first)


class _Ring(Closing):
    """A mapped segment whose header was found right."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self._map, self._inode = open_segment(path, writable=writable)
        try:
            self.slots, self.slot_nbytes, self._step = _check_header(path, self._map)
        except RingError:
            self._map.close()
            raise
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")

    def generation(self, slot: int) -> int:
        """What the slot's counter reads: odd while a frame is written into it."""
        return self._words[self._word(slot)]

    def close(self) -> None:
        """Unmap the segment; the file stays."""
        # An image that still views a slot keeps the mapping alive; it goes with the image.
        with contextlib.suppress(BufferError):
            self._words.release()
            self._bytes.release()
            self._map.close()

    def _word(self, slot: int) -> int:
        return (_PAGE + slot * self._step) // 8

    def _pixels(self, slot: int) -> memoryview:
        start = _PAGE + slot * self._step + _SLOT_HEAD
        return self._bytes[start : start + self.slot_nbytes]


class RingWriter(_Ring):
    """The one writer of a ring."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        super().__init__(path, writable=writable)
        self._images: list[Image | None] = [None] * self.slots
        """Each slot as the kind of image that was written into it last: most streams have only one kind."""

    @classmethod
    def create(cls, path: Path, *, slots: int, slot_nbytes: int, replace: bool = False) -> RingWriter:
        """Make a ring of ``slots`` frames of at most ``slot_nbytes`` bytes each.

        Raises:
            ValueError: less than one slot or byte.
            RingError: ``path`` exists (and ``replace`` is not set) or cannot be written.
            MachineError: there is not enough shared memory.
        """
        if slots < 1 or slot_nbytes < 1:
            raise ValueError(f"a ring needs a slot and a byte at least, got {slots} of {slot_nbytes} bytes")
        stride = _stride(slot_nbytes)
        with new_segment(path, ring_nbytes(slots, slot_nbytes), replace=replace) as memory:
            _HEADER.pack_into(memory, 0, _MAGIC, _VERSION, slots, slot_nbytes, stride)
            for slot in range(slots):
                # From a random even number, so that no descriptor of an earlier ring fits this one.
                struct.pack_into("<Q", memory, _PAGE + slot * stride, secrets.randbits(62) & ~1)
        return cls(path, writable=True)

    @classmethod
    def open(cls, path: Path) -> RingWriter:
        """Go on writing the ring of an earlier life of this process.

        Raises:
            RingError: it is missing or not a ring of this version.
        """
        return cls(path, writable=True)

    @classmethod
    def ensure(cls, path: Path, *, slots: int, slot_nbytes: int) -> RingWriter:
        """Open the ring when it is there in this shape, otherwise put a new one in its place."""
        with contextlib.suppress(RingError):
            ring = cls.open(path)
            if (ring.slots, ring.slot_nbytes) == (slots, slot_nbytes):
                return ring
            ring.close()
        return cls.create(path, slots=slots, slot_nbytes=slot_nbytes, replace=True)

    def write(self, image: Image, slot: int, *, beside: Mapping[int, Image] = MappingProxyType({})) -> int:
        """Copy ``image`` into a slot; returns the generation to put into its descriptor.

        Args:
            image: lies at the start of the slot.
            slot: which one.
            beside: further images, by the byte of the slot at which they begin.

        Raises:
            RingError: an image does not fit, or there is no such slot.
        """
        target = self._image(slot, image.spec)
        for start, other in beside.items():
            if start + other.spec.nbytes > self.slot_nbytes:
                raise RingError(f"{self.path}: {other} at byte {start} does not fit into {self.slot_nbytes}")
        generation = self._begin(slot)
        for there, plane in zip(target.planes, image.planes, strict=True):
            np.copyto(there, plane)
        for start, other in beside.items():
            other.copy_into(self._pixels(slot)[start:])
        self._words[self._word(slot)] = generation
        return generation

    @contextlib.contextmanager
    def view(self, slot: int, spec: ImageSpec) -> Iterator[Image]:
        """Lend a slot's memory as an image, to decode straight into; do not keep it.

        When the block fails the slot stays marked as being written, so that nobody reads it.

        Raises:
            RingError: the image does not fit, or there is no such slot.
        """
        target = self._image(slot, spec)
        generation = self._begin(slot)
        yield target
        self._words[self._word(slot)] = generation

    def close(self) -> None:
        """Unmap the segment; the file stays."""
        self._images.clear()
        super().close()

    def _begin(self, slot: int) -> int:
        """Mark a slot as being written; returns the generation that it has afterwards."""
        word = self._word(slot)
        odd = (self._words[word] + 1) | 1  # also after a writer that died and left it odd
        self._words[word] = odd
        return odd + 1

    def _image(self, slot: int, spec: ImageSpec) -> Image:
        """A slot's memory as an image."""
        if not 0 <= slot < self.slots:
            raise RingError(f"{self.path}: slot must be 0..{self.slots - 1}, got {slot}")
        image = self._images[slot]
        if image is None or image.spec != spec:
            if spec.nbytes > self.slot_nbytes:
                width, height = spec.size_wh
                raise RingError(
                    f"{self.path}: a {spec.format} image of {width}x{height} has {spec.nbytes} bytes, "
                    f"but a slot holds {self.slot_nbytes}"
                )
            image = self._images[slot] = Image.from_buffer(spec, self._pixels(slot))
        return image


class RingReader(_Ring):
    """One of the readers of a ring."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        super().__init__(path, writable=writable)
        self._samples = [np.frombuffer(self._pixels(slot), np.uint8) for slot in range(self.slots)]

    @classmethod
    def open(cls, path: Path) -> RingReader:
        """Map the ring for reading.

        Raises:
            RingError: it is missing or not a ring of this version.
        """
        return cls(path, writable=False)

    def is_current(self) -> bool:
        """Whether the mapped segment is the one that ``path`` names, and was not replaced."""
        try:
            return os.stat(self.path).st_ino == self._inode  # noqa: PTH116 - Path.stat() costs twice the time
        except FileNotFoundError:
            return False

    def read(
        self, slot: int, generation: int, spec: ImageSpec, *, staging: Staging | None = None
    ) -> Image | None:
        """A copy of the image in ``slot``, in memory of its own, which comes from ``staging`` if given.

        None when the slot no longer holds ``generation``, or never could: the frame was overwritten.
        """
        memory = self.read_bytes(slot, generation, spec.nbytes, staging=staging)
        return None if memory is None else Image.from_buffer(spec, memory)

    def read_bytes(
        self, slot: int, generation: int, nbytes: int, *, staging: Staging | None = None
    ) -> memoryview | None:
        """As :meth:`read`, for all images of a slot at once: its first ``nbytes`` bytes."""
        if slot >= self.slots or nbytes > self.slot_nbytes:
            return None  # a descriptor of another ring that was here before
        if generation % 2 or self.generation(slot) != generation:
            return None
        memory = fresh_memory(nbytes) if staging is None else staging.lease(nbytes)
        samples: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8, nbytes)
        np.copyto(samples, self._samples[slot][:nbytes])  # all planes at once, and other threads go on
        if self.generation(slot) != generation:
            return None
        return memory

    def close(self) -> None:
        """Unmap the segment; the file stays."""
        self._samples.clear()
        super().close()


def _stride(slot_nbytes: int) -> int:
    return _SLOT_HEAD + -(-slot_nbytes // _SLOT_HEAD) * _SLOT_HEAD


def _check_header(path: Path, memory: mmap.mmap) -> tuple[int, int, int]:
    """Slots, bytes per slot and distance between slots of a segment that is what it should be."""
    if len(memory) < _PAGE:
        raise RingError(f"{path}: has {len(memory)} bytes, a ring has {_PAGE} at least")
    magic, version, slots, slot_nbytes, stride = _HEADER.unpack_from(memory)
    if magic != _MAGIC:
        raise RingError(f"{path}: is not a ring: starts with {magic!r}, expected {_MAGIC!r}")
    if version != _VERSION:
        raise RingError(f"{path}: is a ring of version {version}, expected {_VERSION}")
    expected = _PAGE + slots * stride
    if stride != _stride(slot_nbytes) or len(memory) != expected:
        raise RingError(f"{path}: has {len(memory)} bytes, expected {expected} for {slots} slots")
    return slots, slot_nbytes, stride
