"""What can be exported: a network with its pre- and post-processing, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from streamfuse.engine.backends.graph import build_graph
from streamfuse.engine.backends.recipe import Recipe
from streamfuse.engine.store import resolve, verify
from streamfuse.engine.tasks.graph import TaskGraph
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.places import task_weights_path
from streamfuse.engine.weights import load_network
from streamfuse.errors import UsageError
from streamfuse.nets.registry import network_spec

__all__ = ["DETECTOR", "Arrays", "Port", "Subject", "detector_subject", "fusion_subject"]

DETECTOR: Final = "detector"
"""What is said in place of a fusion model."""

Arrays = dict[str, npt.NDArray[Any]]
"""By the name of the port."""

_RGB: Final = "R, G, B, 0..255"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One input or output."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    """A word stands for any length."""
    meaning: str
    """What the numbers say, with range and order."""

    def sized(self, lengths: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with numbers in place of the words."""
        return tuple(lengths[side] if isinstance(side, str) else side for side in self.shape)

    @property
    def free(self) -> dict[int, str]:
        """The words by place."""
        return {place: side for place, side in enumerate(self.shape) if isinstance(side, str)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A network to export."""

    stem: str
    """Of the file's name."""
    graph: nn.Module
    """On the CPU, in float32; takes and gives tensors in the order of the ports."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    facts: Mapping[str, Any]
    """Of the network and its weights, for the card."""

    def example(self, lengths: Mapping[str, int]) -> Arrays:
        """Inputs with something on them: blocks of many levels, always the same."""
        random = np.random.default_rng(0)
        arrays: Arrays = {}
        for port in self.inputs:
            shape = port.sized(lengths)
            if port.dtype == "uint8":
                small = random.integers(
                    0, 256, (shape[0], *(side // 4 + 1 for side in shape[1:3]), *shape[3:])
                )
                large = small.repeat(4, axis=1).repeat(4, axis=2)
                arrays[port.name] = large[:, : shape[1], : shape[2]].astype(np.uint8)
            else:
                arrays[port.name] = np.array([16.0, 219.0], np.float32)
        return arrays

    @torch.inference_mode()
    def run(self, arrays: Arrays) -> Arrays:
        """What torch gives."""
        found = self.graph(*(torch.from_numpy(arrays[port.name]) for port in self.inputs))
        results = found if isinstance(found, tuple) else (found,)
        return {port.name: one.numpy() for port, one in zip(self.outputs, results, strict=True)}


def fusion_subject(
    model: str, weights: str, recipe: Recipe, *, batch: int | None, size_wh: tuple[int, int] | None
) -> Subject:
    """A fusion network.

    Args:
        model: as for :meth:`streamfuse.engine.fusion.FusionEngine.load`.
        weights: the same.
        recipe: what stands around the network.
        batch: None: any.
        size_wh: of the images; None: any.

    Raises:
        UsageError: there is no such model.
        WeightsError: the weights are missing, damaged or of another network.
    """
    found = resolve(weights, model=model)
    card = found.card
    network = load_network(found).float()
    width, height = size_wh or ("width", "height")
    image: tuple[int | str, ...] = (batch or "batch", height, width)
    infrared = Port(
        name="infrared", dtype="uint8", shape=image, meaning="grey, 0..255, registered to visible"
    )
    inputs: tuple[Port, ...]
    if recipe is Recipe.LUMA:
        luma = "luma in the range that levels says"
        levels = Port(
            name="levels",
            dtype="float32",
            shape=(2,),
            meaning="code of black, codes from there to white: 0, 255 (full range) or 16, 219 (limited)",
        )
        inputs = (Port(name="visible", dtype="uint8", shape=image, meaning=luma), infrared, levels)
        fused = Port(name="fused", dtype="uint8", shape=image, meaning=luma)
    else:
        inputs = (Port(name="visible", dtype="uint8", shape=(*image, 3), meaning=_RGB), infrared)
        fused = Port(name="fused", dtype="uint8", shape=(*image, 3), meaning=_RGB)
    return Subject(
        stem=f"{card.name}-{recipe}",
        graph=build_graph(recipe, network),
        inputs=inputs,
        outputs=(fused,),
        facts={
            "network": card.architecture,
            "recipe": str(recipe),
            "halo_px": network_spec(card.architecture).halo_px,
            "weights": _weights(card.name, card.sha256, licence=card.licence, data=card.data),
        },
    )


def detector_subject(weights: str, *, batch: int | None, size_wh: tuple[int, int] | None) -> Subject:
    """A YOLO network, up to its raw predictions.

    Args:
        weights: ``default``, a name of the store, or a path ending in ``.safetensors`` or ``.pt``.
        batch: None: 1.
        size_wh: of the images; None: a square of the side that it was trained with.

    Raises:
        UsageError: a side is no multiple of the stride.
        WeightsError: see :func:`streamfuse.engine.tasks.networks.load_task_network`.
    """
    network = load_task_network(weights, kind="detect", where="--weights")
    masks = network.kind == "segment"
    graph = TaskGraph(network, masks=masks)
    width, height = size_wh or (graph.side_px, graph.side_px)
    if width % graph.stride or height % graph.stride:
        raise UsageError(
            f"--size must be multiples of {graph.stride} for this network, got {width}x{height}; "
            "images are scaled into it and filled up with grey 114"
        )
    image = Port(name="images", dtype="uint8", shape=(batch or 1, height, width, 3), meaning=_RGB)
    with torch.inference_mode():
        blank = torch.zeros(image.sized({}), dtype=torch.uint8)
        shapes = [tuple(one.shape) for one in graph(blank)]
    meanings = (
        "of every anchor: x, y, x, y in pixels, score, class number, coefficients of masks"
        if graph.is_end_to_end
        else "of every anchor: centre x, y, width, height in pixels, a score for each class, coefficients of "
        "masks; overlaps are still there",
        "masks are the coefficients times these, above 0",
    )
    names = ("predictions", "prototypes")
    outputs = tuple(
        Port(name=name, dtype="float32", shape=shape, meaning=meaning)
        for name, shape, meaning in zip(names, shapes, meanings, strict=False)
    )
    path = task_weights_path(weights)
    return Subject(
        stem=Path(network.title).stem,
        graph=graph,
        inputs=(image,),
        outputs=outputs,
        facts={
            "network": network.kind,
            "classes": [network.names[number] for number in sorted(network.names)],
            "weights": _weights(Path(network.title).stem, network.sha256, **_of_card(path)),
        },
    )


def _of_card(path: Path) -> dict[str, str]:
    if path.suffix == ".safetensors":
        card = verify(path).card
        return {"licence": card.licence, "data": card.data}
    return {"licence": "unknown: ask who made the file", "data": "unknown"}


def _weights(name: str, sha256: str, *, licence: str, data: str) -> dict[str, str]:
    return {"name": name, "sha256": sha256, "licence": licence, "data": data}
