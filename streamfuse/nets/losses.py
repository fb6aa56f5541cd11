"""What a fused image should keep of its sources, as one differentiable number.

The content loss is that of SeAFusion (Tang et al. 2022, eq. 5-8)::

    intensity = mean | F - max(V, I) |
    texture   = mean | |grad F| - max(|grad V|, |grad I|) |        |grad| = |Sobel x| + |Sobel y|
    content   = intensity + alpha * texture                        alpha = 10

It has a hole. Sobel answers zero to a one-pixel checkerboard, and its magnitude forgets the sign of
an edge, so a network may add a grid or flip fine detail for free. Two further terms close it:

    detail  = mean | d F - d S |          d = one-pixel differences in x and y,
                                          S = the source that has the larger |d| at that pixel
    checker = mean max(0, |c F| - max(|c V|, |c I|))               c = [[1, -1], [-1, 1]]

Both are off in :data:`PUBLISHED_WEIGHTS`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["PUBLISHED_WEIGHTS", "FusionLoss", "LossWeights", "fusion_loss", "sobel_magnitude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """How much each term counts.

    Raises:
        ValueError: a weight is negative or not finite, or all are zero.
    """

    intensity: float = 1.0
    texture: float = 10.0
    """The alpha of the paper."""
    detail: float = 0.0
    checker: float = 0.0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if not 0.0 <= value < float("inf"):
                raise ValueError(f"loss weight {name!r} must be a finite number of at least 0, got {value}")
        if not any(values.values()):
            raise ValueError("at least one loss weight must be above 0, got none")


PUBLISHED_WEIGHTS = LossWeights()
"""Intensity 1, texture 10, nothing else: the content loss of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusionLoss:
    """The terms, unweighted, and their weighted sum; all are scalars (shape ())."""

    total: Tensor
    intensity: Tensor
    texture: Tensor
    detail: Tensor
    checker: Tensor

    def values(self) -> dict[str, float]:
        """Every term by name, as plain numbers."""
        return {field.name: float(getattr(self, field.name).detach()) for field in fields(self)}


def fusion_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, *, weights: LossWeights = PUBLISHED_WEIGHTS
) -> FusionLoss:
    """Compare a fused image with its sources.

    Args:
        fused: (B, 1, H, W) floating point in 0..1, both sides at least 2.
        visible: luma of the visible image, same shape and range.
        infrared: same shape and range.
        weights: of the terms in ``total``.
    """
    intensity = (fused - torch.maximum(visible, infrared)).abs().mean()
    strongest = torch.maximum(sobel_magnitude(visible), sobel_magnitude(infrared))
    texture = (sobel_magnitude(fused) - strongest).abs().mean()
    detail = _detail(fused, visible, infrared)
    checker = _checker(fused, visible, infrared)
    total = (
        weights.intensity * intensity
        + weights.texture * texture
        + weights.detail * detail
        + weights.checker * checker
    )
    return FusionLoss(total=total, intensity=intensity, texture=texture, detail=detail, checker=checker)


def sobel_magnitude(image: Tensor) -> Tensor:
    """``|Sobel x| + |Sobel y|``, (B, 1, H, W) to the same shape.

    The border is replicated. The published code pads with zeros, which draws a bright frame of edges
    that no scene has around every crop.
    """
    # Both kernels are a difference across and a (1, 2, 1) sum along the edge: slices beat a convolution
    # of one channel, and autocast leaves them in the precision of the input.
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    across_x = padded[..., 2:] - padded[..., :-2]
    across_y = padded[..., 2:, :] - padded[..., :-2, :]
    edge_x = across_x[..., :-2, :] + 2 * across_x[..., 1:-1, :] + across_x[..., 2:, :]
    edge_y = across_y[..., :-2] + 2 * across_y[..., 1:-1] + across_y[..., 2:]
    return edge_x.abs() + edge_y.abs()


def _detail(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Signed one-pixel differences against those of the stronger source, x and y averaged."""
    terms = []
    for dim in (-1, -2):
        of_visible, of_infrared = visible.diff(dim=dim), infrared.diff(dim=dim)
        target = torch.where(of_visible.abs() >= of_infrared.abs(), of_visible, of_infrared)
        terms.append((fused.diff(dim=dim) - target).abs().mean())
    return (terms[0] + terms[1]) / 2


def _checker(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """How much more one-pixel checkerboard the fused image has than either source."""
    of_fused, of_visible, of_infrared = (
        image.diff(dim=-1).diff(dim=-2).abs() for image in (fused, visible, infrared)
    )
    return functional.relu(of_fused - torch.maximum(of_visible, of_infrared)).mean()
