"""Staging memory: buffers that come back when, and only when, nobody sees them any more."""

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.transport.staging import Staging, plain_memory

SPEC = ImageSpec(format=PixelFormat.YUV420P, size_wh=(8, 4))


def image_in(staging: Staging, value: int) -> Image:
    """An image of one value in the pool's memory."""
    image = Image.from_buffer(SPEC, staging.lease(SPEC.nbytes))
    for plane in image.planes:
        plane.fill(value)
    return image


def test_a_buffer_comes_back_with_the_last_view_of_it() -> None:
    """Image, plane, slice, transposition, memoryview: each alone keeps the buffer lent."""
    staging = Staging(SPEC.nbytes, buffers=1)
    image = image_in(staging, 7)
    chroma = image.planes[2]
    del image
    corner = chroma[1:, 1:].T
    del chroma
    bytes_of = memoryview(corner)
    del corner
    assert staging.free == 0
    assert bytes_of[0, 0] == 7
    del bytes_of
    assert staging.free == 1


def test_buffers_are_used_again() -> None:
    """After the first frames no new memory is asked for."""
    made: list[int] = []

    def allocate(nbytes: int) -> memoryview:
        made.append(nbytes)
        return plain_memory(nbytes)

    staging = Staging(SPEC.nbytes, buffers=2, allocate=allocate)
    places = {image_in(staging, value).planes[0].ctypes.data for value in range(9)}
    assert made == [SPEC.nbytes] * 2
    assert len(places) <= 2
    assert (staging.spilled, staging.free) == (0, 2)


def test_more_than_there_is_gets_ordinary_memory() -> None:
    """An empty pool and a frame that is too large make nobody wait, and are counted."""
    staging = Staging(SPEC.nbytes, buffers=1)
    held = [image_in(staging, 1), image_in(staging, 2)]
    large = staging.lease(SPEC.nbytes + 1)
    assert (staging.spilled, len(memoryview(large))) == (2, SPEC.nbytes + 1)
    assert [int(image.planes[1][0, 0]) for image in held] == [1, 2]
    del held, large
    assert staging.free == 1


@given(st.lists(st.one_of(st.just("take"), st.integers(0, 30)), max_size=60), st.integers(1, 4))
def test_what_somebody_sees_is_never_overwritten(steps: list[str | int], buffers: int) -> None:
    """However images are taken, kept in part and let go: every plane that lives holds what was put there."""
    staging = Staging(SPEC.nbytes, buffers=buffers)
    alive: list[tuple[int, np.ndarray]] = []
    for number, step in enumerate(steps):
        if step == "take":
            image = image_in(staging, number)
            alive.append((number, image.planes[number % 3][number % 2 :]))
            del image
        elif alive:
            alive.pop(int(step) % len(alive))
        assert all((view == value).all() for value, view in alive)
        assert staging.free >= buffers - len(alive)
    alive.clear()
    assert staging.free == buffers


def test_a_buffer_may_come_back_in_another_thread() -> None:
    """Frames that are taken here and finished there, by the thousand: none is seen by two."""
    staging = Staging(SPEC.nbytes, buffers=3)
    wrong: list[int] = []
    for _ in range(20):
        images = [(number, image_in(staging, number)) for number in range(4)]

        def check(images: list[tuple[int, Image]]) -> None:
            while images:
                number, image = images.pop()
                if not all((plane == number).all() for plane in image.planes):
                    wrong.append(number)

        threads = [threading.Thread(target=check, args=(images[half::2],)) for half in (0, 1)]
        del images
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        del threads, thread
    assert not wrong
    gc.collect()
    assert staging.free == 3


def test_a_pool_that_is_gone_leaves_its_frames_alone() -> None:
    """Whoever still looks at a frame may, and its memory goes after that."""
    staging = Staging(SPEC.nbytes, buffers=1)
    gone = weakref.ref(staging)
    image = image_in(staging, 5)
    del staging
    assert all((plane == 5).all() for plane in image.planes)
    del image
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(("nbytes", "buffers"), [(0, 1), (1, 0)])
def test_an_empty_pool_is_refused(nbytes: int, buffers: int) -> None:
    """The error names both numbers."""
    with pytest.raises(ValueError, match=f"got {buffers} of {nbytes} bytes"):
        Staging(nbytes, buffers=buffers)
