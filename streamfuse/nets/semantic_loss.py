"""How well a segmentation network understands a fused image, as one differentiable number.

``semantic = main + lambda * auxiliary`` over the two heads, each a cross entropy (Tang et al. 2022,
eq. 10-12). The paper averages it over all pixels. The released code averages over the *hard* ones alone
(online hard example mining, Shrivastava et al. 2016): those whose right class has a probability below 0.7,
and never fewer than one image has pixels. So the large, easy background does not drown the few pixels of a
person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "HARD_BELOW",
    "IGNORED",
    "SemanticLoss",
    "hard_cross_entropy",
    "plain_cross_entropy",
    "semantic_loss",
]

IGNORED = 255
"""Label of a pixel that counts for nothing."""
HARD_BELOW = 0.7
"""A pixel is hard where its right class has a smaller probability than this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SemanticLoss:
    """Cross entropies of both heads and their weighted sum; scalars (shape ()), nats."""

    total: Tensor
    main: Tensor
    auxiliary: Tensor


def semantic_loss(
    logits: tuple[Tensor, Tensor], labels: Tensor, *, auxiliary_weight: float = 0.1, hard: bool = True
) -> SemanticLoss:
    """Compare what both heads say with the labels.

    Args:
        logits: main and auxiliary, each (B, classes, H, W) floating point.
        labels: (B, H, W) int64 class ids, :data:`IGNORED` where nothing is known.
        auxiliary_weight: the lambda of the paper; its released code uses 0.75 to train the segmentation.
        hard: average over the hard pixels, as the released code; otherwise over all, as the paper.
    """
    entropy = hard_cross_entropy if hard else plain_cross_entropy
    main, auxiliary = (entropy(scores, labels) for scores in logits)
    return SemanticLoss(total=main + auxiliary_weight * auxiliary, main=main, auxiliary=auxiliary)


def plain_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over all pixels that have a label; 0 where none has. Shapes as in :func:`semantic_loss`."""
    return _labelled(logits, labels).sum() / max(1, int((labels != IGNORED).sum()))


def hard_cross_entropy(logits: Tensor, labels: Tensor, *, at_least: int | None = None) -> Tensor:
    """Mean over the hard pixels that have a label; 0 where none has. Shapes as in :func:`semantic_loss`.

    Args:
        logits: scores of the classes.
        labels: the right classes.
        at_least: if fewer pixels are hard, the mean is over this many hardest ones. None stands for the
            pixels of one image: the released code has 307,200, one frame of 640x480, in both its stages.
            All labelled pixels, where there are fewer.
    """
    losses = _labelled(logits, labels)
    wanted = labels[0].numel() if at_least is None else at_least
    hard = losses[losses > -math.log(HARD_BELOW)]
    if len(hard) < min(wanted, len(losses)):
        hard = torch.topk(losses, min(wanted, len(losses)), sorted=False).values
    return hard.sum() / max(1, len(hard))


def _labelled(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each pixel that has a label, (N,)."""
    losses = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
    return losses[labels != IGNORED]
