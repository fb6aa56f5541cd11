"""What the CUDA backend does with a device, on one made of the CPU: the order, the graphs, the errors.

The tests of the same on a real GPU are in ``test_cuda.py``.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.cuda_device import Captured, Cuda, Function, Lane, _errors_as_ours
from streamfuse.engine.backends.cuda_plan import PLAIN
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.backends.torch_backend import TorchBackend
from streamfuse.engine.backends.torch_cuda_backend import TorchCudaBackend
from streamfuse.errors import MachineError, OutOfMemory

SIZE_WH = (32, 24)


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.share * visible + self.share * infrared


class FakeMarker:
    def __init__(self, log: list[tuple[Any, ...]], number: int) -> None:
        self.log, self.number = log, number

    def synchronize(self) -> None:
        self.log.append(("reached", self.number))


class FakeGraph(Captured):
    def __init__(self, function: Function, log: list[tuple[Any, ...]]) -> None:
        self.function, self.log = function, log

    def __call__(self, inputs: Sequence[Tensor], out: Tensor) -> None:
        self.log.append(("replay", len(out)))
        out.copy_(self.function(*inputs))


class FakeCuda(Cuda):
    """Does at once what a GPU would do later, and notes what it was told."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.name = "a fake GPU"
        self.log: list[tuple[Any, ...]] = []
        self.reserved = 0
        self.grows_bytes = 0
        self.locked: set[int] = set()
        self.breaks: Callable[[], None] = lambda: None
        self.breaks_capture: Callable[[], None] = lambda: None
        self.speeds_ms: dict[str, float] = {}
        self._markers = 0

    has_half_tensor_cores = True
    total_bytes = 4000
    unused_bytes = 0

    @property
    def reserved_bytes(self) -> int:
        return self.reserved

    def release_unused(self) -> None:
        self.log.append(("release",))

    def page_locked(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.empty(tuple(shape), dtype=dtype)

    def is_page_locked(self, tensor: Tensor) -> bool:
        return tensor.data_ptr() in self.locked

    @contextmanager
    def work(self, what: str) -> Iterator[None]:
        with _errors_as_ours(what):
            yield
            self.log.append(("empty",))

    @contextmanager
    def lane(self, lane: Lane) -> Iterator[None]:
        self.log.append(("in", lane))
        yield

    def mark(self, lane: Lane) -> FakeMarker:
        self._markers += 1
        self.log.append(("mark", lane, self._markers))
        return FakeMarker(self.log, self._markers)

    def wait(self, lane: Lane, marker: Any) -> None:
        self.log.append(("wait", lane, marker.number))

    def capture(self, function: Function, inputs: Sequence[Tensor], pool: Captured | None) -> Captured:
        with _errors_as_ours(f"{self.name} could not record its work"):
            self.breaks_capture()
        self.reserved += self.grows_bytes
        self.log.append(("capture", len(inputs[0]), pool is not None))
        return FakeGraph(function, self.log)

    def run(self, function: Function, inputs: Sequence[Tensor], out: Tensor) -> None:
        self.breaks()
        self.log.append(("run", len(out)))
        out.copy_(function(*inputs))

    def times_ms(self, work: Callable[[], None], runs: int) -> tuple[float, ...]:
        work()
        return (1.0,) * runs

    def told(self, *kinds: str) -> list[tuple[Any, ...]]:
        return [entry for entry in self.log if entry[0] in kinds]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The mean of both images: what is tested is the way there and back."""
    return Mean()


@pytest.fixture
def cuda() -> FakeCuda:
    """A device that nothing was told yet."""
    return FakeCuda()


@pytest.fixture
def backend(cuda: FakeCuda, network: nn.Module) -> TorchCudaBackend:
    """In float32, so that it computes what torch on the CPU does."""
    blueprint = Blueprint(build=lambda: copy.deepcopy(network))
    return TorchCudaBackend(blueprint, precision=Precision.FLOAT32, cuda=cuda)


def inputs_of(recipe: Recipe, batch: int, size_wh: tuple[int, int] = SIZE_WH) -> tuple[Any, ...]:
    """Noise of the shapes that a recipe wants."""
    visible, infrared, *levels = blank_inputs(recipe, batch, size_wh)
    noise = np.random.default_rng(batch)
    return *(noise.integers(0, 256, blank.shape, np.uint8) for blank in (visible, infrared)), *levels


@pytest.fixture
def _in_twos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images make a full chunk."""
    monkeypatch.setattr("streamfuse.engine.backends.cuda_plan.CHUNK_PIXELS", 2 * SIZE_WH[0] * SIZE_WH[1])


@pytest.mark.usefixtures("_in_twos")
@pytest.mark.parametrize("recipe", Recipe)
def test_batches_of_any_number_come_out_whole(
    backend: TorchCudaBackend, network: nn.Module, recipe: Recipe
) -> None:
    """In every recipe, whether a chunk is computed as it is or by its graph."""
    plain = TorchBackend(Blueprint(build=lambda: network), precision=Precision.FLOAT32)
    for batch in (1, 2, 3, 4, 5, 3, 1):
        inputs = inputs_of(recipe, batch)
        fused = backend.run(recipe, *inputs)
        np.testing.assert_allclose(fused.astype(int), plain.run(recipe, *inputs), atol=1)
        assert backend.last_result is not None
        np.testing.assert_array_equal(backend.last_result.numpy(), fused)


@pytest.mark.usefixtures("_in_twos")
def test_each_lane_waits_for_the_one_before(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """A chunk is computed when it has come, fetched when it is computed, and read in order at the end."""
    backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 3))
    chunk = [
        [
            ("in", Lane.UPLOAD),
            ("mark", Lane.UPLOAD, 3 * number + 1),
            ("wait", Lane.COMPUTE, 3 * number + 1),
            ("in", Lane.COMPUTE),
            ("run", number + 1),
            ("mark", Lane.COMPUTE, 3 * number + 2),
            ("wait", Lane.DOWNLOAD, 3 * number + 2),
            ("in", Lane.DOWNLOAD),
            ("mark", Lane.DOWNLOAD, 3 * number + 3),
        ]
        for number in range(2)
    ]
    assert cuda.log == [*chunk[0], *chunk[1], ("reached", 3), ("reached", 6), ("empty",)]


@pytest.mark.usefixtures("_in_twos")
def test_after_a_warm_up_there_are_only_replays(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """Every batch up to the largest finds its graphs made, the largest first, all in one pool."""
    backend.warm_up(Recipe.LUMA, 4, SIZE_WH)
    assert cuda.told("capture") == [("capture", 2, False), ("capture", 1, True)]
    cuda.log.clear()
    for batch in (1, 2, 3, 4):
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, batch))
    assert not cuda.told("run", "capture", "release")
    assert [images for _, images in cuda.told("replay")] == [1, 2, 1, 2, 2, 2]


def test_images_of_many_sizes_make_no_graphs(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """Until a size comes again."""
    for width in range(8, 40):
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1, (width, 8)))
    assert not cuda.told("capture")
    backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1, (39, 8)))
    assert len(cuda.told("capture")) == 1


def test_a_driver_that_records_nothing_costs_only_speed(
    backend: TorchCudaBackend, cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    """The work is done as it is; why is said once, and a shape is not tried twice."""
    tries = []

    def too_old() -> None:
        tries.append(1)
        raise RuntimeError("CUDA error: operation not supported\nmore lines")

    cuda.breaks_capture = too_old
    for size_wh in (SIZE_WH, (16, 16)):
        for _ in range(3):
            backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1, size_wh))
    assert len(tries) == 2
    assert not cuda.told("replay")
    (record,) = caplog.records
    assert record.message == (
        "a fake GPU could not record its work: CUDA error: operation not supported; "
        "such images are fused without a CUDA graph"
    )


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("out of memory")]
)
def test_short_memory_is_answered_once(
    backend: TorchCudaBackend, cuda: FakeCuda, caplog: pytest.LogCaptureFixture, error: RuntimeError
) -> None:
    """Graphs are given up and images go one by one, from then on; that is said once."""

    def too_many() -> None:
        if not cuda.told("release"):
            raise error

    cuda.breaks = too_many
    fused = backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 3))
    assert fused.shape == (3, 24, 32)
    backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 3))
    assert cuda.told("run") == [("run", 1)] * 6
    assert not cuda.told("replay", "capture")
    assert len(caplog.records) == 1


def test_no_memory_at_all_is_an_error_of_ours(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """It says what did not fit, and nothing is left over as a result."""
    backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1))

    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    cuda.breaks = full
    with pytest.raises(OutOfMemory, match="fuse a batch of 2 images of 32x24, for want of memory: CUDA out"):
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 2))
    assert backend.last_result is None


def test_other_failures_are_not_taken_for_short_memory(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """They come out as they are, after one try."""
    tries = []

    def broken() -> None:
        tries.append(1)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    cuda.breaks = broken
    with pytest.raises(MachineError, match="illegal memory access") as caught:
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1))
    assert not isinstance(caught.value, OutOfMemory)
    assert len(tries) == 1


def test_graphs_that_need_too_much_are_given_up(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """A quarter of the device is theirs."""
    cuda.grows_bytes = cuda.total_bytes // 4 + 1
    for _ in range(4):
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1))
    assert len(cuda.told("capture")) == 1
    assert not cuda.told("replay")


def test_an_earlier_result_is_not_written_again(backend: TorchCudaBackend) -> None:
    """Neither on the host nor on the device."""
    first = backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 2))
    there = backend.last_result
    before = first.copy()
    for batch in (2, 2, 3):
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, batch))
    np.testing.assert_array_equal(first, before)
    assert there is not None
    np.testing.assert_array_equal(there.numpy(), before)


def test_page_locked_images_go_as_they_lie(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """Others are copied to such memory first, as are views with holes and what may not be written."""
    visible, infrared, levels = inputs_of(Recipe.LUMA, 2)
    holes = np.repeat(infrared, 2, axis=2)[..., ::2]
    infrared.flags.writeable = False
    cuda.locked = {visible.ctypes.data, infrared.ctypes.data, holes.ctypes.data}
    assert backend._staged(visible).data_ptr() == visible.ctypes.data
    for array in (infrared, holes, levels):
        staged = backend._staged(array)
        assert staged.data_ptr() != array.ctypes.data
        np.testing.assert_array_equal(staged.numpy(), array)


@pytest.mark.usefixtures("_in_twos")
def test_the_faster_kernels_are_taken_at_the_first_warm_up(
    cuda: FakeCuda, network: nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, by measurement, for every recipe but the reference one; the choice and its reason stay."""
    made: list[str] = []

    class Faster(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network)

        def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
            made.append("ours")
            fused: Tensor = self.network(visible, infrared)
            return fused

    times = iter([2.0, 2.0, 1.0, 1.0])

    def times_ms(work: Callable[[], None], runs: int) -> tuple[float, ...]:
        work()
        return (next(times),) * runs

    monkeypatch.setattr(cuda, "times_ms", times_ms)
    monkeypatch.setattr(
        "streamfuse.engine.backends.torch_cuda_backend.networks", lambda _: {"faster": Faster()}
    )
    backend = TorchCudaBackend(Blueprint(build=lambda: network), cuda=cuda)
    assert backend.precision is Precision.FLOAT16
    assert backend.kernels is None
    backend.warm_up(Recipe.REFERENCE, 1, SIZE_WH)
    assert not made
    with caplog.at_level(logging.INFO):
        backend.warm_up(Recipe.LUMA, 1, SIZE_WH)
        backend.warm_up(Recipe.RGB, 1, SIZE_WH)
    assert backend.kernels is not None
    assert backend.kernels.name == "faster"
    assert [record.message for record in caplog.records] == [
        "a fake GPU: the faster kernels are the fastest here (plain 2.000 ms, faster 1.000 ms)"
    ]
    made.clear()
    backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1))
    assert made


def test_other_precisions_keep_torchs_kernels(backend: TorchCudaBackend) -> None:
    """Ours are for half precision."""
    backend.warm_up(Recipe.LUMA, 1, SIZE_WH)
    assert backend.kernels is not None
    assert backend.kernels.name == PLAIN


def test_without_a_warm_up_kernels_are_measured_once_it_pays(backend: TorchCudaBackend) -> None:
    """What comes once is computed at once; what has a graph is worth a measurement."""
    for sight in range(3):
        assert backend.kernels is None, sight
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1))
    assert backend.kernels is not None


def test_closing_frees_and_may_be_done_twice(backend: TorchCudaBackend, cuda: FakeCuda) -> None:
    """Graphs, networks and the last result are gone."""
    backend.warm_up(Recipe.LUMA, 1, SIZE_WH)
    backend.close()
    backend.close()
    assert backend.last_result is None
    assert backend._shelf.one() is None
    assert cuda.log[-1] == ("release",)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_the_error_says_what_to_do(network: nn.Module) -> None:
    """Install a driver, or take another backend."""
    with pytest.raises(MachineError, match="no CUDA device; install a driver or choose another backend"):
        TorchCudaBackend(Blueprint(build=lambda: network))
