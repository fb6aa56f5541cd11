"""One task network at work: the tasks that share it, and what each of them makes of what it sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from streamfuse.config.tasks import Task
from streamfuse.engine.tasks.backends.base import Pixels, TaskBackend
from streamfuse.engine.tasks.backends.choosing import open_task_backend
from streamfuse.engine.tasks.facts import TaskFacts
from streamfuse.engine.tasks.known import KnownNetwork
from streamfuse.engine.tasks.letterbox import Letterbox
from streamfuse.engine.tasks.results import Found, Reading, read_objects
from streamfuse.errors import UsageError

__all__ = ["Looker", "Wanted", "open_looker"]

_FAINT_SHARE: Final = 0.4
"""ByteTrack's second look: from 0.1 on where the detector's threshold is 0.25."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A task of the pipeline file."""

    where: str
    """Such as ``tasks.detect``."""
    kind: str
    """``detect`` or ``segment``."""
    task: Task
    is_followed: bool
    """Whether its objects get tracks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """A task that a network serves."""

    where: str
    every: int
    reading: Reading

    def is_due(self, pair_id: int) -> bool:
        return pair_id % self.every == 0


class Looker:
    """A network with the tasks that it serves: it runs once for all of them.

    Where tasks with masks look at an image, those without would only repeat their objects, and stay silent.
    """

    def __init__(
        self, backend: TaskBackend, readers: Sequence[_Reader], *, side_px: int, stride: int
    ) -> None:
        self.backend = backend
        self._readers = tuple(readers)
        self._side_px = side_px
        self._stride = stride

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all objects that it reports."""
        return frozenset(
            reading.names[class_id]
            for reading in (reader.reading for reader in self._readers)
            for class_id in (reading.names if reading.class_ids is None else reading.class_ids)
        )

    def looks_at(self, pair_id: int) -> bool:
        """Whether any of its tasks looks at this pair."""
        return any(reader.is_due(pair_id) for reader in self._readers)

    def letterbox(self, image_wh: tuple[int, int]) -> Letterbox:
        """How it takes images of this size."""
        return Letterbox.fit(image_wh, side_px=self._side_px, stride=self._stride)

    def set_confidences(self, confidences: Mapping[str, float]) -> None:
        """Use other confidences, by ``where``; tasks that are not named keep theirs."""
        self._readers = tuple(
            replace(
                reader,
                reading=replace(
                    reader.reading, confidence=confidences.get(reader.where, reader.reading.confidence)
                ),
            )
            for reader in self._readers
        )

    def run(
        self, images: Sequence[Pixels], letterbox: Letterbox, *, pair_ids: Sequence[int]
    ) -> Iterator[list[Found]]:
        """What its tasks find in each image, in the order of the images; those with tasks that are due.

        Args:
            images: in the size of :attr:`Letterbox.network_wh`.
            letterbox: how they got it.
            pair_ids: of each image.
        """
        readers = self._readers
        number = iter(pair_ids)
        for raw in self.backend.run(images):
            for index in range(len(raw.predictions)):
                speaking = _speaking(readers, next(number))
                yield [read_objects(raw, index, reader.reading, letterbox) for reader in speaking]


def open_looker(wanted: Sequence[Wanted], *, backend: str) -> Looker:
    """Load one network for all tasks that want it, those with the same weights.

    Raises:
        WeightsError: see :class:`streamfuse.engine.tasks.known.KnownNetwork`.
        UsageError: a task wants classes that the network does not know.
        MachineError: the backend does not work here.
    """
    chief = max(wanted, key=lambda one: one.kind == "segment")  # who can segment can also detect
    network = KnownNetwork(
        chief.task.weights,
        kind=chief.kind,
        trust=any(one.task.trust for one in wanted),
        where=f"{chief.where}.weights",
    )
    facts = network.facts
    readers = [_Reader(where=one.where, every=one.task.every, reading=_reading(one, facts)) for one in wanted]
    opened = open_task_backend(backend, network.graph, content=network.content)
    return Looker(opened, readers, side_px=facts.side_px, stride=facts.stride)


def _speaking(readers: Sequence[_Reader], pair_id: int) -> list[_Reader]:
    due = [reader for reader in readers if reader.is_due(pair_id)]
    return [reader for reader in due if reader.reading.masks] or due


def _reading(wanted: Wanted, facts: TaskFacts) -> Reading:
    task, names = wanted.task, dict(enumerate(facts.names))
    return Reading(
        names=names,
        is_end_to_end=facts.is_end_to_end,
        confidence=task.confidence,
        faint_share=_FAINT_SHARE if wanted.is_followed else 1.0,
        overlap=task.overlap,
        class_ids=_class_ids(wanted, names) if task.classes else None,
        most=task.most,
        masks=wanted.kind == "segment",
    )


def _class_ids(wanted: Wanted, names: Mapping[int, str]) -> tuple[int, ...]:
    if unknown := sorted(set(wanted.task.classes) - set(names.values())):
        known = sorted(names.values())
        more = f" and {len(known) - 12} more" if len(known) > 12 else ""
        raise UsageError(
            f"{wanted.where}.classes: the network does not find {', '.join(unknown)}; "
            f"it finds {', '.join(known[:12])}{more}"
        )
    return tuple(class_id for class_id, name in names.items() if name in wanted.task.classes)
