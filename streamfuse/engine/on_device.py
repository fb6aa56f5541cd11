"""Fused images where they were computed, for networks that go on from there without the host."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from streamfuse.core.convert import yuv_gains
from streamfuse.core.steady import Limits
from streamfuse.core.tone import stretched
from streamfuse.frames import Image, ImageSpec, PixelFormat

__all__ = ["rgb_on_device", "stretched_on_device"]


def stretched_on_device(plane: Tensor, spec: ImageSpec, limits: Limits) -> Tensor:
    """A first plane as :func:`streamfuse.core.tone.stretched` makes it, level by level.

    Args:
        plane: uint8 of any shape, the first plane of an image of ``spec``.
        spec: of the image.
        limits: as for the image.
    """
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ramp = Image(ImageSpec(format=PixelFormat.GRAY8, size_wh=(16, 16), range=spec.range), (levels,))
    table = torch.tensor(stretched(ramp, limits).planes[0].reshape(-1), device=plane.device)
    return table[plane.int()]


def rgb_on_device(image: Image, first: Tensor) -> Tensor:
    """What :func:`streamfuse.core.convert.image_to_rgb` gives, computed where the first plane lies.

    Args:
        image: YUV420P or RGB24; of it, only the chroma planes travel to the device.
        first: its first plane, uint8.

    Returns:
        HxWx3 uint8 on the device of ``first``.
    """
    if image.spec.format is PixelFormat.RGB24:
        return first
    black, *gains = yuv_gains(image.spec.range, image.spec.matrix)
    luma_gain, red_v, green_u, green_v, blue_u = gains
    chroma = torch.tensor(np.stack(image.planes[1:]), device=first.device).float() - 128.0
    u, v = chroma.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    light = (first.float() - black) * luma_gain
    rgb = torch.stack((light + red_v * v, light + green_u * u + green_v * v, light + blue_u * u), dim=-1)
    return rgb.round().clamp(0, 255).byte()
