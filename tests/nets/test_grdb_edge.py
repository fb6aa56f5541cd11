"""The half-resolution network: its size, its reach, and how it mixes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamfuse.nets.grdb_edge import EDGE_HALO_PX, GrdbEdgeFusion


@pytest.fixture
def network() -> GrdbEdgeFusion:
    """A network with fresh weights that do not depend on the order of tests."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GrdbEdgeFusion().eval()


def planes(*size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A random pair, (1, 1, *size) each."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 1, *size, generator=generator), torch.rand(1, 1, *size, generator=generator)


def test_size_of_the_network() -> None:
    """As many parameters as GRDB, give or take the ends; fewer without the gradient branches."""
    counts = [sum(p.numel() for p in GrdbEdgeFusion(gradient=on).parameters()) for on in (True, False)]
    assert counts == [168_536, 162_552]


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (8, 11), (1, 1), (33, 35)])
def test_any_size_comes_back(network: GrdbEdgeFusion, size: tuple[int, int]) -> None:
    """Odd sides are padded inside and cut again."""
    with torch.inference_mode():
        assert network(*planes(*size)).shape == (1, 1, *size)


def test_an_odd_image_equals_the_repeated_one(network: GrdbEdgeFusion) -> None:
    """Padding repeats the last row, nothing else changes."""
    visible, infrared = planes(9, 8)
    with torch.inference_mode():
        repeated = network(*(torch.cat((x, x[..., -1:, :]), dim=-2) for x in (visible, infrared)))
        torch.testing.assert_close(network(visible, infrared), repeated[..., :9, :])


def test_a_pixel_sees_as_far_as_the_halo_says_and_no_further(network: GrdbEdgeFusion) -> None:
    """The gradient of an output pixel ends exactly at the halo, on the side of its block that is longer."""
    visible, infrared = planes(64, 64)
    visible.requires_grad_()
    network(visible, infrared)[0, 0, 32, 33].backward()
    assert visible.grad is not None
    reached = visible.grad[0, 0].nonzero()
    assert int(reached[:, 0].max()) - 32 == EDGE_HALO_PX
    assert 33 - int(reached[:, 1].min()) == EDGE_HALO_PX
    assert int((reached - torch.tensor([32, 33])).abs().max()) == EDGE_HALO_PX


def test_without_a_correction_the_result_lies_between_its_sources(network: GrdbEdgeFusion) -> None:
    """The head mixes: with the corrections at zero no pixel leaves the range of the two sources."""
    with torch.no_grad():
        network.head.weight[4:] = 0
        network.head.bias[4:] = 0
    visible, infrared = planes(16, 16, seed=1)
    with torch.inference_mode():
        fused = network(visible, infrared)
    assert bool((fused >= torch.minimum(visible, infrared) - 1e-6).all())
    assert bool((fused <= torch.maximum(visible, infrared) + 1e-6).all())


def test_the_same_image_twice_stays_itself_up_to_the_correction(network: GrdbEdgeFusion) -> None:
    """Weights cannot change what both sources agree on."""
    with torch.no_grad():
        network.head.weight[4:] = 0
        network.head.bias[4:] = 0
    visible, _ = planes(16, 16, seed=2)
    with torch.inference_mode():
        torch.testing.assert_close(network(visible, visible), visible)
