"""Backends agree with each other, and the arithmetic around the network is exact."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from streamfuse.engine.backends.base import Backend, Blueprint, Precision
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.engine.backends.recipe import Recipe, blank_inputs
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import MachineError, UsageError

Bytes = npt.NDArray[np.uint8]
FULL = np.array([0, 255], np.float32)
LIMITED = np.array([16, 219], np.float32)
SIZE_WH = (96, 64)


def blueprint(network: nn.Module) -> Blueprint:
    """Of a network that exists already; each backend gets a copy."""
    return Blueprint(build=lambda: copy.deepcopy(network))


class Taker(nn.Module):
    """A network whose answer is known: all of the visible image, or all of the infrared one."""

    def __init__(self, *, of_visible: float) -> None:
        super().__init__()
        self.of_visible = nn.Parameter(torch.tensor(of_visible))

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """Weigh the two."""
        return self.of_visible * visible + (1 - self.of_visible) * infrared


@pytest.fixture(params=["openvino", "torch", "onnx"])
def name(request: pytest.FixtureRequest) -> str:
    """Every backend that runs on a CPU."""
    return str(request.param)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The shipped network."""
    return load_network(resolve("default"))


@pytest.fixture(scope="module")
def precise(network: nn.Module) -> Iterator[Backend]:
    """Torch in float32, which the others are compared with."""
    backend, _ = open_backend("torch", blueprint(network), precision="float32")
    yield backend
    backend.close()


Opened = Callable[..., Backend]


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    """Backends without their reasons, each opened once: what they compile is most of the work."""

    @functools.cache
    def open_once(name: str, network: nn.Module, precision: str = "float32") -> Backend:
        return stack.enter_context(
            contextlib.closing(open_backend(name, blueprint(network), precision=precision)[0])
        )

    with contextlib.ExitStack() as stack:
        yield open_once


@pytest.fixture(scope="module")
def show_visible() -> nn.Module:
    """Repeats the visible image."""
    return Taker(of_visible=1.0)


@pytest.fixture(scope="module")
def show_infrared() -> nn.Module:
    """Repeats the infrared image."""
    return Taker(of_visible=0.0)


def textured(*shape: int, seed: int = 0) -> Bytes:
    """Blocks of 4x4 pixels of random brightness: edges and flat parts."""
    batch, height, width, *channels = shape
    blocks = np.random.default_rng(seed).integers(
        0, 256, (batch, height // 4, width // 4, *channels), np.uint8
    )
    return blocks.repeat(4, axis=1).repeat(4, axis=2)


def inputs_of(recipe: Recipe, batch: int) -> tuple[npt.NDArray[Any], ...]:
    """Textured images of the shapes that a recipe wants."""
    visible, infrared, *levels = blank_inputs(recipe, batch, SIZE_WH)
    return textured(*visible.shape), textured(*infrared.shape, seed=1), *levels


def psnr_db(a: Bytes, b: Bytes) -> float:
    """Peak signal-to-noise ratio; equal images count as 120 dB."""
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 255**2 / 1e12)))


@pytest.mark.parametrize("recipe", Recipe)
@pytest.mark.parametrize("other", ["openvino", "onnx"])
def test_float32_backends_agree(
    opened: Opened, recipe: Recipe, other: str, network: nn.Module, precise: Backend
) -> None:
    """The others give what torch gives, in every recipe, for a batch of two."""
    inputs = inputs_of(recipe, 2)
    backend = opened(other, network)
    ours = backend.run(recipe, *inputs)
    assert ours.shape == inputs[0].shape
    assert psnr_db(ours, precise.run(recipe, *inputs)) >= 60


@pytest.mark.parametrize("recipe", Recipe)
@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_bfloat16_stays_close(
    opened: Opened, recipe: Recipe, name: str, network: nn.Module, precise: Backend
) -> None:
    """Half the digits cost less than a grey level; the reference recipe loses none."""
    backend = opened(name, network, "bfloat16")
    assert backend.precision is Precision.BFLOAT16
    inputs = inputs_of(recipe, 1)
    floor_db = 60 if recipe is Recipe.REFERENCE else 50
    assert psnr_db(backend.run(recipe, *inputs), precise.run(recipe, *inputs)) >= floor_db


def test_batches_do_not_mix(opened: Opened, name: str, network: nn.Module) -> None:
    """The second image of a batch is fused as it is alone."""
    backend = opened(name, network)
    visible, infrared, levels = inputs_of(Recipe.LUMA, 3)
    together = backend.run(Recipe.LUMA, visible, infrared, levels)
    alone = backend.run(Recipe.LUMA, visible[1:2], infrared[1:2], levels)
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1


def test_sizes_follow_one_another(opened: Opened, name: str, network: nn.Module) -> None:
    """Images of any size go through one backend, more sizes than it keeps, and again the first."""
    backend = opened(name, network)
    first = {}
    for width, height in [(32, 24), (48, 24), (33, 17), (64, 48), (40, 40), (32, 24)]:
        arrays = (
            textured(1, height + 3, width + 3)[:, :height, :width],
            np.zeros((1, height, width), np.uint8),
        )
        fused = backend.run(Recipe.LUMA, *arrays, FULL)
        assert fused.shape == (1, height, width)
        np.testing.assert_array_equal(fused, first.setdefault((width, height), fused))


def test_limited_range_survives_unchanged(opened: Opened, name: str, show_visible: nn.Module) -> None:
    """With a network that repeats the visible image, every legal code returns; others are clamped."""
    backend = opened(name, show_visible)
    codes = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    fused = backend.run(Recipe.LUMA, codes, np.zeros_like(codes), LIMITED)
    np.testing.assert_array_equal(fused, codes.clip(16, 235))
    np.testing.assert_array_equal(backend.run(Recipe.LUMA, codes, np.zeros_like(codes), FULL), codes)


def test_infrared_enters_the_range_of_the_luma(opened: Opened, name: str, show_infrared: nn.Module) -> None:
    """With a network that repeats infrared, white (255) becomes the white code of a limited luma plane."""
    backend = opened(name, show_infrared)
    infrared = np.array([[[0, 51], [102, 255]]], np.uint8)
    fused = backend.run(Recipe.LUMA, np.full_like(infrared, 99), infrared, LIMITED)
    np.testing.assert_array_equal(fused, [[[16, 60], [104, 235]]])


def test_colour_is_kept(opened: Opened, name: str, show_visible: nn.Module) -> None:
    """With a network that repeats the visible image, RGB returns to a level (published coefficients)."""
    backend = opened(name, show_visible)
    rgb = textured(1, 32, 48, 3)
    fused = backend.run(Recipe.RGB, rgb, np.zeros(rgb.shape[:-1], np.uint8))
    assert np.abs(fused.astype(int) - rgb).max() <= 1


def test_reference_stretches_each_image_alone(opened: Opened, name: str, show_infrared: nn.Module) -> None:
    """Each image of a batch reaches black and white by its own extremes; a stream keeps its levels."""
    backend = opened(name, show_infrared)
    infrared = (
        np.stack((np.linspace(50, 100, 64), np.linspace(120, 240, 64))).reshape(2, 8, 8).astype(np.uint8)
    )
    grey = np.full((2, 8, 8, 3), 77, np.uint8)
    stretched = backend.run(Recipe.REFERENCE, grey, infrared)
    assert [(int(image.min()), int(image.max())) for image in stretched] == [(0, 255), (0, 255)]
    kept = backend.run(Recipe.RGB, grey, infrared)
    np.testing.assert_array_equal(kept, infrared[..., None].repeat(3, axis=-1))


def test_result_is_the_callers_own(opened: Opened, name: str, network: nn.Module) -> None:
    """A later call does not write into an earlier result, and read-only input is welcome."""
    backend = opened(name, network)
    visible, infrared, levels = inputs_of(Recipe.LUMA, 1)
    visible.flags.writeable = False
    first = backend.run(Recipe.LUMA, visible, infrared, levels)
    before = first.copy()
    backend.run(Recipe.LUMA, np.zeros_like(infrared), infrared, levels)
    np.testing.assert_array_equal(first, before)


def test_closing_twice(name: str, network: nn.Module) -> None:
    """Closing is allowed at any time and any number of times."""
    backend = open_backend(name, blueprint(network), precision="float32")[0]
    backend.warm_up(Recipe.LUMA, 2, (32, 16))
    backend.close()
    backend.close()


def test_without_a_gpu_of_intel_its_name_is_an_error(network: nn.Module) -> None:
    """One that is there opens; where there is none, one sentence says so."""
    try:
        backend, _ = open_backend("openvino-gpu", blueprint(network))
    except MachineError as error:
        assert str(error) == "OpenVINO finds no GPU of Intel, or no OpenCL driver for it"  # noqa: PT017
    else:
        assert backend.precision is Precision.FLOAT16
        backend.close()


def test_the_network_stays_as_it_was(network: nn.Module) -> None:
    """A backend works on a copy: the caller's weights keep their dtype."""
    open_backend("torch", blueprint(network), precision="bfloat16")[0].close()
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.fixture
def _cuda() -> None:
    """Skip without a CUDA device, unless this run was promised one."""
    if not torch.cuda.is_available():
        assert "STREAMFUSE_REQUIRE_CUDA" not in os.environ, "STREAMFUSE_REQUIRE_CUDA is set: torch finds none"
        pytest.skip("no CUDA device")


@pytest.mark.needs_cuda
@pytest.mark.usefixtures("_cuda")
@pytest.mark.parametrize("recipe", Recipe)
def test_cuda_agrees(opened: Opened, recipe: Recipe, network: nn.Module, precise: Backend) -> None:
    """Half precision on CUDA stays within a grey level; the reference recipe is float32 there too."""
    backend = opened("torch-cuda", network, "auto")
    inputs = inputs_of(recipe, 2)
    floor_db = 60 if recipe is Recipe.REFERENCE else 50
    assert psnr_db(backend.run(recipe, *inputs), precise.run(recipe, *inputs)) >= floor_db


@pytest.mark.parametrize(
    ("backend", "precision", "complaint"),
    [
        ("tpu", "auto", "one of auto, torch-cuda, openvino, openvino-gpu, torch, onnx, tensorrt; got 'tpu'"),
        ("torch", "int4", "one of auto, float32, bfloat16, float16; got 'int4'"),
        ("openvino", "float16", "openvino computes in float32, bfloat16; got float16"),
        ("openvino-gpu", "bfloat16", "openvino-gpu computes in float32, float16; got bfloat16"),
        ("onnx", "bfloat16", "onnx computes in float32; got bfloat16"),
    ],
)
def test_impossible_choices(network: nn.Module, backend: str, precision: str, complaint: str) -> None:
    """A name that does not exist is answered with those that do."""
    with pytest.raises(UsageError, match=complaint):
        open_backend(backend, blueprint(network), precision=precision)


def test_a_kept_model_is_read_and_a_damaged_one_made_again(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second start builds no network; it does where the file is damaged, and says the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    inputs = inputs_of(Recipe.LUMA, 1)
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(copy.deepcopy(network))
        return built[-1]

    def fused() -> Bytes:
        kept = Blueprint(build=build, content="grdb-edge 1")
        with contextlib.closing(open_backend("openvino", kept, precision="float32")[0]) as backend:
            return backend.run(Recipe.LUMA, *inputs)

    first = fused()
    assert len(built) == 1
    np.testing.assert_array_equal(fused(), first)
    assert len(built) == 1
    (weights,) = tmp_path.glob("streamfuse/exports/*/*.bin")
    damaged = bytearray(weights.read_bytes())
    damaged[1000] ^= 255
    weights.write_bytes(damaged)
    np.testing.assert_array_equal(fused(), first)
    assert len(built) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is converted in memory."""
    (tmp_path / "streamfuse").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = Blueprint(build=lambda: copy.deepcopy(network), content="grdb-edge 1")
    for name in ("openvino", "auto"):
        backend, _ = open_backend(name, kept)
        backend.warm_up(Recipe.LUMA, 1, SIZE_WH)
        backend.close()
