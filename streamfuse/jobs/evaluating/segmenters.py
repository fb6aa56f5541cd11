"""The networks whose label maps are evaluated: instance segmentation, or a class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from streamfuse.config.tasks import Segment, TaskBackend, Tasks
from streamfuse.core.masks import decode_mask
from streamfuse.engine.store import locate, verify
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.engine.tasks.semantic import ARCHITECTURE, SemanticNetwork, load_semantic_network
from streamfuse.frames import Detection
from streamfuse.jobs.evaluating.segmentation import Segmenter

__all__ = ["InstanceSegmenter", "SemanticSegmenter", "label_map", "load_segmenter"]

Rgb = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class InstanceSegmenter:
    """A YOLO network with masks: where two objects overlap the surer one is seen."""

    runner: TaskRunner

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects it can find."""
        return self.runner.class_names

    def label(self, image: Rgb, classes: Sequence[str]) -> Labels:
        """HxW uint8 places in ``classes``, 0 where nothing was found."""
        (looked,) = self.runner.run([image], pair_ids=[0])
        return label_map(looked.detections, classes, size_wh=(image.shape[1], image.shape[0]))


@dataclass(frozen=True, slots=True)
class SemanticSegmenter:
    """The segmentation network of a joint training."""

    network: SemanticNetwork

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all that it can find, but the background."""
        return frozenset(self.network.names[1:])

    def label(self, image: Rgb, classes: Sequence[str]) -> Labels:
        """HxW uint8 places in ``classes``, 0 for the background and for classes that are not asked for."""
        places = [0] + [classes.index(name) if name in classes else 0 for name in self.network.names[1:]]
        rgb = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255.0
        labels: Labels = self.network.labels(rgb)[0].numpy()
        return np.array(places, np.uint8)[labels]


def label_map(detections: Sequence[Detection], classes: Sequence[str], *, size_wh: tuple[int, int]) -> Labels:
    """The masks of objects as one map: HxW uint8 places in ``classes``, 0 where there is none of them."""
    width, height = size_wh
    labels = np.zeros((height, width), np.uint8)
    for one in sorted(detections, key=lambda one: one.confidence):
        if one.mask_rle is not None and one.class_name in classes:
            labels[decode_mask(one.mask_rle, size_wh)] = classes.index(one.class_name)
    return labels


def load_segmenter(
    weights: str, *, confidence: float = 0.25, trust: bool = False, backend: TaskBackend = "auto"
) -> Segmenter:
    """A network that makes label maps.

    Args:
        weights: ``default``, a name of the weights store, or a .safetensors or .pt file.
        confidence: objects of an instance segmentation that are less likely are left out.
        trust: whether code in a .pt file may run.
        backend: what computes an instance segmentation.

    Raises:
        WeightsError: no such weights, or none that segment.
        MachineError: the machine lacks the backend.
    """
    if weights != "default" and not weights.endswith(".pt"):
        card = verify(locate(weights, default="")).card
        if card.architecture == ARCHITECTURE:
            return SemanticSegmenter(load_semantic_network(weights, where="--weights"))
    segment = Segment(weights=weights, confidence=confidence, trust=trust)
    return InstanceSegmenter(TaskRunner.load(Tasks(segment=segment, backend=backend)))
