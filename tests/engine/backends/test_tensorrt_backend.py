"""TensorRT gives what torch gives, and builds no plan twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from streamfuse.engine.backends.base import Backend, Blueprint
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import MachineError, UsageError

SIZE_WH = (96, 64)


def blueprint(content: str | None = None) -> Blueprint:
    """Of the shipped network."""
    weights = resolve("default")
    return Blueprint(build=lambda: load_network(weights), content=content)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_the_library_or_a_gpu_it_says_so() -> None:
    """Asked for by name, it is not silently replaced by another."""
    with pytest.raises(MachineError, match=r"no TensorRT here .*pip install|TensorRT needs an NVIDIA GPU"):
        open_backend("tensorrt", blueprint())


@pytest.fixture
def _cuda() -> None:
    """Skip without a CUDA device, unless this run was promised one; and without TensorRT, an extra."""
    if not torch.cuda.is_available():
        assert "STREAMFUSE_REQUIRE_CUDA" not in os.environ, "STREAMFUSE_REQUIRE_CUDA is set: torch finds none"
        pytest.skip("no CUDA device")
    pytest.importorskip("tensorrt", reason="streamfuse[tensorrt] is not installed")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder; gives where plans lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "streamfuse" / "exports"


@pytest.fixture
def both(_cuda: None, cache: Path) -> Iterator[tuple[Backend, Backend]]:  # noqa: ARG001 - they come first
    """TensorRT in half precision, and torch in float32."""
    with contextlib.ExitStack() as stack:
        yield tuple(
            stack.enter_context(
                contextlib.closing(open_backend(name, blueprint("test 1"), precision=precision)[0])
            )
            for name, precision in (("tensorrt", "auto"), ("torch", "float32"))
        )


def textured(recipe: Recipe, batch: int) -> tuple[np.ndarray, ...]:
    """Images with something on them."""
    visible, infrared, *levels = blank_inputs(recipe, batch, SIZE_WH)
    for plane in (visible, infrared):
        plane[:] = np.random.default_rng(1).integers(0, 256, plane.shape, np.uint8)
    return visible, infrared, *levels


@pytest.mark.needs_cuda
@pytest.mark.slow
@pytest.mark.parametrize("recipe", Recipe)
def test_it_gives_what_torch_gives(both: tuple[Backend, Backend], recipe: Recipe) -> None:
    """To a grey level; the reference recipe exactly, it is float32 there too."""
    ours, torch_ = both
    inputs = textured(recipe, 2)
    error = ours.run(recipe, *inputs).astype(float) - torch_.run(recipe, *inputs)
    psnr_db = 10 * np.log10(255**2 / max(np.mean(error**2), 1e-8))
    assert psnr_db >= (60 if recipe is Recipe.REFERENCE else 50)


@pytest.mark.needs_cuda
@pytest.mark.slow
def test_a_plan_is_built_once_filled_up_and_built_again_when_damaged(
    both: tuple[Backend, Backend], cache: Path
) -> None:
    """One image runs in the plan for two; the next start reads that plan, or builds it if it is damaged."""
    inputs = textured(Recipe.LUMA, 2)
    together = both[0].run(Recipe.LUMA, *inputs)
    alone = both[0].run(Recipe.LUMA, inputs[0][:1], inputs[1][:1], inputs[2])
    np.testing.assert_array_equal(alone[0], together[0])
    (plan,) = cache.glob("tensorrt-*/network")
    written_ns = plan.stat().st_mtime_ns

    def again() -> np.ndarray:
        with contextlib.closing(open_backend("tensorrt", blueprint("test 1"))[0]) as backend:
            return backend.run(Recipe.LUMA, *inputs)

    np.testing.assert_array_equal(again(), together)
    assert plan.stat().st_mtime_ns == written_ns
    plan.write_bytes(plan.read_bytes()[:1000])
    assert np.abs(again().astype(int) - together).max() <= 1
    assert plan.stat().st_size > 1000


@pytest.mark.needs_cuda
@pytest.mark.usefixtures("_cuda")
def test_a_precision_it_does_not_have() -> None:
    """ONNX has no convolutions in bfloat16."""
    with pytest.raises(UsageError, match="tensorrt computes in float16, float32; got bfloat16"):
        open_backend("tensorrt", blueprint(), precision="bfloat16")
