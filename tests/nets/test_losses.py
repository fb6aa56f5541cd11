"""The fusion loss: what is free, what costs, and what the published form cannot see."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from streamfuse.nets.losses import PUBLISHED_WEIGHTS, LossWeights, fusion_loss, sobel_magnitude

ALL_TERMS = LossWeights(
    intensity=2, texture=3, detail=5, checker=7, structure=11, correlation=13, contrast=17
)


def image(seed: int = 0, side: int = 16) -> Tensor:
    """A random plane, (2, 1, side, side)."""
    return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(seed))


def term(name: str, fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """One term alone, unweighted."""
    weights = LossWeights(**{"intensity": 0, "texture": 0, name: 1})
    return fusion_loss(fused, visible, infrared, weights=weights).terms[name]


def test_two_equal_sources_fused_into_themselves_cost_nothing() -> None:
    """The loss of the ideal answer is zero in every term."""
    same = image()
    weights = LossWeights(intensity=1, texture=10, detail=10, checker=10, structure=1)
    values = fusion_loss(same, same, same, weights=weights).values()
    assert values == pytest.approx(dict.fromkeys(values, 0.0), abs=1e-6)


def test_total_is_the_weighted_sum_of_the_terms() -> None:
    """Each weight multiplies its own term."""
    terms = fusion_loss(image(1), image(2), image(3), weights=ALL_TERMS).values()
    expected = sum(weight * terms[name] for name, weight in asdict(ALL_TERMS).items())
    assert terms["total"] == pytest.approx(expected, rel=1e-5)


def test_a_term_that_is_off_is_not_computed() -> None:
    """The published loss has two terms and pays for two."""
    assert set(fusion_loss(image(1), image(2), image(3)).terms) == {"intensity", "texture"}


def test_published_weights_are_those_of_the_paper() -> None:
    """Intensity 1 and alpha 10, nothing else."""
    assert LossWeights(intensity=1, texture=10, detail=0, checker=0) == PUBLISHED_WEIGHTS


def test_inside_the_border_the_texture_term_is_the_published_one() -> None:
    """Away from the border the magnitude equals a convolution with both Sobel kernels."""
    plane = image()
    kernel_x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).view(1, 1, 3, 3)
    x, y = functional.conv2d(plane, kernel_x), functional.conv2d(plane, kernel_x.mT)
    torch.testing.assert_close(sobel_magnitude(plane)[..., 1:-1, 1:-1], x.abs() + y.abs())


def test_the_border_of_a_flat_image_has_no_edge() -> None:
    """Replicated borders: a bright flat image has no gradient anywhere."""
    assert not sobel_magnitude(torch.full((1, 1, 5, 7), 0.8)).any()


def test_the_published_terms_cannot_see_a_checkerboard_and_the_further_ones_can() -> None:
    """A one-pixel grid is nearly free for the published loss and dear for the checker term."""
    flat = torch.full((1, 1, 16, 16), 0.5)
    sign = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    grid = flat + 0.1 * sign
    terms = fusion_loss(grid, flat, flat, weights=ALL_TERMS).values()
    inside = sobel_magnitude(grid)[..., 1:-1, 1:-1]
    assert inside.max() == pytest.approx(0, abs=1e-6)
    assert terms["checker"] == pytest.approx(0.4, rel=1e-5)
    assert terms["detail"] == pytest.approx(0.2, rel=1e-5)


def test_a_checkerboard_of_the_scene_is_free() -> None:
    """The hinge forbids only what neither source has."""
    scene = 0.5 + 0.1 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8).view(1, 1, 16, 16)
    assert float(term("checker", scene, scene, torch.zeros_like(scene))) == 0


def test_detail_knows_the_sign_of_an_edge() -> None:
    """An inverted image has the right magnitudes and the wrong differences."""
    scene, dark = image(), torch.zeros(2, 1, 16, 16)
    inverted = fusion_loss(1 - scene, scene, dark, weights=ALL_TERMS).values()
    assert inverted["texture"] == pytest.approx(0, abs=1e-6)
    assert inverted["detail"] > 0.1


def test_detail_follows_the_source_with_the_larger_step() -> None:
    """Where infrared has the stronger edge, its edge is the target."""
    weak = torch.zeros(1, 1, 4, 4)
    weak[..., 2:] = 0.1
    strong = torch.zeros(1, 1, 4, 4)
    strong[..., 2:] = -0.6
    assert float(term("detail", strong, weak, strong)) == 0
    assert float(term("detail", weak, weak, strong)) > 0


def test_contrast_is_free_above_that_of_both_sources() -> None:
    """Only less contrast than the stronger source costs, and by how much less."""
    strong, weak = image(1), image(2) * 0.5
    assert float(term("contrast", strong, weak, strong)) == 0
    less = strong.std(dim=(1, 2, 3)) - weak.std(dim=(1, 2, 3))
    assert float(term("contrast", weak, weak, strong)) == pytest.approx(float(less.mean()), rel=1e-5)


def test_correlation_does_not_see_fine_detail() -> None:
    """A change that leaves the means of 8x8 squares alone is free."""
    visible, infrared, fused = (image(seed) for seed in (7, 8, 9))
    grid = 0.1 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    of_fused, of_grid = (float(term("correlation", x, visible, infrared)) for x in (fused, fused + grid))
    assert of_grid == pytest.approx(of_fused, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"texture": -1.0}, {"detail": float("nan")}, {"checker": float("inf")}])
def test_weights_refuse_numbers_that_make_no_sense(wrong: dict[str, float]) -> None:
    """Negative and non-finite weights are refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LossWeights(**wrong)


def test_weights_refuse_to_be_all_zero() -> None:
    """A loss without terms trains nothing."""
    with pytest.raises(ValueError, match="at least one"):
        LossWeights(intensity=0, texture=0)


def test_gradient_reaches_the_fused_image_from_every_term() -> None:
    """Each term alone moves the fused image."""
    for name in asdict(ALL_TERMS):
        fused = (image(4) * 0.6).requires_grad_()
        term(name, fused, image(5), image(6) * 0.1).backward()
        assert fused.grad is not None
        assert fused.grad.abs().sum() > 0, name
