"""The register of networks: names, facts and the errors of a wrong name."""

from __future__ import annotations

import pytest
import torch

from streamfuse.errors import UsageError
from streamfuse.nets.grdb import HALO_PX
from streamfuse.nets.grdb_edge import EDGE_HALO_PX
from streamfuse.nets.registry import NetworkSpec, build, network_names, network_spec


@pytest.mark.parametrize("name", network_names())
def test_every_network_can_be_built_and_run_as_its_spec_says(name: str) -> None:
    """A network takes images of its smallest side and channels, and keeps their size."""
    spec = network_spec(name)
    side = -(-max(spec.min_side_px, 8) // spec.size_multiple) * spec.size_multiple
    visible = torch.rand(1, spec.visible_channels, side, side)
    infrared = torch.rand(1, spec.infrared_channels, side, side)
    with torch.inference_mode():
        fused = build(name)(visible, infrared)
    assert fused.shape[-2:] == (side, side)


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    """A typing slip names the network that was meant."""
    with pytest.raises(UsageError, match=r"'gdrb', known are: grdb, grdb-edge, .*; did you mean 'grdb'\?"):
        build("gdrb")


@pytest.mark.parametrize(
    "wrong",
    [
        {"visible_channels": 2},
        {"size_multiple": 0},
        {"min_side_px": 0},
        {"halo_px": -1},
        {"grid_px": 0},
        {"cpu_tile_px": 0},
    ],
)
def test_a_spec_refuses_numbers_that_make_no_sense(wrong: dict[str, int]) -> None:
    """Each impossible number raises an error that shows it."""
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        NetworkSpec(name="x", build=torch.nn.Identity, **wrong)


def test_the_halo_in_the_register_is_that_of_the_network() -> None:
    """It stands there as a number, so that nobody loads torch to read it."""
    assert network_spec("grdb").halo_px == HALO_PX
    assert network_spec("grdb-edge").halo_px == EDGE_HALO_PX
