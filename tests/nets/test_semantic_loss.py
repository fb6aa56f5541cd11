"""The semantic loss against formulations that are slow and plain."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from streamfuse.nets.semantic_loss import IGNORED, hard_cross_entropy, plain_cross_entropy, semantic_loss


def scene(seed: int, *, spread: float = 3.0, ignored: float = 0.2) -> tuple[Tensor, Tensor]:
    """Logits and labels of two images of 6x7 pixels with four classes, some pixels unknown."""
    random = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(2, 4, 6, 7, generator=random)
    labels = torch.randint(0, 4, (2, 6, 7), generator=random)
    labels[torch.rand(2, 6, 7, generator=random) < ignored] = IGNORED
    return logits, labels


def sorted_mean(logits: Tensor, labels: Tensor, at_least: int) -> float:
    """The released code's way: sort all, look at one of them, cut."""
    losses = sorted(
        (
            -math.log(torch.softmax(logits[image, :, row, column], 0)[label])
            for image, rows in enumerate(labels.tolist())
            for row, columns in enumerate(rows)
            for column, label in enumerate(columns)
            if label != IGNORED
        ),
        reverse=True,
    )
    threshold = -math.log(0.7)
    if at_least < len(losses) and losses[at_least] > threshold:
        kept = [loss for loss in losses if loss > threshold]
    else:
        kept = losses[:at_least]
    return sum(kept) / len(kept)


@settings(deadline=None)
@given(seed=st.integers(0, 999), at_least=st.integers(1, 100), spread=st.sampled_from([0.3, 3.0, 9.0]))
def test_hard_pixels_are_those_of_the_sorting_formulation(seed: int, at_least: int, spread: float) -> None:
    """Whether few or many pixels are hard, and also if fewer have labels than are wanted."""
    logits, labels = scene(seed, spread=spread)
    loss = hard_cross_entropy(logits, labels, at_least=at_least)
    assert float(loss) == pytest.approx(sorted_mean(logits, labels, at_least), rel=1e-4)


def test_one_image_has_as_many_pixels_as_are_kept_at_least() -> None:
    """The default of the released code, 307,200, is one of its frames."""
    logits, labels = scene(0, spread=0.01, ignored=0)
    easy = logits + 9 * functional.one_hot(labels, 4).movedim(3, 1)
    assert torch.equal(hard_cross_entropy(easy, labels), hard_cross_entropy(easy, labels, at_least=42))


def test_the_plain_loss_is_the_cross_entropy_of_torch() -> None:
    """Mean over the pixels with a label."""
    logits, labels = scene(1)
    expected = functional.cross_entropy(logits, labels, ignore_index=IGNORED)
    torch.testing.assert_close(plain_cross_entropy(logits, labels), expected)


@pytest.mark.parametrize("hard", [True, False])
def test_images_without_labels_cost_nothing(hard: bool) -> None:
    """The loss is 0 and has a gradient of 0, rather than no number."""
    logits, labels = scene(2)
    logits.requires_grad_()
    loss = semantic_loss((logits, logits), torch.full_like(labels, IGNORED), hard=hard).total
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("hard", [True, False])
def test_the_auxiliary_head_counts_by_its_weight(hard: bool) -> None:
    """Total = main + lambda * auxiliary, each of its own head."""
    logits, labels = scene(3)
    loss = semantic_loss((logits, -logits), labels, auxiliary_weight=0.75, hard=hard)
    alone = semantic_loss((-logits, logits), labels, hard=hard)
    torch.testing.assert_close(loss.total, loss.main + 0.75 * loss.auxiliary)
    torch.testing.assert_close(loss.main, alone.auxiliary)
