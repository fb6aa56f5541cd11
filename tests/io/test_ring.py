"""The ring of frames in shared memory."""

import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import MachineError, RingError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.transport.ring import RingReader, RingWriter, SlotPool, preflight, ring_nbytes
from streamfuse.io.transport.staging import Staging

SHM = Path("/dev/shm")  # noqa: S108 - what is tested is that it fills up
SPEC = ImageSpec(format=PixelFormat.YUV420P, size_wh=(64, 48), range=ColorRange.LIMITED)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[RingWriter]:
    """A ring of three slots for 64x48 video."""
    writer = RingWriter.create(tmp_path / "visible.ring", slots=3, slot_nbytes=SPEC.nbytes)
    yield writer
    writer.close()


@pytest.fixture
def reader(ring: RingWriter) -> Iterator[RingReader]:
    """A reader of that ring."""
    opened = RingReader.open(ring.path)
    yield opened
    opened.close()


def flat(spec: ImageSpec, value: int) -> Image:
    """An image of one value."""
    return Image(spec, tuple(np.full(shape, value, spec.dtype) for shape in spec.plane_shapes))


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        ImageSpec(format=PixelFormat.RGB24, size_wh=(31, 17)),
        ImageSpec(format=PixelFormat.GRAY8, size_wh=(61, 3)),
        ImageSpec(format=PixelFormat.GRAY16, size_wh=(41, 37)),
    ],
)
def test_what_is_read_is_what_was_written(ring: RingWriter, reader: RingReader, spec: ImageSpec) -> None:
    """Every format comes back to the sample, as a writable copy of its own."""
    rng = np.random.default_rng(5)
    top = np.iinfo(spec.dtype).max
    image = Image(
        spec, tuple(rng.integers(0, top, shape, spec.dtype, endpoint=True) for shape in spec.plane_shapes)
    )
    generation = ring.write(image, 1)
    read = reader.read(1, generation, spec)
    ring.write(flat(spec, 0), 1)
    assert read is not None
    assert read.spec == spec
    for got, expected in zip(read.planes, image.planes, strict=True):
        np.testing.assert_array_equal(got, expected)
        got[...] = 1


def test_pixels_lie_at_multiples_of_64_bytes(ring: RingWriter) -> None:
    """Every slot starts where vector units like it, whatever the size of a frame."""
    for slot in range(ring.slots):
        with ring.view(slot, SPEC) as image:
            assert image.planes[0].ctypes.data % 64 == 0
            del image


def test_an_overwritten_frame_is_not_returned(ring: RingWriter, reader: RingReader) -> None:
    """Whose slot was written again is gone, and a reader is told so."""
    old = ring.write(flat(SPEC, 1), 0)
    new = ring.write(flat(SPEC, 2), 0)
    assert reader.read(0, old, SPEC) is None
    assert reader.read(0, new, SPEC) is not None


def test_images_beside_the_first_one_lie_where_they_were_put(tmp_path: Path) -> None:
    """One slot holds several images; what does not fit is refused and leaves the slot as it was."""
    start = 64 * -(-SPEC.nbytes // 64)
    with (
        RingWriter.create(tmp_path / "ring", slots=1, slot_nbytes=start + SPEC.nbytes) as ring,
        RingReader.open(tmp_path / "ring") as reader,
    ):
        generation = ring.write(flat(SPEC, 3), 0, beside={start: flat(SPEC, 5)})
        memory = reader.read_bytes(0, generation, start + SPEC.nbytes)
        assert memory is not None
        images = [Image.from_buffer(SPEC, memory[at:]) for at in (0, start)]
        assert [int(image.planes[0].flat[0]) for image in images] == [3, 5]
        with pytest.raises(RingError, match="does not fit"):
            ring.write(flat(SPEC, 4), 0, beside={start + 1: flat(SPEC, 5)})
        assert reader.read(0, generation, SPEC) is not None


def test_a_frame_that_is_being_written_is_not_returned(ring: RingWriter, reader: RingReader) -> None:
    """While a slot is being written its generation is odd and nobody gets its pixels."""
    before = ring.write(flat(SPEC, 1), 0)
    with ring.view(0, SPEC) as image:
        image.planes[0][...] = 9
        assert reader.generation(0) % 2 == 1
        assert reader.read(0, before, SPEC) is None
        assert reader.read(0, reader.generation(0) + 1, SPEC) is None
        del image
    assert reader.read(0, ring.generation(0), SPEC) is not None


def test_a_frame_whose_writing_failed_is_never_read(ring: RingWriter, reader: RingReader) -> None:
    """A decoder that fails half way leaves a slot that reads as unfinished, and can be used again."""
    with pytest.raises(ZeroDivisionError), ring.view(0, SPEC):
        raise ZeroDivisionError
    assert reader.generation(0) % 2 == 1
    generation = ring.write(flat(SPEC, 3), 0)
    assert generation % 2 == 0
    assert reader.read(0, generation, SPEC) is not None


class Meddling(Staging):
    """Staging in which something happens between a reader's look at the generation and its copy."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__(SPEC.nbytes, buffers=1)
        self._meddle = meddle

    def lease(self, nbytes: int) -> memoryview:
        """Memory, after the meddling."""
        self._meddle()
        return super().lease(nbytes)


def test_a_frame_that_is_overwritten_during_the_copy_is_not_returned(
    ring: RingWriter, reader: RingReader
) -> None:
    """Whether the writer is through with the next frame or in the middle of it, and the memory comes back."""
    generation = ring.write(flat(SPEC, 1), 0)
    through = Meddling(lambda: ring.write(flat(SPEC, 2), 0))
    assert reader.read(0, generation, SPEC, staging=through) is None
    generation = ring.generation(0)
    with ExitStack() as writing:
        halfway = Meddling(lambda: writing.enter_context(ring.view(0, SPEC)).planes[0].fill(3))
        assert reader.read(0, generation, SPEC, staging=halfway) is None
    assert (through.free, halfway.free) == (1, 1)


def test_a_torn_frame_never_gets_through(ring: RingWriter, reader: RingReader) -> None:
    """With a writer that overwrites all the time, what is read is of one piece or not at all."""
    stop = threading.Event()

    def overwrite() -> None:
        value = 0
        while not stop.is_set():
            value = (value + 1) % 256
            ring.write(flat(SPEC, value), 0)

    thread = threading.Thread(target=overwrite)
    thread.start()
    try:
        # Until both have been seen, however rarely a busy machine lets the two meet.
        whole = refused = tries = 0
        while tries < 3000 or not (whole and refused):
            tries += 1
            generation = reader.generation(0)
            image = reader.read(0, generation, SPEC)
            whole += image is not None
            refused += image is None
            if image is not None:
                assert len(np.unique(np.concatenate([plane.ravel() for plane in image.planes]))) == 1
    finally:
        stop.set()
        thread.join()


def test_a_restarted_writer_goes_on_with_the_generations(ring: RingWriter, reader: RingReader) -> None:
    """What was in the ring stays readable until its slot is written again."""
    first = ring.write(flat(SPEC, 1), 0)
    ring.close()
    with RingWriter.open(ring.path) as again:
        assert reader.is_current()
        assert reader.read(0, first, SPEC) is not None
        assert again.generation(0) == first


def test_ensure_opens_a_ring_that_fits_and_replaces_one_that_does_not(
    ring: RingWriter, reader: RingReader
) -> None:
    """A camera that comes back with another size gets a new ring, and its readers can tell."""
    generation = ring.write(flat(SPEC, 1), 0)
    RingWriter.ensure(ring.path, slots=3, slot_nbytes=SPEC.nbytes).close()
    assert reader.is_current()
    RingWriter.ensure(ring.path, slots=2, slot_nbytes=99).close()
    assert not reader.is_current()
    with RingReader.open(ring.path) as new:
        assert (new.slots, new.slot_nbytes) == (2, 99)
        assert new.read(0, generation, ImageSpec(format=PixelFormat.GRAY8, size_wh=(9, 9))) is None
        assert new.read(2, generation, SPEC) is None


def test_an_image_outlives_the_ring_it_was_read_from(ring: RingWriter) -> None:
    """A copy is a copy: closing the ring does not touch it."""
    generation = ring.write(flat(SPEC, 7), 2)
    with RingReader.open(ring.path) as reader:
        image = reader.read(2, generation, SPEC)
    assert image is not None
    assert image.planes[2].min() == 7


def test_a_ring_is_private_and_takes_its_memory_at_once(ring: RingWriter) -> None:
    """Only the user may read it, and no later write can run out of memory."""
    status = ring.path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == ring_nbytes(3, SPEC.nbytes)
    assert status.st_blocks * 512 >= status.st_size
    assert [path.name for path in ring.path.parent.iterdir()] == ["visible.ring"]


def test_an_image_that_does_not_fit_is_refused_with_both_sizes(ring: RingWriter) -> None:
    """The error says what the image needs and what a slot holds."""
    spec = ImageSpec(format=PixelFormat.RGB24, size_wh=(64, 48))
    with pytest.raises(RingError, match=r"rgb24 image of 64x48 has 9216 bytes, but a slot holds 4608"):
        ring.write(flat(spec, 0), 0)
    with pytest.raises(RingError, match=r"slot must be 0\.\.2, got 3"):
        ring.write(flat(SPEC, 0), 3)


def test_a_ring_is_not_made_over_another(ring: RingWriter) -> None:
    """Creating refuses to take the place of a ring that may be in use."""
    with pytest.raises(RingError, match="exists already"):
        RingWriter.create(ring.path, slots=1, slot_nbytes=1)


@pytest.mark.parametrize(
    ("offset", "value", "complaint"),
    [
        (0, b"X", "is not a ring"),
        (8, b"\x02", "version 2, expected 1"),
        (12, b"\x04", "expected .* for 4 slots"),
        (16, b"\xff", "bytes, expected"),
    ],
)
def test_a_segment_that_is_no_ring_is_refused(
    ring: RingWriter, offset: int, value: bytes, complaint: str
) -> None:
    """A damaged or foreign header is named before anything is read."""
    with ring.path.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    with pytest.raises(RingError, match=complaint):
        RingReader.open(ring.path)


def test_a_cut_empty_or_missing_segment_is_refused(ring: RingWriter, tmp_path: Path) -> None:
    """A file of another size never becomes a mapping that ends in a bus error."""
    whole = ring.path.read_bytes()
    ring.path.write_bytes(whole[:-1])
    with pytest.raises(RingError, match=re.escape(f"has {len(whole) - 1} bytes, expected {len(whole)}")):
        RingReader.open(ring.path)
    ring.path.write_bytes(b"short")
    with pytest.raises(RingError, match="has 5 bytes"):
        RingReader.open(ring.path)
    ring.path.write_bytes(b"")
    with pytest.raises(RingError, match="empty"):
        RingReader.open(ring.path)
    with pytest.raises(RingError, match="No such file"):
        RingReader.open(tmp_path / "none.ring")


def test_too_little_memory_is_an_error_that_says_how_much() -> None:
    """Asking for more than /dev/shm has names the need, the rest and the option that gives more."""
    with pytest.raises(MachineError, match=r"MiB of shared memory needed, .* --shm-size=\d+m"):
        preflight(SHM, 2**50)
    preflight(SHM, 1)
    with pytest.raises(MachineError, match="cannot be used"):
        preflight(Path("/nowhere"), 1)


def test_a_ring_larger_than_the_memory_leaves_nothing_behind() -> None:
    """When the file system is full at creation the error is ours and the draft is removed."""
    path = SHM / "streamfuse-test-too-large.ring"
    with pytest.raises(MachineError, match="--shm-size"):
        RingWriter.create(path, slots=2**20, slot_nbytes=2**30)
    assert not list(path.parent.glob("*streamfuse-test-too-large*"))


def test_slots_are_reused_oldest_first() -> None:
    """A free slot is taken in the order of last use, and one in use only when there is no other."""
    pool = SlotPool(3)
    assert [pool.acquire(set()) for _ in range(4)] == [0, 1, 2, 0]
    assert pool.acquire({1}) == 2
    assert not pool.has_free({0, 1, 2})
    assert pool.acquire({0, 1, 2}) == 1


def test_a_slot_that_is_needed_is_taken_last() -> None:
    """When all are in use, one that can be spared goes before an older one that cannot."""
    pool = SlotPool(3)
    assert pool.acquire({0, 1, 2}, needed={0, 2}) == 1
    assert pool.acquire({0, 1, 2}, needed={0, 1, 2}) == 0


@given(st.integers(1, 8), st.lists(st.sets(st.integers(0, 7))))
def test_a_slot_in_use_is_taken_only_when_all_are(slots: int, steps: list[set[int]]) -> None:
    """The pool never hands out a slot in use while another is free."""
    pool = SlotPool(slots)
    for in_use in steps:
        slot = pool.acquire(in_use)
        assert 0 <= slot < slots
        assert slot not in in_use or in_use.issuperset(range(slots))
