"""What is looked for in the fused images: the task networks, the tracks, and the rules that follow both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from streamfuse.clock import Utc
from streamfuse.config.outputs import EventRule
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.tasks import Rule, Tasks
from streamfuse.core.convert import image_to_rgb
from streamfuse.core.counting import RuleCounter
from streamfuse.core.rules import RuleWatch
from streamfuse.errors import UsageError
from streamfuse.frames import Count, Detection, FramePair, FusedFrame, Image

if TYPE_CHECKING:  # see Looking
    from torch import Tensor

    from streamfuse.engine.tasks.runner import Looked

__all__ = ["Looking", "Rules", "check_rules", "open_looking"]


class Looking:
    """The task networks of a pipeline, and the tracks of what they find.

    :meth:`reload` may be called beside the thread that runs them.

    Args:
        tasks: what is looked for.
        last_track_id: the last one that a predecessor has given away.

    Raises:
        StreamfuseError: see :meth:`streamfuse.engine.tasks.runner.TaskRunner.load`.
    """

    def __init__(self, tasks: Tasks, *, last_track_id: int = 0) -> None:
        # YOLO's libraries take seconds to load; a pipeline without tasks does not wait for them.
        from streamfuse.engine.tasks.runner import TaskRunner  # noqa: PLC0415 - see above
        from streamfuse.engine.tracking import Tracker  # noqa: PLC0415

        self._runner = TaskRunner.load(tasks)
        follows = tasks.detect is not None and tasks.detect.track
        self._tracker = Tracker(after_id=last_track_id) if follows else None
        self.class_names = self._runner.class_names

    def find(
        self,
        images: Sequence[Image],
        pairs: Sequence[FramePair],
        *,
        on_device: Callable[[], Sequence[Tensor | None]],
    ) -> list[Looked]:
        """What is in each fused image.

        Args:
            images: in the order of their capture times.
            pairs: of which they were made.
            on_device: gives the same as HxWx3 uint8 RGB on the GPU, as far as they were fused there; asked
                only if the networks run there, too.
        """
        there = on_device() if self._runner.takes_tensors else [None for _ in images]
        rgb = [
            image_to_rgb(image) if tensor is None else tensor
            for image, tensor in zip(images, there, strict=True)
        ]
        found = self._runner.run(rgb, pair_ids=[pair.pair_id for pair in pairs])
        return [
            self._followed(looked, image.spec.size_wh, pair.base.capture_ns)
            for looked, image, pair in zip(found, images, pairs, strict=True)
        ]

    def reload(self, tasks: Tasks) -> None:
        """From the next batch on use the confidences of ``tasks``."""
        self._runner.set_confidence(tasks)

    def warm_up(self, size_wh: tuple[int, int]) -> None:
        """Do now what the first image of this size would otherwise wait for."""
        self._runner.warm_up(size_wh)

    def close(self) -> None:
        """Free the networks; may be called twice."""
        self._runner.close()

    def _followed(self, looked: Looked, size_wh: tuple[int, int], capture_ns: int) -> Looked:
        if self._tracker is None:
            return looked
        tracked = self._tracker.update(
            looked.detections, capture_ns=capture_ns, looked=looked.looked, faint=looked.faint
        )
        if not looked.looked:
            tracked = tuple(seen for each in tracked if (seen := _within(each, size_wh)) is not None)
        return replace(looked, detections=tracked)


def open_looking(config: PipelineConfig, *, last_track_id: int = 0) -> Looking | None:
    """The task networks that a pipeline asks for; None when it asks for none.

    Raises:
        StreamfuseError: see :class:`Looking`.
        UsageError: a rule wants objects that no network finds.
    """
    if config.tasks is None:
        return None
    looking = Looking(config.tasks, last_track_id=last_track_id)
    try:
        check_rules(config, looking.class_names)
    except UsageError:
        looking.close()
        raise
    return looking


def check_rules(config: PipelineConfig, known: frozenset[str]) -> None:
    """Refuse rules for objects that no network finds.

    Raises:
        UsageError: with the rule and what the networks do find.
    """
    rules: list[tuple[str, EventRule | Rule]] = [("events", rule) for rule in config.events]
    rules += [("tasks.rules", rule) for rule in _task_rules(config)]
    for where, rule in rules:
        if unknown := set(rule.classes) - known:
            raise UsageError(
                f"{where}.{rule.name}.classes: no network finds {', '.join(sorted(unknown))}; "
                f"they find {_listed(sorted(known))}"
            )


class Rules:
    """The rules of a pipeline, followed over its fused frames: events, and counts at lines and in zones.

    Args:
        config: of the pipeline.
        utc: labels the capture times in the ids of events.
        looking: what finds the objects; None where nothing is looked for.
        before: what a predecessor had counted, by rule.
    """

    def __init__(
        self,
        config: PipelineConfig,
        *,
        utc: Utc,
        looking: Looking | None,
        before: Mapping[Rule, Count] | None = None,
    ) -> None:
        self._watch = RuleWatch(config.events, utc=utc)
        self._counter = RuleCounter(_task_rules(config), before=before)
        self._looking = looking

    @property
    def counted(self) -> tuple[Rule, ...]:
        """The rules of the counts of the newest frame, in their order."""
        return self._counter.rules

    def see(self, frame: FusedFrame, looked: Looked | None) -> FusedFrame:
        """The next frame with what was found in it, and what the rules say of that."""
        if looked is None:  # nothing is looked for, so there are no rules
            return frame
        size_wh = frame.image.spec.size_wh
        events = self._watch.see(
            looked.detections,
            size_wh=size_wh,
            capture_ns=frame.capture_ns,
            pair_id=frame.pair_id,
            looked=looked.looked,
        )
        counts = self._counter.see(looked.detections, size_wh=size_wh, capture_ns=frame.capture_ns)
        return replace(frame, detections=looked.detections, areas=looked.areas, events=events, counts=counts)

    def reload(self, config: PipelineConfig) -> None:
        """Take over the confidences and rules of a configuration that :func:`check_rules` accepts."""
        if self._looking is None or config.tasks is None:
            return
        self._looking.reload(config.tasks)
        self._watch.reload(config.events)
        self._counter.reload(_task_rules(config))


def _task_rules(config: PipelineConfig) -> tuple[Rule, ...]:
    return () if config.tasks is None else config.tasks.rules


def _within(detection: Detection, size_wh: tuple[int, int]) -> Detection | None:
    """A predicted object as far as it is in the picture; None when it has left it."""
    width, height = size_wh
    left, top, right, bottom = detection.box_xyxy
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    return replace(detection, box_xyxy=(left, top, right, bottom)) if left < right and top < bottom else None


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
