"""Semantic segmentation at work: the classes of every pixel, on the backends of the other task networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor, nn

from streamfuse.config.tasks import Semantic
from streamfuse.engine.tasks.backends.base import Pixels, TaskBackend
from streamfuse.engine.tasks.backends.choosing import open_task_backend
from streamfuse.engine.tasks.semantic import SemanticNetwork, areas_of, load_semantic_network
from streamfuse.frames import ClassArea

__all__ = ["PixelLooker", "open_pixel_looker"]


class PixelLooker:
    """A semantic segmentation network with the settings of its task."""

    def __init__(self, backend: TaskBackend, *, names: Sequence[str], every: int) -> None:
        self.backend = backend
        self._names = tuple(names)
        self._every = every

    def looks_at(self, pair_id: int) -> bool:
        """Whether it looks at this pair."""
        return pair_id % self._every == 0

    def run(self, images: Sequence[Pixels]) -> Iterator[tuple[ClassArea, ...]]:
        """The areas of each HxWx3 image; all of one size."""
        for raw in self.backend.run(images):
            found = raw.predictions
            for labels in found if isinstance(found, np.ndarray) else found.cpu().numpy():
                yield areas_of(labels, self._names)


def open_pixel_looker(task: Semantic, *, backend: str) -> PixelLooker:
    """Load the network of ``tasks.semantic``.

    Raises:
        WeightsError: see :func:`streamfuse.engine.tasks.semantic.load_semantic_network`.
        MachineError: the backend does not work here.
    """
    network = load_semantic_network(task.weights, where="tasks.semantic.weights")
    opened = open_task_backend(backend, lambda: _LabelGraph(network), content=f"{network.sha256} labels")
    return PixelLooker(opened, names=network.names, every=task.every)


class _LabelGraph(nn.Module):
    """Bytes in, class ids out."""

    def __init__(self, network: SemanticNetwork) -> None:
        super().__init__()
        self.module = network.module

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(B, H, W, 3) uint8 RGB to (B, H, W) uint8."""
        dtype = next(self.module.parameters()).dtype
        scores, _ = self.module(images.permute(0, 3, 1, 2).to(dtype) / 255.0)
        return (scores.argmax(dim=1).byte(),)
