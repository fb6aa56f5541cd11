"""Registration where the pairs are: warps, crops, maps boxes to both cameras, and watches the bracket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import Clock
from streamfuse.config.pipeline import RegistrationConfig
from streamfuse.config.rig import load_rig
from streamfuse.core.bracket import Bump, Misfit
from streamfuse.frames import Detection, FramePair, Image, PairState, PixelFormat
from streamfuse.geometry.field import Field, largest_rectangle
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.infrared_boxes import with_infrared_boxes
from streamfuse.geometry.warp import Registration
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.rigging import registration_of
from streamfuse.runtime.stages.bracket import Bracket, Estimate

__all__ = ["Registered", "Registering", "cropped"]

_LEAST_SIDE_PX: Final = 64
"""Smaller pictures are not looked at: a few pixels fit each other anywhere."""

Counts = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registered:
    """The images of a pair on one grid: that of the fused image."""

    visible: Image | None
    infrared: Image | None
    """As the visible camera sees it; any format where nothing had to be warped."""
    by: Registration
    field: Field | None
    """Of the visible image, what is shown; None: all of it."""
    bump: Bump | None
    """Of the bracket, as known with this pair."""

    def located(self, detections: Sequence[Detection]) -> tuple[Detection, ...]:
        """The objects with where they are in the own image of each camera."""
        if (field := self.field) is None:
            return with_infrared_boxes(detections, self.by)
        moved = [replace(found, box_xyxy=_moved(found.box_xyxy, field)) for found in detections]
        placed = with_infrared_boxes(moved, self.by)
        return tuple(
            replace(there, box_xyxy=found.box_xyxy, box_visible_xyxy=there.box_xyxy)
            for found, there in zip(detections, placed, strict=True)
        )

    def sample(self, counts: Counts) -> tuple[Counts, Mask | None]:
        """Raw infrared counts on the grid of the fused image, and where the infrared camera looks."""
        sampled, seen = self.by.sample(counts)
        if (field := self.field) is None:
            return sampled, seen
        return sampled[field.slices], None if seen is None else seen[field.slices]


class Registering:
    """Belongs to the compute thread; :meth:`reload` may be called beside it.

    Args:
        plan: of the run.
        clock: measures what looking at the bracket costs.
        estimate: looks at registered pairs.

    Raises:
        UsageError: the rig does not fit the streams or the distance.
    """

    def __init__(self, plan: Plan, clock: Clock, *, estimate: Estimate) -> None:
        self._plan = plan
        self._rig = load_rig(plan.config.rig)
        self._wanted = plan.config.registration
        self._fresh: RegistrationConfig | None = None
        self._field = plan.shown
        self._bracket = Bracket(
            self._wanted,
            estimate=estimate,
            width_px=plan.visible.spec.size_wh[0],
            clock=clock,
            spares_time=not plan.every_frame,
        )
        self._registration, self._watched = self._made(None)

    @property
    def applied(self) -> Misfit | None:
        """What is corrected beyond the rig; None: nothing."""
        return self._bracket.applied

    @property
    def stats(self) -> Mapping[str, Any]:
        """How the images fit, as fields of ``stats``; empty where nobody looks."""
        told = self._bracket.stats
        return {"registration": told} if told else {}

    def reload(self, wanted: RegistrationConfig) -> None:
        """From the next batch on register at another distance."""
        self._fresh = wanted

    def turn(self) -> None:
        """Begin a batch: what was reloaded holds from now on."""
        fresh, self._fresh = self._fresh, None
        if fresh is not None and fresh.distance_m != self._wanted.distance_m:
            self._wanted = fresh
            self._bracket.forget()
            self._registration, self._watched = self._made(None)

    def register(
        self, visible: Image | None, infrared: Image | None, *, pair: FramePair, blank: Image
    ) -> Registered:
        """Bring the images of the next pair to one grid, and look at them when it is time for that.

        A correction that a look makes holds from the next pair on.

        Args:
            visible: the whole visible image; None: that camera is away.
            infrared: as intensity, in its own geometry; None likewise.
            pair: to which they belong.
            blank: stands in for a visible image that is away.
        """
        by = self._registration
        whole = None if infrared is None else by.apply(infrared, blank if visible is None else visible)
        images = [None if image is None else self.cut(image) for image in (visible, whole)]
        shown, registered = images
        if shown is not None and registered is not None and pair.state is PairState.MATCHED:
            self._watch(shown, registered, pair.base.capture_ns)
        return Registered(
            visible=shown, infrared=registered, by=by, field=self._field, bump=self._bracket.bump
        )

    def cut(self, visible: Image) -> Image:
        """The part of a whole visible image that is shown."""
        return visible if self._field is None else cropped(visible, self._field)

    def _watch(self, visible: Image, registered: Image, capture_ns: int) -> None:
        too_small = min(self._watched.width, self._watched.height) < _LEAST_SIDE_PX
        if too_small or not self._bracket.is_due(capture_ns):
            return
        luma, warmth = (gray8(image)[self._watched.slices] for image in (visible, registered))
        if self._bracket.look(luma, warmth, capture_ns):
            self._registration, self._watched = self._made(self._bracket.applied)

    def _made(self, moved: Misfit | None) -> tuple[Registration, Field]:
        """The registration, and the rectangle of fused pixels that both cameras see."""
        plan = self._plan
        registration = registration_of(
            self._rig,
            self._wanted,
            visible_size_wh=plan.visible.spec.size_wh,
            infrared_size_wh=plan.infrared.spec.size_wh,
            moved=moved,
        )
        seen = registration.seen if self._field is None else registration.seen[self._field.slices]
        return registration, largest_rectangle(seen)


def cropped(image: Image, field: Field) -> Image:
    """The part of an image, in memory of its own.

    Args:
        image: any format.
        field: within it; even sides and place for 4:2:0.
    """
    half = Field(*(value // 2 for value in field))
    is_planar = image.spec.format is PixelFormat.YUV420P
    fields = [field, half, half] if is_planar else [field]
    planes = tuple(plane[part.slices].copy() for plane, part in zip(image.planes, fields, strict=True))
    return Image(replace(image.spec, size_wh=(field.width, field.height)), planes)


def _moved(box: tuple[float, float, float, float], field: Field) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left + field.x, top + field.y, right + field.x, bottom + field.y
