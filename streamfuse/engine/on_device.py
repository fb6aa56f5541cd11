"""Fused images where they were computed, for networks that go on from there without the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamfuse.core.convert import yuv_gains
from streamfuse.core.steady import Limits
from streamfuse.core.tone import stretched
from streamfuse.frames import Image, ImageSpec, PixelFormat

__all__ = ["rgb_on_device", "stretched_on_device"]

Bytes = npt.NDArray[Any]


def stretched_on_device(plane: Tensor, spec: ImageSpec, limits: Limits) -> Tensor:
    """A first plane as :func:`streamfuse.core.tone.stretched` makes it, level by level.

    Args:
        plane: uint8 of any shape, the first plane of an image of ``spec``.
        spec: of the image.
        limits: as for the image.
    """
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ramp = Image(ImageSpec(format=PixelFormat.GRAY8, size_wh=(16, 16), range=spec.range), (levels,))
    table = _sent([stretched(ramp, limits).planes[0].reshape(-1)], plane.device)[0]
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
    u, v = _sent(image.planes[1:], first.device).float() - 128.0
    rows, columns = u.shape
    light = ((first.float() - black) * luma_gain).view(rows, 2, columns, 2)
    # Colour is computed once for the four pixels that share it.
    tints = (red_v * v, green_u * u + green_v * v, blue_u * u)
    rgb = torch.stack([light + tint[:, None, :, None] for tint in tints], dim=-1)
    return rgb.round_().clamp_(0, 255).byte().view(2 * rows, 2 * columns, 3)


def _sent(planes: Sequence[Bytes], device: torch.device) -> Tensor:
    """Planes of one shape, one after the other; on their way to a GPU the host does not wait for them."""
    is_gpu = device.type == "cuda"
    staged = torch.empty((len(planes), *planes[0].shape), dtype=torch.uint8, pin_memory=is_gpu)
    for there, plane in zip(staged, planes, strict=True):
        np.copyto(there.numpy(), plane)
    return staged.to(device, non_blocking=is_gpu)
