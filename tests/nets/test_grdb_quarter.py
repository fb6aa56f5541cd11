"""The quarter-resolution network: its size, its reach, and how it mixes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.nets.grdb_quarter import QUARTER_HALO_PX, GrdbQuarterFusion
from streamfuse.nets.registry import network_spec

BLOCK_PX = 4


@pytest.fixture
def network() -> GrdbQuarterFusion:
    """A network with fresh weights that do not depend on the order of tests."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GrdbQuarterFusion().eval()


@pytest.fixture
def mixing(network: GrdbQuarterFusion) -> GrdbQuarterFusion:
    """The same without corrections: all of its output is mixed from the sources."""
    assert network.head.bias is not None
    with torch.no_grad():
        network.head.weight[BLOCK_PX**2 :] = 0
        network.head.bias[BLOCK_PX**2 :] = 0
    return network


def planes(*size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A random pair, (1, 1, *size) each."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 1, *size, generator=generator), torch.rand(1, 1, *size, generator=generator)


def test_size_of_the_network(network: GrdbQuarterFusion) -> None:
    """Somewhat more parameters than GRDB, at a sixteenth of the positions."""
    assert sum(p.numel() for p in network.parameters()) == 190_368


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (8, 11), (1, 1), (2, 3), (33, 35)])
def test_any_size_comes_back(network: GrdbQuarterFusion, size: tuple[int, int]) -> None:
    """Sides that are no multiple of the block are padded inside and cut again."""
    with torch.inference_mode():
        assert network(*planes(*size)).shape == (1, 1, *size)


@pytest.mark.parametrize("rows", [9, 10, 11])
def test_an_image_without_whole_blocks_equals_the_repeated_one(network: GrdbQuarterFusion, rows: int) -> None:
    """Padding repeats the last row, nothing else changes."""
    visible, infrared = planes(rows, 8)
    missing = -rows % BLOCK_PX
    with torch.inference_mode():
        repeated = network(
            *(torch.cat((x, x[..., -1:, :].expand(-1, -1, missing, -1)), dim=-2) for x in (visible, infrared))
        )
        torch.testing.assert_close(network(visible, infrared), repeated[..., :rows, :])


@pytest.mark.parametrize("stream", [0, 1])
def test_a_pixel_sees_as_far_as_the_halo_says_and_no_further(network: GrdbQuarterFusion, stream: int) -> None:
    """The gradient of an output pixel ends exactly at the halo, on the side of its block that is longer."""
    pair = planes(96, 96)
    pair[stream].requires_grad_()
    network(*pair)[0, 0, 48, 51].backward()  # the first row and the last column of a block
    gradient = pair[stream].grad
    assert gradient is not None
    reached = gradient[0, 0].nonzero()
    assert int(reached[:, 0].max()) - 48 == QUARTER_HALO_PX
    assert 51 - int(reached[:, 1].min()) == QUARTER_HALO_PX
    assert int((reached - torch.tensor([48, 51])).abs().max()) == QUARTER_HALO_PX


def test_the_register_knows_halo_and_blocks() -> None:
    """The register names them again, because it must not load torch."""
    spec = network_spec("grdb-quarter")
    assert (spec.halo_px, spec.grid_px) == (QUARTER_HALO_PX, BLOCK_PX)


def test_a_tile_on_the_grid_with_a_halo_equals_the_whole(network: GrdbQuarterFusion) -> None:
    """Cut at a whole block, the inside of a tile is what the whole image has there."""
    visible, infrared = planes(40, 128, seed=3)
    with torch.inference_mode():
        whole = network(visible, infrared)
        tile = network(visible[..., 32:], infrared[..., 32:])
    torch.testing.assert_close(tile[..., QUARTER_HALO_PX:], whole[..., 32 + QUARTER_HALO_PX :])


def test_without_a_correction_the_result_lies_between_its_sources(mixing: GrdbQuarterFusion) -> None:
    """No pixel leaves the range of the two sources."""
    visible, infrared = planes(16, 16, seed=1)
    with torch.inference_mode():
        fused = mixing(visible, infrared)
    assert bool((fused >= torch.minimum(visible, infrared) - 1e-6).all())
    assert bool((fused <= torch.maximum(visible, infrared) + 1e-6).all())


def test_the_same_image_twice_stays_itself_up_to_the_correction(mixing: GrdbQuarterFusion) -> None:
    """Weights cannot change what both sources agree on, wherever in its block a pixel lies."""
    visible, _ = planes(15, 17, seed=2)
    with torch.inference_mode():
        torch.testing.assert_close(mixing(visible, visible), visible)


@pytest.mark.parametrize("name", ["grdb-quarter", "grdb-quarter-fine", "default"])
def test_shipped_weights_draw_no_grid_of_blocks(name: str) -> None:
    """They load as this network; where both sources are flat, so is the result, to a quarter of a level."""
    network = load_network(resolve(name, model="grdb-quarter"))
    assert isinstance(network, GrdbQuarterFusion)
    level = torch.full((1, 1, 96, 96), 0.5)
    inside = slice(QUARTER_HALO_PX + 1, -QUARTER_HALO_PX - 1)
    with torch.inference_mode():
        fused = network(level, level)[..., inside, inside]
    assert float(fused.max() - fused.min()) < 0.25 / 255
