"""The letterbox for images that lie on a device already."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from streamfuse.engine.tasks.letterbox import PADDING, Letterbox

__all__ = ["boxed_tensor"]


def boxed_tensor(letterbox: Letterbox, image: Tensor) -> Tensor:
    """:meth:`Letterbox.apply` for an HxWx3 uint8 tensor, where it lies; to one level the same."""
    if letterbox.is_identity:
        return image
    (width, height), (left, top) = letterbox.scaled_wh, letterbox.offset_xy
    scaled = image
    if letterbox.scaled_wh != letterbox.image_wh:
        planes = image.permute(2, 0, 1)[None].float()
        scaled = interpolate(planes, (height, width), mode="bilinear")[0].permute(1, 2, 0).round().byte()
    shape = (letterbox.network_wh[1], letterbox.network_wh[0], 3)
    boxed = torch.full(shape, PADDING, dtype=torch.uint8, device=image.device)
    boxed[top : top + height, left : left + width] = scaled
    return boxed
