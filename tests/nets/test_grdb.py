"""The GRDB network: its size, what a pixel sees, and that tiles join."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamfuse.nets.grdb import HALO_PX, GradientMagnitude, GrdbFusion


@pytest.fixture(scope="module")
def network() -> GrdbFusion:
    """A network with fixed random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return GrdbFusion().eval()


def planes(height: int, width: int, *, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random visible luma and infrared."""
    generator = torch.Generator().manual_seed(seed)
    both = torch.rand(2, batch, 1, height, width, generator=generator)
    return both[0], both[1]


def test_has_the_published_number_of_parameters_without_the_unused_normalisations() -> None:
    """166,883 values are published; 226 of them belong to batch normalisations that are never called."""
    assert sum(parameter.numel() for parameter in GrdbFusion().parameters()) == 166_883 - 226


def test_gradient_kernels_start_as_sobel_and_are_trained() -> None:
    """A fresh gradient layer answers a ramp as Sobel does, and its kernels are parameters."""
    layer = GradientMagnitude(2)
    ramp = torch.arange(6.0).expand(1, 2, 5, 6)
    assert torch.equal(layer(ramp)[..., 1:-1, 1:-1], torch.full((1, 2, 3, 4), 8.0))
    assert torch.equal(layer(ramp.mT)[..., 1:-1, 1:-1], torch.full((1, 2, 4, 3), 8.0))
    assert all(parameter.requires_grad for parameter in layer.parameters())


@pytest.mark.parametrize("stream", [0, 1], ids=["visible", "infrared"])
def test_a_pixel_sees_nineteen_by_nineteen_pixels(network: GrdbFusion, stream: int) -> None:
    """The derivative of one output pixel is non-zero in a square of 19 input pixels and nowhere else."""
    inputs = [plane.requires_grad_() for plane in planes(41, 41)]
    network(*inputs)[0, 0, 20, 20].backward()
    gradient = inputs[stream].grad
    assert gradient is not None
    rows, columns = gradient[0, 0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max()) == (20 - HALO_PX, 20 + HALO_PX)
    assert (columns.min(), columns.max()) == (20 - HALO_PX, 20 + HALO_PX)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (37, 51)])
def test_tiles_with_a_halo_join_to_the_full_frame(network: GrdbFusion, height: int, width: int) -> None:
    """Each quarter, computed with nine more pixels, equals the same quarter of the full frame."""
    inputs = planes(height, width)
    with torch.inference_mode():
        full = network(*inputs)
        for rows in (slice(0, height // 2), slice(height // 2, height)):
            for columns in (slice(0, width // 2), slice(width // 2, width)):
                top, left = max(0, rows.start - HALO_PX), max(0, columns.start - HALO_PX)
                window = (..., slice(top, rows.stop + HALO_PX), slice(left, columns.stop + HALO_PX))
                tile = network(*(plane[window] for plane in inputs))
                inside = tile[
                    ..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
                ]
                torch.testing.assert_close(inside, full[..., rows, columns], atol=1e-6, rtol=0)


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 24), width=st.integers(1, 24), batch=st.integers(1, 3))
def test_takes_any_size_and_answers_within_zero_and_one(height: int, width: int, batch: int) -> None:
    """Any image from one pixel up comes out in its own size, between 0 and 1."""
    inputs = planes(height, width, batch=batch, seed=height)
    with torch.inference_mode():
        fused = GrdbFusion()(*inputs)
    assert fused.shape == (batch, 1, height, width)
    assert 0 < fused.min() <= fused.max() < 1


def test_pairs_of_a_batch_do_not_touch_each_other(network: GrdbFusion) -> None:
    """A pair gives the same image alone and in a batch."""
    visible, infrared = planes(20, 20, batch=3)
    with torch.inference_mode():
        together = network(visible, infrared)
        alone = network(visible[1:2], infrared[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=0)
