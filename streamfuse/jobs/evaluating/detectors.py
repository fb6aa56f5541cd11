"""The detectors that are evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfuse.config.tasks import Detect, Segment, TaskBackend, Tasks
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.frames import Detection

__all__ = ["LEAST_CONFIDENCE", "LoadedDetector", "load_detector"]

Rgb = npt.NDArray[np.uint8]

LEAST_CONFIDENCE = 0.001
"""Average precision looks at all thresholds, so the detector must hardly have one; as Ultralytics does it."""


@dataclass(frozen=True, slots=True)
class LoadedDetector:
    """A network of a pipeline's task stage. Use as a context manager: it may hold a device."""

    runner: TaskRunner

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects it can find."""
        return self.runner.class_names

    def look(self, image: Rgb) -> tuple[Detection, ...]:
        """The objects in an HxWx3 uint8 RGB image, whatever is likelier than 0.001."""
        (looked,) = self.runner.run([image], pair_ids=[0])
        return looked.detections

    def close(self) -> None:
        """Give the device back."""
        self.runner.close()


def load_detector(
    weights: str, *, trust: bool = False, backend: TaskBackend = "auto", masks: bool = False
) -> LoadedDetector:
    """A detector for evaluation, of a detection or a segmentation network.

    Args:
        weights: ``default``, a name of the weights store, or a .safetensors or .pt file.
        trust: whether code in a .pt file may run.
        backend: what computes it.
        masks: whether its objects are to have masks.

    Raises:
        WeightsError: no such weights, or no network that finds objects, or none that makes the masks.
        MachineError: the machine lacks the backend.
    """
    if masks:
        segment = Segment(weights=weights, confidence=LEAST_CONFIDENCE, trust=trust)
        return LoadedDetector(TaskRunner.load(Tasks(segment=segment, backend=backend)))
    detect = Detect(weights=weights, confidence=LEAST_CONFIDENCE, trust=trust)
    return LoadedDetector(TaskRunner.load(Tasks(detect=detect, backend=backend)))
