"""Differentiable similarity: equal to its formulas, and 1 or 0 where that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from streamfuse.nets.similarity import MIN_SIDE_PX, correlation_of_differences, structural_similarity


def image(seed: int, side: int = 24) -> Tensor:
    """A random plane, (1, 1, side, side), double precision."""
    return torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_image_is_like_itself() -> None:
    """The similarity of equal images is one."""
    assert float(structural_similarity(image(0), image(0))) == pytest.approx(1)


def test_one_window_follows_the_formula() -> None:
    """On an image of one window, SSIM is the formula with Gaussian moments."""
    first, second = (image(seed, MIN_SIDE_PX) for seed in (1, 2))
    offsets = np.arange(MIN_SIDE_PX) - MIN_SIDE_PX // 2
    line = np.exp(-(offsets**2) / 4.5)
    window = np.outer(line, line) / np.outer(line, line).sum()
    a, b = first.numpy()[0, 0], second.numpy()[0, 0]
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
    covariance = (window * (a - mean_a) * (b - mean_b)).sum()
    expected = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    expected *= (2 * covariance + 9e-4) / (var_a + var_b + 9e-4)
    assert float(structural_similarity(first, second)) == pytest.approx(expected, rel=1e-9)


def test_a_sum_of_the_sources_has_the_best_correlation_of_differences() -> None:
    """If F = V + I, what each source added is the source itself."""
    visible, infrared = image(3), image(4)
    value = correlation_of_differences(visible + infrared, visible, infrared)
    assert float(value) == pytest.approx(2, abs=1e-4)


def test_correlation_of_differences_is_that_of_numpy() -> None:
    """Far from flat, the value is the sum of two of numpy's correlation coefficients."""
    fused, visible, infrared = (image(seed) for seed in (5, 6, 7))
    expected = sum(
        np.corrcoef((fused - other).flatten().numpy(), source.flatten().numpy())[0, 1]
        for other, source in ((infrared, visible), (visible, infrared))
    )
    assert float(correlation_of_differences(fused, visible, infrared)) == pytest.approx(expected, abs=1e-4)


def test_flat_images_correlate_with_nothing_and_break_nothing() -> None:
    """No contrast: zero, and a finite gradient."""
    flat = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    value = correlation_of_differences(flat, torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.1))
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
