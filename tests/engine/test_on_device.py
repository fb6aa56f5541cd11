"""Fused images on the device are those of the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.steady import Limits
from streamfuse.core.tone import stretched
from streamfuse.engine.backends.base import Blueprint, Precision
from streamfuse.engine.backends.recipe import Recipe
from streamfuse.engine.backends.torch_backend import TorchBackend
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.on_device import rgb_on_device, stretched_on_device
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.nets.registry import build

SIZE_WH = (64, 48)


def _image(form: PixelFormat, levels: ColorRange, matrix: ColorMatrix = ColorMatrix.BT601) -> Image:
    spec = ImageSpec(format=form, size_wh=SIZE_WH, range=levels, matrix=matrix)
    noise = np.random.default_rng(0).integers(0, 256, spec.nbytes, np.uint8)
    return Image.from_buffer(spec, noise)


class _Remembering(TorchBackend):
    """Keeps its last result as a backend on a GPU does."""

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        result = super().run(recipe, *arrays)
        self.last_result = torch.tensor(result)
        return result


def _first(image: Image) -> torch.Tensor:
    return torch.tensor(image.planes[0])


@pytest.mark.parametrize("matrix", list(ColorMatrix))
@pytest.mark.parametrize("levels", list(ColorRange))
def test_colours_are_those_of_the_host(levels: ColorRange, matrix: ColorMatrix) -> None:
    """To one level, which is the rounding of fixed point; RGB passes as it is."""
    image = _image(PixelFormat.YUV420P, levels, matrix)
    found = rgb_on_device(image, _first(image)).numpy().astype(int)
    assert np.abs(found - image_to_rgb(image)).max() <= 1
    plain = _image(PixelFormat.RGB24, ColorRange.FULL)
    assert np.array_equal(rgb_on_device(plain, _first(plain)), plain.planes[0])


@pytest.mark.parametrize("levels", list(ColorRange))
def test_the_stretch_is_that_of_the_host(levels: ColorRange) -> None:
    """Level by level the same."""
    image = _image(PixelFormat.YUV420P, levels)
    limits = Limits(low=20.0, high=180.0)
    found = stretched_on_device(_first(image), image.spec, limits)
    assert np.array_equal(found, stretched(image, limits).planes[0])


def test_the_engine_tells_what_it_fused_where() -> None:
    """A fused image has its first plane on the device; one that passed has none."""
    image = _image(PixelFormat.YUV420P, ColorRange.LIMITED)
    infrared = _image(PixelFormat.GRAY8, ColorRange.FULL)
    blueprint = Blueprint(build=lambda: build("grdb-edge").eval())
    with FusionEngine(_Remembering(blueprint, precision=Precision.FLOAT32)) as engine:
        fused, _ = engine.fuse_images([(image, infrared), (image, None)])
        first, none = engine.on_device
    assert none is None
    assert first is not None
    assert np.array_equal(first, fused.planes[0])
