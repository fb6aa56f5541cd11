"""What is looked for in the fused images: the task networks, and the rules that make events of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamfuse.clock import Utc
from streamfuse.config.outputs import EventRule
from streamfuse.config.pipeline import PipelineConfig, Tasks
from streamfuse.core.convert import image_to_rgb
from streamfuse.core.rules import RuleWatch
from streamfuse.errors import UsageError
from streamfuse.frames import Detection, Event, FusedFrame, Image

__all__ = ["EventWatch", "Looking", "open_looking"]


class Looking:
    """The task networks of a pipeline. :meth:`reload` may be called beside the thread that runs them."""

    def __init__(self, tasks: Tasks) -> None:
        # YOLO's libraries take seconds to load; a pipeline without tasks does not wait for them.
        from streamfuse.engine.tasks import TaskRunner  # noqa: PLC0415 - see above

        self._runner = TaskRunner.load(tasks)
        self.class_names = self._runner.class_names

    def find(self, images: Sequence[Image], pair_ids: Sequence[int]) -> list[tuple[Detection, ...]]:
        """The objects in each image."""
        return self._runner.run([image_to_rgb(image) for image in images], pair_ids=pair_ids)

    def looks_at(self, pair_id: int) -> bool:
        """Whether any network runs on this pair (``every``)."""
        return self._runner.looks_at(pair_id)

    def reload(self, tasks: Tasks) -> None:
        """From the next batch on use the confidences of ``tasks``."""
        self._runner.set_confidence(tasks)


def open_looking(config: PipelineConfig) -> Looking | None:
    """The task networks that a pipeline asks for; None when it asks for none.

    Raises:
        WeightsError: see :meth:`streamfuse.engine.tasks.TaskRunner.load`.
        UsageError: a rule wants objects that no network finds.
    """
    if config.tasks is None:
        return None
    looking = Looking(config.tasks)
    check_classes(config.events, looking.class_names)
    return looking


def check_classes(rules: Sequence[EventRule], known: frozenset[str]) -> None:
    """Refuse rules for objects that no network finds.

    Raises:
        UsageError: with the rule and what the networks do find.
    """
    for rule in rules:
        if unknown := set(rule.classes) - known:
            raise UsageError(
                f"events.{rule.name}.classes: no network finds {', '.join(sorted(unknown))}; "
                f"they find {_listed(sorted(known))}"
            )


class EventWatch:
    """The rules of a pipeline, followed over its fused frames."""

    def __init__(self, config: PipelineConfig, *, utc: Utc, looking: Looking | None) -> None:
        self._watch = RuleWatch(config.events, utc=utc)
        self._looking = looking

    def see(self, frame: FusedFrame) -> tuple[Event, ...]:
        """What the rules say of the next frame."""
        return self._watch.see(
            frame.detections,
            size_wh=frame.image.spec.size_wh,
            capture_ns=frame.capture_ns,
            pair_id=frame.pair_id,
            looked=self._looking is not None and self._looking.looks_at(frame.pair_id),
        )

    def reload(self, config: PipelineConfig, say: Callable[[str], None]) -> None:
        """Take over the confidences and rules of a changed configuration, as far as they can be."""
        if self._looking is None or config.tasks is None:
            return
        self._looking.reload(config.tasks)
        try:
            check_classes(config.events, self._looking.class_names)
        except UsageError as error:
            say(f"reload: the old rules stay: {error}")
            return
        self._watch.reload(config.events)


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
