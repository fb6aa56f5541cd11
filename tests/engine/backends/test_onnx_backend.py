"""ONNX Runtime: exact for every recipe, network and size; what is missing or too large is said."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from streamfuse.engine.backends import onnx_backend
from streamfuse.engine.backends.base import Backend, Blueprint
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import MachineError

SIZES_WH = [(1, 1), (1, 7), (33, 17), (48, 32)]


@pytest.fixture(scope="module", params=["grdb-fine", "grdb"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Backend, Backend]]:
    """The same network in ONNX Runtime and in torch: the one of half resolution, and the published one."""
    weights = resolve(request.param)
    blueprint = Blueprint(build=lambda: load_network(weights))
    with contextlib.ExitStack() as stack:
        yield tuple(
            stack.enter_context(contextlib.closing(open_backend(name, blueprint, precision="float32")[0]))
            for name in ("onnx", "torch")
        )


@pytest.mark.parametrize("recipe", Recipe)
@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_it_gives_what_torch_gives(
    both: tuple[Backend, Backend], recipe: Recipe, size_wh: tuple[int, int]
) -> None:
    """At most one level apart, and that in one of a thousand pixels: 60 dB and more."""
    onnx, torch = both
    random = np.random.default_rng(3)
    visible, infrared, *levels = blank_inputs(recipe, 2, size_wh)
    for plane in (visible, infrared):
        plane[:] = random.integers(0, 256, plane.shape, np.uint8)
    difference = np.abs(
        onnx.run(recipe, visible, infrared, *levels).astype(int)
        - torch.run(recipe, visible, infrared, *levels)
    )
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def test_a_kept_file_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start builds nothing; a file that was damaged meanwhile is made again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    weights = resolve("default")
    built: list[int] = []

    def fuse() -> np.ndarray:
        blueprint = Blueprint(build=lambda: built.append(1) or load_network(weights), content="test 1")
        with contextlib.closing(open_backend("onnx", blueprint)[0]) as backend:
            return backend.run(Recipe.LUMA, *blank_inputs(Recipe.LUMA, 1, (16, 8)))

    first = fuse()
    np.testing.assert_array_equal(fuse(), first)
    assert len(built) == 1
    (kept,) = tmp_path.glob("streamfuse/exports/onnx-*/network")
    kept.write_bytes(kept.read_bytes()[:-1000])
    np.testing.assert_array_equal(fuse(), first)
    assert len(built) == 2


def test_a_gpu_build_without_a_gpu_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built for CUDA is not asked for it where torch finds no device."""
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    weights = resolve("default")
    with contextlib.closing(
        open_backend("onnx", Blueprint(build=lambda: load_network(weights)))[0]
    ) as backend:
        assert backend.device.startswith("CPU ")
        assert backend.useful_batch == 1
        backend.warm_up(Recipe.LUMA, 4, (16, 8))


@pytest.mark.parametrize("missing", ["onnxruntime", "onnx"])
def test_a_missing_package_says_how_to_get_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime, or what the network is exported with."""
    for module in [name for name in sys.modules if name.startswith("streamfuse.engine.backends.onnx_")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    weights = resolve("default")
    with pytest.raises(MachineError, match=r"pip install 'streamfuse\[onnx\]'"):
        open_backend("onnx", Blueprint(build=lambda: load_network(weights)))


_TOO_LARGE = """
import resource
import psutil
from streamfuse.engine.backends.base import Blueprint
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import OutOfMemory

weights = resolve("default")
backend, _ = open_backend("onnx", Blueprint(build=lambda: load_network(weights)))
backend.warm_up(Recipe.LUMA, 1, (64, 48))
huge = blank_inputs(Recipe.LUMA, 1, (4000, 3000))
limit = psutil.Process().memory_info().vms + (300 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    backend.run(Recipe.LUMA, *huge)
except OutOfMemory as error:
    print(len(str(error).splitlines()), str(error))
print(backend.run(Recipe.LUMA, *blank_inputs(Recipe.LUMA, 1, (64, 48))).shape)
"""


def test_too_little_memory_is_said_and_survived() -> None:
    """An image that does not fit is an error of one line; the next one is fused."""
    done = subprocess.run(
        [sys.executable, "-c", _TOO_LARGE], capture_output=True, text=True, timeout=120, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("1 ONNX Runtime failed with 1x3000x4000: ")
    assert second == "(1, 48, 64)"


def test_starting_from_a_kept_file_loads_no_torch() -> None:
    """Torch takes seconds to load, and a kept network does not need it."""
    code = f"import sys, {onnx_backend.__name__}; assert not {{'torch', 'onnx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], timeout=120, check=True)
