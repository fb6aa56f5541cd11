"""Detection and segmentation on fused images with Ultralytics YOLO. The only file that knows Ultralytics.

Weights are files the user names: nothing is ever downloaded, installed or reported home. They are read
in Ultralytics' safe mode, which rebuilds known network classes and runs no code from the file.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

from streamfuse.config.pipeline import Task, Tasks
from streamfuse.core.masks import encode_mask
from streamfuse.errors import WeightsError
from streamfuse.frames import Detection

__all__ = ["TaskRunner"]

Rgb = npt.NDArray[np.uint8]

_ENVIRONMENT: Final = {
    "ULTRALYTICS_SAFE_LOAD": "true",  # weights_only
    "YOLO_AUTOINSTALL": "false",  # no pip at run time
    "YOLO_OFFLINE": "true",  # no downloads, no update check, no analytics
    "YOLO_VERBOSE": "false",
}
"""Read by Ultralytics when it is imported."""

_OPENMP: Final = "OMP_NUM_THREADS"

_UNREADABLE: Final = (
    *(AttributeError, EOFError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError),
    pickle.UnpicklingError,
)
"""What comes of a file that is no YOLO network depends on what it is instead."""

_WARM_UP: Final = np.zeros((64, 64, 3), np.uint8)


class TaskRunner:
    """The task networks of a pipeline, loaded and warm.

    One instance belongs to one thread at a time: the networks keep state while they run.
    """

    def __init__(self, networks: Sequence[_Network]) -> None:
        self._networks = tuple(networks)

    @classmethod
    def load(cls, tasks: Tasks) -> TaskRunner:
        """Load the networks that a pipeline asks for, onto CUDA where there is a GPU, else the CPU.

        Raises:
            WeightsError: a file is missing, is not a YOLO network, or is one of another task.
        """
        wanted = {"detect": tasks.detect, "segment": tasks.segment}
        return cls([_load(kind, task) for kind, task in wanted.items() if task is not None])

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects that the networks can find."""
        return frozenset(name for network in self._networks for name in network.model.names.values())

    def looks_at(self, pair_id: int) -> bool:
        """Whether any network runs on this pair, or all leave it out."""
        return any(pair_id % network.every == 0 for network in self._networks)

    def set_confidence(self, tasks: Tasks) -> None:
        """From the next call of :meth:`run` on use these confidences; the networks stay what they are."""
        wanted = {"detect": tasks.detect, "segment": tasks.segment}
        confidences = {kind: task.confidence for kind, task in wanted.items() if task is not None}
        self._networks = tuple(
            replace(network, confidence=confidences.get(network.kind, network.confidence))
            for network in self._networks
        )

    def run(self, images: Sequence[Rgb], *, pair_ids: Sequence[int]) -> list[tuple[Detection, ...]]:
        """What is in each image, the objects of all tasks one after the other.

        A task with ``every: n`` looks at the pairs whose number is a multiple of n; the others carry
        none of its objects.

        Args:
            images: HxWx3 uint8 in the order R, G, B; any sizes.
            pair_ids: running number of the pair of each image.
        """
        found: list[tuple[Detection, ...]] = [() for _ in images]
        for network in self._networks:
            due = [index for index, pair_id in enumerate(pair_ids) if pair_id % network.every == 0]
            if due:
                for index, detections in zip(due, network.run([images[i] for i in due]), strict=True):
                    found[index] += detections
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """One YOLO network with the settings of its task."""

    kind: str
    """``detect`` or ``segment``."""
    model: Any
    device: torch.device
    confidence: float
    every: int

    def run(self, images: Sequence[Rgb]) -> list[tuple[Detection, ...]]:
        """The objects of each image, best first."""
        results = self.model.predict(
            [np.ascontiguousarray(image[..., ::-1]) for image in images],  # it takes B, G, R
            conf=self.confidence,
            device=self.device,
            retina_masks=True,  # masks of the image's size, not of the network's
            verbose=False,
        )
        return [_detections(result) for result in results]


def _detections(result: Any) -> tuple[Detection, ...]:
    boxes = result.boxes.data.cpu().numpy().astype(float)
    masks = [None] * len(boxes) if result.masks is None else result.masks.data.bool().cpu().numpy()
    return tuple(
        Detection(
            box_xyxy=(left, top, right, bottom),
            class_id=int(class_id),
            class_name=result.names[int(class_id)],
            confidence=confidence,
            mask_rle=None if mask is None else encode_mask(mask),
        )
        for (left, top, right, bottom, confidence, class_id), mask in zip(boxes.tolist(), masks, strict=True)
    )


def _load(kind: str, task: Task) -> _Network:
    where = f"tasks.{kind}.weights: {task.weights}"
    if not Path(task.weights).is_file():
        raise WeightsError(f"{where}: no such file; nothing is downloaded, put the weights there yourself")
    with _other_libraries_unchanged():
        try:
            model = _read(task.weights)
        except _UNREADABLE as error:
            raise WeightsError(
                f"{where}: not a YOLO network; expected a .pt file of the ultralytics package "
                "(yolov5u, yolov8 or later)"
            ) from error
        if model.task != kind:
            raise WeightsError(f"{where}: made for the task {model.task}; expected weights for {kind}")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = _Network(
            kind=kind, model=model, device=device, confidence=task.confidence, every=task.every
        )
        network.run([_WARM_UP])
    return network


def _read(path: str) -> Any:
    """Read a network under a name of our own.

    Ultralytics rewrites some names (``yolov5n.pt``, any with a quote) and downloads what it then
    does not find, even when told to stay offline.
    """
    with tempfile.TemporaryDirectory(prefix="streamfuse-") as folder:
        link = Path(folder) / "weights.pt"
        link.symlink_to(path)
        return _yolo()(link)


def _yolo() -> Any:
    """Import Ultralytics, which then goes without network and keeps its settings in our cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamfuse"
    os.environ.update(_ENVIRONMENT, YOLO_CONFIG_DIR=str(cache))
    from ultralytics import YOLO  # type: ignore[attr-defined]  # noqa: PLC0415 - reads the environment above

    return YOLO


@contextmanager
def _other_libraries_unchanged() -> Iterator[None]:
    """Undo what Ultralytics does to the whole process: one thread for OpenCV, torch and all of OpenMP."""
    opencv, torch_threads, openmp = cv2.getNumThreads(), torch.get_num_threads(), os.environ.get(_OPENMP)
    try:
        yield
    finally:
        cv2.setNumThreads(opencv)
        torch.set_num_threads(torch_threads)
        if openmp is None:
            os.environ.pop(_OPENMP, None)
