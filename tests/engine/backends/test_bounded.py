"""Any size in bounded memory: tiles give what the whole image gives, and too large a batch goes in parts."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.engine.backends.base import Backend, Blueprint, Precision
from streamfuse.engine.backends.bounded import BoundedBackend
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import MachineError, OutOfMemory
from streamfuse.nets.registry import network_spec

Array = npt.NDArray[Any]
LEVELS = np.array([0, 255], np.float32)


class Small:
    """A device with memory for so many pixels, which repeats the visible image."""

    name = "small"
    device = "a small device"
    precision = Precision.FLOAT32
    memory_bytes = 1
    last_result: Any = "the last"

    def __init__(self, most_px: int, useful_batch: int | None = None) -> None:
        self.most_px = most_px
        self.useful_batch = useful_batch
        self.asked: list[tuple[int, ...]] = []
        self.warmed: list[tuple[int, tuple[int, int]]] = []

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """As a run."""
        self.run(recipe, *blank_inputs(recipe, batch, size_wh))
        self.warmed.append((batch, size_wh))

    def run(self, recipe: Recipe, *arrays: Array) -> npt.NDArray[np.uint8]:  # noqa: ARG002 - protocol
        """Fail for want of memory, or give the visible image."""
        self.asked.append(arrays[1].shape)
        if arrays[1].size > self.most_px:
            raise OutOfMemory(f"no memory for {arrays[1].size} px")
        result: npt.NDArray[np.uint8] = arrays[0].copy()
        return result

    def close(self) -> None:
        """Nothing to close."""


def noise(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Random samples: the hardest picture for a halo that is too small."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def bounded(backend: Backend, *, halo_px: int | None = 2, tile_px: int = 1 << 30) -> BoundedBackend:
    """Around a backend."""
    return BoundedBackend(backend, halo_px=halo_px, grid_px=1, cpu_tile_px=tile_px)


@pytest.fixture(scope="module", params=["grdb-fine", "grdb"])
def weights(request: pytest.FixtureRequest) -> str:
    """Networks with and without a grid."""
    return str(request.param)


@pytest.fixture(scope="module", params=["openvino", "torch"])
def pair(request: pytest.FixtureRequest, weights: str) -> Iterator[tuple[Backend, BoundedBackend]]:
    """A backend in float32, and the same with tiles of a few pixels."""
    found = resolve(weights)
    spec = network_spec(found.card.architecture)
    whole, _ = open_backend(request.param, Blueprint(build=lambda: load_network(found)), precision="float32")
    yield whole, BoundedBackend(whole, halo_px=spec.halo_px, grid_px=spec.grid_px, cpu_tile_px=9000)
    whole.close()


@pytest.mark.parametrize("recipe", [Recipe.LUMA, Recipe.RGB])
@pytest.mark.parametrize("size_wh", [(160, 120), (161, 121), (301, 50), (37, 291)])
def test_tiles_give_what_the_whole_image_gives(
    pair: tuple[Backend, BoundedBackend], recipe: Recipe, size_wh: tuple[int, int]
) -> None:
    """In float32 no pixel differs by more than a rounding, at 60 dB and better; odd sizes and batches too."""
    whole, tiled = pair
    visible, infrared, *rest = blank_inputs(recipe, 2, size_wh)
    arrays = noise(*visible.shape), noise(*infrared.shape, seed=1), *rest
    expected, got = whole.run(recipe, *arrays), tiled.run(recipe, *arrays)
    assert got.shape == expected.shape
    difference = got.astype(float) - expected
    assert np.abs(difference).max() <= 1
    assert np.mean(difference**2) <= 255**2 / 1e6


def test_a_large_batch_goes_in_parts_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Half as many until they fit, then never more again; results stay in order."""
    device = Small(most_px=3 * 80 * 64)
    backend = bounded(device)
    visible, infrared = noise(8, 64, 80), noise(8, 64, 80, seed=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(backend.run(Recipe.LUMA, visible, infrared, LEVELS), visible)
    assert [shape[0] for shape in device.asked] == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    (record,) = caplog.records
    assert record.getMessage() == (
        "a small device has too little memory for 8 x 80x64 at once, so it gets less from now on: "
        "no memory for 40960 px"
    )
    assert backend.last_result is None
    np.testing.assert_array_equal(backend.run(Recipe.LUMA, visible[:1], infrared[:1], LEVELS), visible[:1])
    assert backend.last_result == "the last"


def test_one_image_without_memory_is_cut() -> None:
    """Tiles become smaller until they fit."""
    device = Small(most_px=10_000)
    backend = bounded(device)
    visible, infrared = noise(2, 240, 320), noise(2, 240, 320, seed=1)
    np.testing.assert_array_equal(backend.run(Recipe.LUMA, visible, infrared, LEVELS), visible)
    assert device.asked[-1][1] * device.asked[-1][2] <= 10_000


@pytest.mark.parametrize(("recipe", "halo_px"), [(Recipe.REFERENCE, 2), (Recipe.RGB, None)])
def test_what_cannot_be_cut_fails_with_the_reason(recipe: Recipe, halo_px: int | None) -> None:
    """A mode or a network that looks at the whole image needs memory for one."""
    backend = bounded(Small(most_px=10_000), halo_px=halo_px)
    with pytest.raises(OutOfMemory, match="no memory for 76800 px"):
        backend.run(recipe, noise(2, 240, 320, 3), noise(2, 240, 320))


def test_a_device_without_any_memory_fails() -> None:
    """There is an end to halving."""
    with pytest.raises(OutOfMemory):
        bounded(Small(most_px=0)).run(Recipe.LUMA, noise(4, 240, 320), noise(4, 240, 320), LEVELS)


def test_warming_up_is_for_what_will_run() -> None:
    """Tiles where an image is cut, and as many images as there is memory for."""
    device = Small(most_px=4 * 80 * 64)
    backend = bounded(device)
    backend.warm_up(Recipe.LUMA, 8, (80, 64))
    backend.warm_up(Recipe.LUMA, 1, (320, 240))
    (first, (_, tile_wh)) = device.warmed
    assert first == (4, (80, 64))
    assert tile_wh[0] * tile_wh[1] <= 4 * 80 * 64


def test_a_processor_gets_tiles_and_a_gpu_whole_frames() -> None:
    """What the network computes fastest decides on a processor; a GPU needs large images to be busy."""
    for useful_batch, most in ((1, 5000), (None, 1920 * 1088)):
        device = Small(most_px=1 << 30, useful_batch=useful_batch)
        bounded(device, tile_px=5000).run(Recipe.LUMA, noise(1, 2000, 1500), noise(1, 2000, 1500), LEVELS)
        sizes = {rows * columns for _, rows, columns in device.asked}
        assert most / 3 < max(sizes) <= most
        assert len(sizes) == 1


def test_the_published_ending_of_a_huge_image_is_refused() -> None:
    """It looks at all of it; the error names the modes that do not."""
    with pytest.raises(MachineError, match="8192x8192 is too large for that; use mode `stream` or `steady`"):
        bounded(Small(most_px=1 << 30)).warm_up(Recipe.REFERENCE, 1, (8192, 8192))


_MANY_SIZES = """
import resource, sys
import numpy as np
from streamfuse.engine import FusionEngine
width, height, count = map(int, sys.argv[1:])
with FusionEngine.load(backend="openvino") as engine:
    random = np.random.default_rng(0)
    for index in range(count):
        size = (height - index, width - 2 * index)
        if index == 20 or count == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rgb = random.integers(0, 256, (*size, 3), np.uint8)
        assert engine.fuse(visible=rgb, infrared=rgb[..., 0]).shape == rgb.shape
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_growth_mb(width: int, height: int, count: int) -> float:
    """Memory that fusing images of so many sizes takes at its peak, beyond what it had after the first 20."""
    done = subprocess.run(
        [sys.executable, "-c", _MANY_SIZES, str(width), str(height), str(count)],
        check=True, capture_output=True, timeout=280,
    )  # fmt: skip
    before, peak = map(int, done.stdout.split())
    return (peak - before) / 1024


@pytest.mark.slow
def test_as_many_sizes_as_images_do_not_eat_memory() -> None:
    """After the first 20 sizes, 130 more take less than two megabytes each, which is where it levels off."""
    assert peak_growth_mb(400, 300, 150) < 260


@pytest.mark.slow
def test_a_huge_image_takes_little_more_than_itself() -> None:
    """8192x8192 RGB is 200 MB; with what is read, padded and written it stays below seven times that."""
    assert peak_growth_mb(8192, 8192, 1) < 1400
