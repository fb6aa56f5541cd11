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

A maximum also throws away what the darker source says about contrast. Three more terms ask for it, the
first two by :mod:`streamfuse.nets.similarity`::

    structure   = 1 - (SSIM(F, V) + SSIM(F, I)) / 2
    correlation = 1 - (r(F' - I', V') + r(F' - V', I')) / 2        r = Pearson's correlation of a crop,
                                                                   X' = X in means of 8x8 pixels
    contrast    = mean max(0, max(std V, std I) - std F)           std of a crop

Correlation looks at coarse means only: at every pixel it would ask for the sum of both edges, where
texture and detail ask for the stronger one. All five are off in :data:`PUBLISHED_WEIGHTS`, and a term that
is off is not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from streamfuse.nets.similarity import correlation_of_differences, structural_similarity

__all__ = ["PUBLISHED_WEIGHTS", "FusionLoss", "LossWeights", "fusion_loss", "sobel_magnitude"]


_COARSE_PX = 8
"""Side of the squares whose means the correlation term compares."""


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
    structure: float = 0.0
    correlation: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        values = asdict(self)
        for name, value in values.items():
            if not 0.0 <= value < float("inf"):
                raise ValueError(f"loss weight {name!r} must be a finite number of at least 0, got {value}")
        if not any(values.values()):
            raise ValueError("at least one loss weight must be above 0, got none")


PUBLISHED_WEIGHTS = LossWeights()
"""Intensity 1, texture 10, nothing else: the content loss of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusionLoss:
    """The terms that were asked for, unweighted, and their weighted sum; all are scalars (shape ())."""

    total: Tensor
    terms: Mapping[str, Tensor]

    def values(self) -> dict[str, float]:
        """The total and every term by name, as plain numbers."""
        return {"total": float(self.total.detach())} | {
            name: float(term.detach()) for name, term in self.terms.items()
        }


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
    asked = {name: weight for name, weight in asdict(weights).items() if weight}
    terms = {name: _TERMS[name](fused, visible, infrared) for name in asked}
    total = torch.stack([weight * terms[name] for name, weight in asked.items()]).sum()
    return FusionLoss(total=total, terms=MappingProxyType(terms))


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


def _intensity(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    return (fused - torch.maximum(visible, infrared)).abs().mean()


def _texture(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    strongest = torch.maximum(sobel_magnitude(visible), sobel_magnitude(infrared))
    return (sobel_magnitude(fused) - strongest).abs().mean()


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


def _structure(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    return 1 - (structural_similarity(fused, visible) + structural_similarity(fused, infrared)) / 2


def _correlation(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    coarse = (functional.avg_pool2d(image, _COARSE_PX) for image in (fused, visible, infrared))
    return 1 - correlation_of_differences(*coarse) / 2


def _contrast(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    of_fused, of_visible, of_infrared = (image.std(dim=(1, 2, 3)) for image in (fused, visible, infrared))
    return functional.relu(torch.maximum(of_visible, of_infrared) - of_fused).mean()


_TERMS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "intensity": _intensity,
        "texture": _texture,
        "detail": _detail,
        "checker": _checker,
        "structure": _structure,
        "correlation": _correlation,
        "contrast": _contrast,
    }
)
"""Every term by the name of its weight; each takes (fused, visible, infrared)."""
