"""The networks by name, with what the engine must know to feed them.

A further network joins by adding one :class:`NetworkSpec` to ``_NETWORKS``; engine, weights store and
configuration read everything else from there. Networks that answer the same wish are a family: who asks
for ``grdb`` is content with weights of any network of that family, and the weights say which it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from streamfuse.errors import UsageError

if TYPE_CHECKING:  # torch takes seconds to load: only who builds a network waits for it
    from torch import nn

__all__ = ["NetworkSpec", "build", "network_names", "network_spec", "serves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A fusion network: how to build it and what images it takes.

    ``build()`` gives a module with fresh weights and ``forward(visible, infrared) -> fused``, all
    (B, C, H, W) floating point in 0..1.

    Raises:
        ValueError: a number that makes no sense.
    """

    name: str
    build: Callable[[], nn.Module]
    family: str = ""
    """Model that weights of this network also serve; its own name when empty."""
    visible_channels: int = 1
    """1 = luma, 3 = RGB."""
    infrared_channels: int = 1
    size_multiple: int = 1
    """Width and height must be multiples of this; the engine pads and crops."""
    min_side_px: int = 1
    halo_px: int | None = None
    """Border that makes a tile equal to the full frame; None when the network looks at the whole frame."""
    grid_px: int = 1
    """Side of the blocks that the network works on; it repeats the last pixel to fill those at the end."""
    cpu_tile_px: int = 200_000
    """Pixels of the largest tile that a processor computes without waiting for its memory, measured."""

    def __post_init__(self) -> None:
        if self.visible_channels not in {1, 3} or self.infrared_channels not in {1, 3}:
            raise ValueError(
                f"channels must be 1 or 3, got {self.visible_channels} and {self.infrared_channels}"
            )
        if min(self.size_multiple, self.min_side_px, self.grid_px, self.cpu_tile_px) < 1:
            raise ValueError(
                f"sizes must be at least 1, got {self.size_multiple}, {self.min_side_px}, {self.grid_px} and "
                f"{self.cpu_tile_px}"
            )
        if self.halo_px is not None and self.halo_px < 0:
            raise ValueError(f"halo_px must not be negative, got {self.halo_px}")


def _grdb() -> nn.Module:
    from streamfuse.nets.grdb import GrdbFusion  # noqa: PLC0415 - loads torch

    return GrdbFusion()


def _grdb_edge(*, gradient: bool = True) -> nn.Module:
    from streamfuse.nets.grdb_edge import GrdbEdgeFusion  # noqa: PLC0415 - loads torch

    return GrdbEdgeFusion(gradient=gradient)


def _grdb_quarter() -> nn.Module:
    from streamfuse.nets.grdb_quarter import GrdbQuarterFusion  # noqa: PLC0415 - loads torch

    return GrdbQuarterFusion()


_NETWORKS: Mapping[str, NetworkSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            NetworkSpec(name="grdb", build=_grdb, halo_px=9, cpu_tile_px=50_000),
            NetworkSpec(name="grdb-edge", build=_grdb_edge, family="grdb", halo_px=19, grid_px=2),
            NetworkSpec(
                name="grdb-quarter",
                build=_grdb_quarter,
                family="grdb",
                halo_px=31,
                grid_px=4,
                cpu_tile_px=1_000_000,
            ),
            # For the ablation alone: what the gradient branch is worth.
            NetworkSpec(
                name="grdb-edge-dense", build=partial(_grdb_edge, gradient=False), halo_px=19, grid_px=2
            ),
        )
    }
)


def network_names() -> tuple[str, ...]:
    """Names of all networks, sorted."""
    return tuple(sorted(_NETWORKS))


def network_spec(name: str) -> NetworkSpec:
    """What is known of one network.

    Raises:
        UsageError: there is no network of this name.
    """
    if name in _NETWORKS:
        return _NETWORKS[name]
    known = ", ".join(network_names())
    nearest = difflib.get_close_matches(name, _NETWORKS, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise UsageError(f"no fusion model is called {name!r}, known are: {known}{hint}")


def serves(name: str, model: str) -> bool:
    """Whether weights of the network ``name`` may run where ``model`` was asked for."""
    return model in {name, network_spec(name).family}


def build(name: str) -> nn.Module:
    """A network with fresh weights.

    Raises:
        UsageError: there is no network of this name.
    """
    return network_spec(name).build()
