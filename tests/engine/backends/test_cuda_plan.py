"""How the CUDA backend cuts batches, keeps graphs and chooses kernels: without a GPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.engine.backends.cuda_plan import (
    CHUNK_PIXELS,
    PLAIN,
    Shelf,
    Trial,
    choose,
    chunk_sizes,
    chunks,
    graph_budget_bytes,
    largest_chunk,
    one_by_one,
)

VGA = 640 * 480


@given(st.integers(1, 300), st.integers(1, 10_000_000))
def test_chunks_cover_the_batch_once_and_in_order(batch: int, pixels: int) -> None:
    """Every image is in one chunk; each is a power of two that warm-up knows, and no larger than allowed."""
    parts = chunks(batch, pixels)
    assert [index for part in parts for index in range(batch)[part]] == list(range(batch))
    sizes = [part.stop - part.start for part in parts]
    assert sizes == sorted(sizes)
    assert set(sizes) <= set(chunk_sizes(batch, pixels))
    assert all(size == 1 or size * pixels <= CHUNK_PIXELS for size in sizes)


@given(st.integers(1, 300), st.integers(1, 10_000_000))
def test_few_sizes_need_a_graph(batch: int, pixels: int) -> None:
    """They double from one up to the largest chunk, whatever the batch; the largest is first."""
    sizes = chunk_sizes(batch, pixels)
    assert sizes == tuple(2**bit for bit in reversed(range(len(sizes))))
    assert sizes[0] <= min(batch, largest_chunk(pixels))


def test_a_batch_of_vga_images() -> None:
    """Two at once, the odd one first."""
    assert chunks(5, VGA) == (slice(0, 1), slice(1, 3), slice(3, 5))
    assert chunk_sizes(5, VGA) == (2, 1)
    assert chunk_sizes(1, VGA) == (1,)
    assert chunks(2, 8192 * 8192) == one_by_one(2) == (slice(0, 1), slice(1, 2))


def test_a_shape_gets_a_graph_when_it_comes_again() -> None:
    """The first time it runs as it is; a folder of images that all differ makes no graph."""
    shelf: Shelf[str] = Shelf(100)
    assert not shelf.wants("a")
    assert shelf.wants("a")
    assert not any(shelf.wants(number) for number in range(1000))


def test_the_oldest_graph_is_forgotten() -> None:
    """Not the one that was made first, but the one that was used longest ago."""
    shelf: Shelf[int] = Shelf(1000)
    for number in range(16):
        shelf.put(number, number, grew_bytes=1)
    assert shelf.get(0) == 0
    shelf.put(16, 16, grew_bytes=1)
    assert len(shelf) == 16
    assert shelf.get(1) is None
    assert shelf.get(0) == 0
    assert shelf.one() is not None


def test_too_many_bytes_cost_all_graphs_once() -> None:
    """Two shapes that do not fit together do not drive each other out for ever."""
    shelf: Shelf[str] = Shelf(graph_budget_bytes(400))
    for key in "ab":
        shelf.wants(key)
    assert shelf.wants("a")
    shelf.put("a", "A", grew_bytes=60)
    assert shelf.wants("b")
    shelf.put("b", "B", grew_bytes=60)
    assert len(shelf) == 0
    assert shelf.one() is None
    assert not shelf.wants("b")
    assert shelf.wants("a")


def test_a_shape_that_cannot_be_recorded_is_not_tried_again() -> None:
    """It stays refused, other shapes are not."""
    shelf: Shelf[str] = Shelf(100)
    shelf.wants("a")
    shelf.refuse("a")
    assert not shelf.wants("a")
    shelf.wants("b")
    assert shelf.wants("b")


def _trial(name: str, ms: float, psnr_db: float = 60.0) -> Trial:
    return Trial(name=name, times_ms=(ms, 9 * ms, ms), psnr_db=psnr_db)


def test_the_fastest_kernels_that_agree_are_taken() -> None:
    """By the median; ones that compute something else are not, and the reason says so."""
    choice = choose([_trial(PLAIN, 2.0), _trial("wrong", 0.5, psnr_db=31.0), _trial("right", 1.0)])
    assert choice.name == "right"
    assert choice.why == (
        "the right kernels are the fastest here "
        "(plain 2.000 ms, wrong 0.500 ms, but only 31 dB of agreement, right 1.000 ms)"
    )


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ([_trial("new", 1.99)], "torch's kernels are the fastest here"),
        ([Trial(name="new", failure="no compiler")], "new failed: no compiler"),
        ([], "torch's kernels are the fastest here"),
    ],
)
def test_torchs_kernels_stay_without_a_clear_winner(others: list[Trial], why: str) -> None:
    """As many per cent as a measurement may be off are not worth it."""
    choice = choose([_trial(PLAIN, 2.0), *others])
    assert choice.name == PLAIN
    assert why in choice.why


def test_without_a_measurement_torchs_kernels_are_taken() -> None:
    """Where graphs cannot be recorded at all, nothing is compared."""
    choice = choose([Trial(name=PLAIN, failure="driver too old"), _trial("new", 1.0)])
    assert choice.name == PLAIN
    assert "plain failed: driver too old" in choice.why


def test_a_trial_is_measured_or_failed() -> None:
    """Not both, and not neither."""
    with pytest.raises(ValueError, match="either times or a failure"):
        Trial(name="new")
