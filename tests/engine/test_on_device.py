"""Fused images on the device are those of the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.steady import Limits
from streamfuse.core.tone import stretched
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.on_device import rgb_on_device, stretched_on_device
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat

SIZE_WH = (64, 48)


def _image(form: PixelFormat, levels: ColorRange, matrix: ColorMatrix = ColorMatrix.BT601) -> Image:
    spec = ImageSpec(format=form, size_wh=SIZE_WH, range=levels, matrix=matrix)
    noise = np.random.default_rng(0).integers(0, 256, spec.nbytes, np.uint8)
    return Image.from_buffer(spec, noise)


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
    with FusionEngine.load("grdb-edge", backend="torch") as engine:
        fused, _ = engine.fuse_images([(image, infrared), (image, None)])
        first, none = engine.on_device
    assert none is None
    assert first is not None
    assert np.array_equal(first, fused.planes[0])
