"""Registration where the pairs are: warps, crops, maps boxes to both cameras, and watches the bracket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from streamfuse.clock import Clock
from streamfuse.config.pipeline import RegistrationConfig
from streamfuse.config.rig import load_rig
from streamfuse.core.bracket import Bump, Misfit
from streamfuse.frames import Detection, FramePair, Image, PairState
from streamfuse.geometry.field import Field, largest_rectangle
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.infrared_boxes import with_infrared_boxes
from streamfuse.geometry.warp import Registration
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.rigging import registration_of
from streamfuse.runtime.stages.bracket import Bracket, Estimate

__all__ = ["Registered", "Registering"]

_LEAST_SIDE_PX: Final = 64
"""Smaller pictures are not looked at: a few pixels fit each other anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registered:
    """The images of a pair on one grid: that of the fused image."""

    visible: Image | None
    infrared: Image | None
    """As the visible camera sees it; any format where nothing had to be warped."""
    by: Registration
    bump: Bump | None
    """Of the bracket, as known with this pair."""

    def located(self, detections: Sequence[Detection]) -> tuple[Detection, ...]:
        """The objects with where they are in the own image of each camera."""
        placed = with_infrared_boxes(detections, self.by)
        x, y, *size_wh = self.by.field_xywh
        if tuple(size_wh) == self.by.visible_size_wh:
            return placed
        return tuple(
            replace(found, box_visible_xyxy=(left + x, top + y, right + x, bottom + y))
            for found in placed
            for left, top, right, bottom in [found.box_xyxy]
        )


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
        registered = None if infrared is None else by.apply(infrared, blank if visible is None else visible)
        shown = None if visible is None else by.cut(visible)
        if shown is not None and registered is not None and pair.state is PairState.MATCHED:
            self._watch(shown, registered, pair.base.capture_ns)
        return Registered(visible=shown, infrared=registered, by=by, bump=self._bracket.bump)

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
            field=plan.shown,
            moved=moved,
        )
        return registration, largest_rectangle(registration.seen)
