"""Bytes in, raw predictions out: a task network with the arithmetic that every backend needs around it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from streamfuse.engine.tasks.facts import TaskFacts
from streamfuse.engine.tasks.library import libraries_unchanged
from streamfuse.engine.tasks.networks import TaskNetwork

__all__ = ["TaskGraph"]


class TaskGraph(nn.Module):
    """A copy of a network, folded for inference: takes images as they are, says what it sees before NMS.

    Boxes and scores are computed in float32 whatever the network's own numbers: at half precision, an edge
    beyond pixel 512 could only be told to half a pixel.

    Args:
        network: not changed.
        masks: whether prototypes and coefficients of masks are wanted too; not all networks have them.
    """

    def __init__(self, network: TaskNetwork, *, masks: bool) -> None:
        super().__init__()
        module: Any = copy.deepcopy(network.module)
        with libraries_unchanged():
            module = module.fuse(verbose=False)
        head = module.model[-1]
        head.export = True
        head.dfl = _Distance(head.reg_max)
        self.module = module.requires_grad_(False).eval()
        self.classes = int(head.nc)
        self.is_end_to_end = bool(head.end2end)
        """Whether the network leaves no overlaps, so that there is no suppression after it."""
        self.masks = masks
        self._kind = network.kind
        self._names = tuple(network.names[number] for number in sorted(network.names))

    @property
    def facts(self) -> TaskFacts:
        """What its results mean, and what images it takes."""
        return TaskFacts(
            kind=self._kind,
            names=self._names,
            side_px=self.side_px,
            stride=self.stride,
            is_end_to_end=self.is_end_to_end,
        )

    @property
    def side_px(self) -> int:
        """The longer side of the images it was trained with."""
        size = getattr(self.module, "args", {}).get("imgsz", 640)
        return int(max(size) if isinstance(size, list | tuple) else size)

    @property
    def stride(self) -> int:
        """Both sides of its input are multiples of this."""
        return max(int(self.module.stride.max()), 32)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Look at (B, H, W, 3) uint8 RGB images.

        Returns:
            Predictions (B, 4 + classes + C, N), or (B, N, 6 + C) end to end; with masks also prototypes
            (B, C, h, w).
        """
        dtype = next(self.module.parameters()).dtype
        outputs: Any = self.module(images.to(dtype).permute(0, 3, 1, 2) / 255.0)
        if self.masks:
            return outputs[0].float(), outputs[1].float()
        found: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
        if self.is_end_to_end:
            return (found[..., :6].float(),)
        return (found[:, : 4 + self.classes].float(),)


class _Distance(nn.Module):
    """The mean of a distribution over distances, as ``DFL``, in float32 and without convolution."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self._bins = bins

    def forward(self, raw: Tensor) -> Tensor:
        """(B, 4 * bins, N) to (B, 4, N) strides."""
        if self._bins == 1:
            return raw.float()
        batch, _, anchors = raw.shape
        shares = raw.float().view(batch, 4, self._bins, anchors).softmax(2)
        strides = torch.arange(self._bins, dtype=torch.float32, device=raw.device).view(1, 1, -1, 1)
        return (shares * strides).sum(2)
