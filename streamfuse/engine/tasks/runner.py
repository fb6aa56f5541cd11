"""The task networks of a pipeline: what they find in the fused images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from streamfuse.config.tasks import Task, Tasks
from streamfuse.engine.tasks.backends.base import Pixels, TaskBackend
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.looker import Looker, Wanted, open_looker
from streamfuse.engine.tasks.places import task_weights_path
from streamfuse.engine.tasks.results import Found
from streamfuse.frames import ClassArea, Detection

if TYPE_CHECKING:  # with torch, which takes seconds to load
    from streamfuse.engine.tasks.pixels import PixelLooker

__all__ = ["Looked", "TaskRunner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the task networks say of one image."""

    detections: tuple[Detection, ...] = ()
    """Of each task the surest first, the tasks one after the other."""
    areas: tuple[ClassArea, ...] = ()
    """Of the semantic segmentation."""
    looked: bool = False
    """Whether any network looked for objects; else there may be some (``every``)."""
    left_out: int = 0
    """Objects beyond the ``most`` of their tasks."""
    faint: tuple[Detection, ...] = ()
    """With ``track``: what is less sure than asked for, but may be an object that is followed already."""


class TaskRunner:
    """The task networks of a pipeline, loaded. One instance belongs to one thread at a time.

    Tasks with the same weights share one network. See :class:`streamfuse.engine.tasks.looker.Looker`
    for what each of them then reports.
    """

    def __init__(self, lookers: Sequence[Looker], pixels: PixelLooker | None = None) -> None:
        self._lookers = tuple(lookers)
        self._pixels = pixels

    @classmethod
    def load(cls, tasks: Tasks) -> TaskRunner:
        """Load the networks that a pipeline asks for.

        Raises:
            WeightsError: a file is missing, holds no task network, or one of another task.
            UsageError: a task wants classes that its network does not know.
            MachineError: the backend that is asked for does not work here.
        """
        shared: defaultdict[Path, list[Wanted]] = defaultdict(list)
        for wanted in _wanted(tasks):
            shared[task_weights_path(wanted.task.weights)].append(wanted)
        lookers = [open_looker(group, backend=tasks.backend) for group in shared.values()]
        if tasks.semantic is None:
            return cls(lookers)
        from streamfuse.engine.tasks.pixels import open_pixel_looker  # noqa: PLC0415 - torch, for this alone

        return cls(lookers, open_pixel_looker(tasks.semantic, backend=tasks.backend))

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects that the networks report."""
        return frozenset().union(*(looker.class_names for looker in self._lookers))

    @property
    def backend(self) -> str:
        """What runs the networks; empty without one."""
        return next((backend.name for backend in self._backends), "")

    @property
    def device(self) -> str:
        """The hardware it runs on, in words; empty without a network."""
        return next((backend.device for backend in self._backends), "")

    @property
    def takes_tensors(self) -> bool:
        """Whether images may be tensors that lie on its device already."""
        return bool(self._backends) and all(backend.takes_tensors for backend in self._backends)

    def looks_at(self, pair_id: int) -> bool:
        """Whether any network looks for objects in this pair, or all leave it out."""
        return any(looker.looks_at(pair_id) for looker in self._lookers)

    def set_confidence(self, tasks: Tasks) -> None:
        """From the next call of :meth:`run` on use these confidences; the networks stay what they are."""
        confidences = {wanted.where: wanted.task.confidence for wanted in _wanted(tasks)}
        for looker in self._lookers:
            looker.set_confidences(confidences)

    def warm_up(self, size_wh: tuple[int, int]) -> None:
        """Do now what the first image of this size would otherwise wait for."""
        width, height = size_wh
        self.run([np.zeros((height, width, 3), np.uint8)], pair_ids=[0])

    def run(self, images: Sequence[Pixels], *, pair_ids: Sequence[int]) -> list[Looked]:
        """What is in each image.

        A task with ``every: n`` looks at the pairs whose number is a multiple of n.

        Args:
            images: HxWx3 uint8 in the order R, G, B; any sizes. Tensors where :attr:`takes_tensors`.
            pair_ids: running number of the pair of each image.

        Raises:
            MachineError: the device failed.
        """
        looked = [Looked() for _ in images]
        for indices in _by_size(images):
            boxed: dict[tuple[int, Letterbox], Pixels] = {}  # networks of one size share it
            for looker in self._lookers:
                due = [index for index in indices if looker.looks_at(pair_ids[index])]
                if due:
                    found = self._found(looker, images, due=due, boxed=boxed, pair_ids=pair_ids)
                    for index, objects in zip(due, found, strict=True):
                        looked[index] = _with(looked[index], objects)
            self._see_pixels(images, indices, pair_ids=pair_ids, looked=looked)
        return looked

    def close(self) -> None:
        """Free the networks and the device; may be called twice."""
        for backend in self._backends:
            backend.close()

    @property
    def _backends(self) -> list[TaskBackend]:
        last = [] if self._pixels is None else [self._pixels.backend]
        return [looker.backend for looker in self._lookers] + last

    def _see_pixels(
        self,
        images: Sequence[Pixels],
        indices: Sequence[int],
        *,
        pair_ids: Sequence[int],
        looked: list[Looked],
    ) -> None:
        """Add the areas of images of one size to what is known of them."""
        if self._pixels is None:
            return
        due = [index for index in indices if self._pixels.looks_at(pair_ids[index])]
        if due:
            areas = self._pixels.run([images[index] for index in due])
            for index, found in zip(due, areas, strict=True):
                looked[index] = replace(looked[index], areas=found)

    @staticmethod
    def _found(
        looker: Looker,
        images: Sequence[Pixels],
        *,
        due: Sequence[int],
        boxed: dict[tuple[int, Letterbox], Pixels],
        pair_ids: Sequence[int],
    ) -> Iterator[list[Found]]:
        height, width = images[due[0]].shape[:2]
        letterbox = looker.letterbox((width, height))
        for index in due:
            if (index, letterbox) not in boxed:
                boxed[index, letterbox] = _boxed(letterbox, images[index])
        return looker.run(
            [boxed[index, letterbox] for index in due], letterbox, pair_ids=[pair_ids[index] for index in due]
        )


def _wanted(tasks: Tasks) -> Iterator[Wanted]:
    """The tasks that look for objects, in the order in which they report."""
    named: list[tuple[str, str, Task | None]] = [
        ("tasks.detect", "detect", tasks.detect),
        ("tasks.segment", "segment", tasks.segment),
        *((f"tasks.more.{number}", more.kind, more) for number, more in enumerate(tasks.more)),
    ]
    follows = tasks.detect is not None and tasks.detect.track
    for where, kind, task in named:
        if task is not None:
            yield Wanted(where=where, kind=kind, task=task, is_followed=follows)


def _boxed(letterbox: Letterbox, image: Pixels) -> Pixels:
    if isinstance(image, np.ndarray):
        return letterbox.apply(image)
    from streamfuse.engine.tasks.letterbox_torch import boxed_tensor  # noqa: PLC0415 - torch is there already

    return boxed_tensor(letterbox, image)


def _by_size(images: Sequence[Pixels]) -> Iterator[list[int]]:
    """Indices of the images, those of one size together."""
    groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[image.shape].append(index)
    yield from groups.values()


def _with(looked: Looked, objects: Sequence[Found]) -> Looked:
    return replace(
        looked,
        detections=looked.detections + tuple(one for found in objects for one in found.detections),
        looked=True,
        left_out=looked.left_out + sum(found.left_out for found in objects),
        faint=looked.faint + tuple(one for found in objects for one in found.faint),
    )
