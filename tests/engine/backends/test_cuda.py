"""The CUDA backend on a real GPU; ``.ci/gpu-test`` runs this, and a skip is a failure there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from streamfuse.clock import NS_PER_MS, SystemClock
from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.backends.torch_backend import TorchBackend
from streamfuse.engine.backends.torch_cuda_backend import TorchCudaBackend
from streamfuse.engine.pinned import pinned_memory
from streamfuse.errors import OutOfMemory
from streamfuse.nets.registry import build

pytestmark = pytest.mark.needs_cuda

Bytes = npt.NDArray[np.uint8]
SIZE_WH = (160, 120)
VGA = (640, 480)
GIB = 2**30


@pytest.fixture(scope="module", params=["grdb", "grdb-edge"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """Both networks, moved a little away from where they begin, so that every part of them matters."""
    torch.manual_seed(0)
    made = build(request.param).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return made


@pytest.fixture(scope="module")
def grdb() -> nn.Module:
    """The published architecture, where one of both is enough."""
    torch.manual_seed(0)
    return build("grdb").eval()


def opened(network: nn.Module, precision: Precision | None = None) -> TorchCudaBackend:
    """A backend with a copy of a network."""
    return TorchCudaBackend(Blueprint(build=lambda: copy.deepcopy(network)), precision=precision)


@pytest.fixture
def backend(network: nn.Module) -> Iterator[TorchCudaBackend]:
    """As it is used: in half precision."""
    with closing(opened(network)) as made:
        yield made


def inputs_of(recipe: Recipe, batch: int, size_wh: tuple[int, int] = SIZE_WH, seed: int = 0) -> Any:
    """Blocks of 4x4 pixels of random brightness."""
    visible, infrared, *levels = blank_inputs(recipe, batch, size_wh)
    noise = np.random.default_rng(seed)

    def textured(blank: Bytes) -> Bytes:
        count, height, width, *channels = blank.shape
        shape = (count, -(-height // 4), -(-width // 4), *channels)
        blocks = noise.integers(0, 256, shape, np.uint8).repeat(4, axis=1).repeat(4, axis=2)
        return np.ascontiguousarray(blocks[:, :height, :width])

    return textured(visible), textured(infrared), *levels


def psnr_db(one: Bytes, other: Bytes) -> float:
    """Peak signal-to-noise ratio; equal images count as 120 dB."""
    error = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 255**2 / 1e12)))


def by_torch(network: nn.Module, recipe: Recipe, inputs: Any) -> Bytes:
    """In float32 on the CPU."""
    with closing(TorchBackend(Blueprint(build=lambda: network), precision=Precision.FLOAT32)) as plain:
        return plain.run(recipe, *inputs)


@pytest.mark.parametrize("warm", [False, True], ids=["as it is", "by graphs and chosen kernels"])
@pytest.mark.parametrize("recipe", Recipe)
def test_recipes_agree_with_float32(
    backend: TorchCudaBackend, network: nn.Module, recipe: Recipe, warm: bool
) -> None:
    """Half precision stays within a grey level; the reference recipe is float32, without TF32."""
    if warm:
        backend.warm_up(recipe, 2, SIZE_WH)
    inputs = inputs_of(recipe, 2)
    floor_db = 60 if recipe is Recipe.REFERENCE else 50
    for _ in range(3):
        assert psnr_db(backend.run(recipe, *inputs), by_torch(network, recipe, inputs)) >= floor_db


def test_bfloat16_agrees_too(network: nn.Module) -> None:
    """Within less, as it has fewer digits."""
    inputs = inputs_of(Recipe.LUMA, 1)
    with closing(opened(network, Precision.BFLOAT16)) as backend:
        backend.warm_up(Recipe.LUMA, 1, SIZE_WH)
        assert psnr_db(backend.run(Recipe.LUMA, *inputs), by_torch(network, Recipe.LUMA, inputs)) >= 40


@pytest.mark.parametrize("way", ["block-end", "convolution"])
@pytest.mark.parametrize("size_wh", [(160, 120), (33, 17), (1, 1)])
def test_our_kernels_agree_on_this_gpu(network: nn.Module, way: str, size_wh: tuple[int, int]) -> None:
    """Whether or not they are the fastest here."""
    from streamfuse.engine.backends.triton_grdb import with_kernels  # noqa: PLC0415 - Triton, where there is CUDA

    images = torch.rand(2, 2, 1, size_wh[1], size_wh[0])
    with torch.no_grad():
        expected = network(*images)
        ours = with_kernels(network)[way].to("cuda", torch.float16).to(memory_format=torch.channels_last)
        found = ours(*images.to("cuda", torch.float16)).float().cpu()
    torch.testing.assert_close(found, expected, rtol=0, atol=1 / 255)


def test_kernels_were_measured(backend: TorchCudaBackend) -> None:
    """The candidates ran on this GPU: none failed, none computes something else."""
    backend.warm_up(Recipe.LUMA, 1, VGA)
    assert backend.kernels is not None
    print(f"\n{backend.device}: {backend.kernels.why}")  # noqa: T201 - what people run this for
    assert "failed" not in backend.kernels.why
    assert "but only" not in backend.kernels.why


def test_batches_of_one_to_nine(backend: TorchCudaBackend) -> None:
    """Each image comes out as it does alone, at its place; chunks here are of eight, four, two and one."""
    size_wh = (256, 200)
    images = inputs_of(Recipe.LUMA, 9, size_wh)
    backend.warm_up(Recipe.LUMA, 9, size_wh)
    visible, infrared, levels = images
    alone = [backend.run(Recipe.LUMA, visible[i : i + 1], infrared[i : i + 1], levels) for i in range(9)]
    for batch in range(1, 10):
        together = backend.run(Recipe.LUMA, visible[:batch], infrared[:batch], levels)
        difference = np.abs(together.astype(int) - np.concatenate(alone[:batch]))
        assert difference.max() <= 1
        assert backend.last_result is not None
        np.testing.assert_array_equal(backend.last_result.cpu().numpy(), together)


def test_lanes_do_not_overtake_each_other(grdb: nn.Module) -> None:
    """Fifty batches of any number of images give what a backend without chunks and graphs gives."""
    numbers = np.random.default_rng(0).integers(1, 12, 50)
    with closing(opened(grdb)) as backend, closing(opened(grdb)) as careful:
        careful._is_cramped = True
        backend.warm_up(Recipe.LUMA, 12, VGA)
        careful.kernels = backend.kernels
        for seed, batch in enumerate(map(int, numbers)):
            inputs = inputs_of(Recipe.LUMA, batch, VGA, seed)
            difference = np.abs(
                backend.run(Recipe.LUMA, *inputs).astype(int) - careful.run(Recipe.LUMA, *inputs)
            )
            assert difference.max() <= 1


def test_many_sizes_take_bounded_memory(grdb: nn.Module) -> None:
    """Sizes that come once, and sizes that come often, leave no more than the largest and some change."""
    with closing(opened(grdb)) as backend:
        largest = (320, 240)
        for _ in range(3):
            backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1, largest))
        before = backend.memory_bytes or 0
        for side in range(60, 230, 5):
            for _ in range(3):
                backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1, (side + 1, side)))
        assert len(backend._shelf) <= 16
        assert (backend.memory_bytes or 0) <= before + GIB // 2


def test_earlier_results_stay(backend: TorchCudaBackend) -> None:
    """On the host and on the device, whatever is fused afterwards."""
    backend.warm_up(Recipe.LUMA, 2, SIZE_WH)
    kept = []
    for seed in range(8):
        fused = backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 2, seed=seed))
        kept.append((fused, fused.copy(), backend.last_result))
    for fused, before, there in kept:
        assert there is not None
        np.testing.assert_array_equal(fused, before)
        np.testing.assert_array_equal(there.cpu().numpy(), before)


def test_page_locked_images_are_not_copied_first(backend: TorchCudaBackend) -> None:
    """They go from where they lie, and the result is that of other memory."""
    visible, infrared, levels = inputs_of(Recipe.LUMA, 1)
    staged = [
        np.frombuffer(pinned_memory(image.nbytes), np.uint8).reshape(image.shape)
        for image in (visible, infrared)
    ]
    for there, image in zip(staged, (visible, infrared), strict=True):
        there[:] = image
        assert backend._staged(there).data_ptr() == there.ctypes.data
    expected = backend.run(Recipe.LUMA, visible, infrared, levels)
    np.testing.assert_array_equal(backend.run(Recipe.LUMA, *staged, levels), expected)


def test_a_full_device_is_said_so(grdb: nn.Module) -> None:
    """With nearly all memory taken there is an error of ours; when it is free again, work goes on."""
    inputs = inputs_of(Recipe.LUMA, 1, (2048, 1536))
    with closing(opened(grdb)) as backend:
        backend.run(Recipe.LUMA, *inputs_of(Recipe.LUMA, 1))  # loads what CUDA's libraries need
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        hoard = torch.empty(max(0, free - GIB // 2), dtype=torch.uint8, device="cuda")
        with pytest.raises(OutOfMemory, match="for want of memory"):
            backend.run(Recipe.LUMA, *inputs)
        assert backend.last_result is None
        del hoard
        torch.cuda.empty_cache()
        assert backend.run(Recipe.LUMA, *inputs).shape == (1, 1536, 2048)


def test_closing_frees(grdb: nn.Module) -> None:
    """What was allocated is given back, graphs and all."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    backend = opened(grdb)
    backend.warm_up(Recipe.LUMA, 2, VGA)
    assert torch.cuda.memory_reserved() > before[1]
    backend.close()
    backend.close()
    # cuBLAS and cuDNN may keep a workspace for the life of the process.
    assert torch.cuda.memory_allocated() - before[0] <= GIB // 16
    assert torch.cuda.memory_reserved() - before[1] <= GIB // 16


def fastest_ms(work: Callable[[], object]) -> float:
    """The shortest of some runs, until the device is done."""
    clock, took = SystemClock(), []
    for _ in range(12):
        begun_ns = clock.now_ns()
        work()
        torch.cuda.synchronize()
        took.append((clock.now_ns() - begun_ns) / NS_PER_MS)
    return min(took)


def eager_float32_ms(network: nn.Module, batch: int) -> float:
    """Noise that lies on the device already, in plain torch."""
    there = copy.deepcopy(network).cuda()
    images = torch.rand(2, batch, 1, VGA[1], VGA[0], device="cuda")
    with torch.no_grad():
        return fastest_ms(lambda: there(*images))


def test_graphs_are_faster_than_eager_float32(grdb: nn.Module) -> None:
    """A batch of eight VGA pairs, host to host; the ratio is printed, the bench measures it properly."""
    eager_ms = eager_float32_ms(grdb, 8)
    torch.cuda.empty_cache()
    inputs = inputs_of(Recipe.LUMA, 8, VGA)
    with closing(opened(grdb)) as backend:
        backend.warm_up(Recipe.LUMA, 8, VGA)
        ours_ms = fastest_ms(lambda: backend.run(Recipe.LUMA, *inputs))
        print(  # noqa: T201 - what people run this for
            f"\neight {VGA[0]}x{VGA[1]} pairs: eager float32 {eager_ms:.2f} ms on the device alone, "
            f"ours {ours_ms:.2f} ms host to host: {eager_ms / ours_ms:.1f}x, {8000 / ours_ms:.0f} pairs/s, "
            f"{(backend.memory_bytes or 0) / 1e6:.0f} MB"
        )
    assert ours_ms < eager_ms
