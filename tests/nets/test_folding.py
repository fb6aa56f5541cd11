"""The form for runtimes says what the network says."""

from __future__ import annotations

import pytest
import torch

from streamfuse.nets.folding import without_concatenations
from streamfuse.nets.registry import build, network_names


@pytest.mark.parametrize("name", network_names())
def test_it_computes_the_same(name: str) -> None:
    """In float32 the difference is a rounding, 100 dB below the picture; the network stays as it was."""
    torch.manual_seed(0)
    network = build(name).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    visible, infrared = torch.rand(2, 2, 1, 33, 46).unbind()
    with torch.inference_mode():
        expected, got = network(visible, infrared), without_concatenations(network)(visible, infrared)
    assert torch.mean((got - expected) ** 2) < 1e-10
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_nothing_is_concatenated_in_a_block() -> None:
    """Of the five concatenations of GRDB the one of both streams is left."""
    visible, infrared = torch.rand(2, 1, 1, 16, 16).unbind()
    counts = []
    for network in (build("grdb").eval(), without_concatenations(build("grdb"))):
        with torch.profiler.profile() as profile, torch.inference_mode():
            network(visible, infrared)
        counts.append(sum(event.count for event in profile.key_averages() if event.key == "aten::cat"))
    assert counts == [9, 1]
