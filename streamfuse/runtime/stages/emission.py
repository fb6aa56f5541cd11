"""The way of a computed pair to the sinks: the rules see it, it is counted, and it is handed on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamfuse.clock import UtcFollower
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.core.bracket import Bump
from streamfuse.core.bump_events import BumpEvents
from streamfuse.core.pair_record import count_record, pair_record
from streamfuse.frames import Event, EventPhase, FusedFrame
from streamfuse.io.transport.outlet import Outlet
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.rigging import MENDED, bumped
from streamfuse.runtime.stages.compute import Computed
from streamfuse.runtime.stages.looking import Looking, Rules
from streamfuse.runtime.stages.tally import Tally

__all__ = ["Emission"]


class Emission:
    """Makes fused frames of computed pairs and gives them to the sinks.

    Args:
        context: of the engine.
        outlet: to the sinks.
        looking: what finds the objects; None where nothing is looked for.
        utc: labels the times.
        warn: told what people should know.
    """

    def __init__(
        self,
        context: Context,
        outlet: Outlet,
        *,
        looking: Looking | None,
        utc: UtcFollower,
        warn: Callable[[str], None],
    ) -> None:
        self._link = context.link
        self._board = context.board
        self._outlet = outlet
        self._utc = utc
        self._warn = warn
        self._tally = Tally(context.run_dir.path, warn=warn)
        self._rules = Rules(context.plan.config, utc=utc, looking=looking, before=self._tally.read())
        self._bumps = BumpEvents(utc)
        self._layers = context.plan.layers
        self.found: dict[str, Any] = {}
        """What the tasks say of the newest frame, as fields of ``stats``."""

    def reload(self, config: PipelineConfig) -> None:
        """Take over confidences and rules."""
        self._rules.reload(config)

    def emit(self, done: Computed, now_ns: int) -> None:
        """Hand on a pair whose frames were counted: a crash in between loses a picture, never the balance."""
        pair = done.pair
        fused = FusedFrame(
            pair_id=pair.pair_id,
            state=pair.state,
            image=done.image,
            capture_ns=pair.base.capture_ns,
            fused_ns=now_ns,
            skew_ms=pair.skew_ms,
            infrared_age_ms=pair.infrared_age_ms,
            visible_seq=pair.visible.seq if pair.visible else None,
            infrared_seq=pair.infrared.seq if pair.infrared else None,
        )
        fused = self._rules.see(fused, done.looked)
        fused = replace(fused, events=(*fused.events, *self._bumped(done.bump, fused.pair_id)))
        self._count(fused, left_out=0 if done.looked is None else done.looked.left_out)
        self._outlet.offer(
            fused.image,
            seq=fused.pair_id,
            pts_ns=pair.base.pts_ns,
            capture_ns=fused.capture_ns,
            arrival_ns=now_ns,
            meta=json.dumps({**pair_record(fused, self._utc), "layers": list(done.layers)}).encode(),
            beside={self._layers[layer][0]: image for layer, image in done.layers.items()},
        )

    def _bumped(self, bump: Bump | None, pair_id: int) -> tuple[Event, ...]:
        """The event of a bumped bracket, told to people when it begins and when it ends."""
        events = self._bumps.see(bump, pair_id=pair_id)
        for event in events:
            if event.phase is EventPhase.BEGUN and bump is not None:
                self._warn(bumped(bump.misfit))
            elif event.phase is EventPhase.ENDED:
                self._link.send("log", text=MENDED)
        return events

    def _count(self, fused: FusedFrame, *, left_out: int) -> None:
        board = self._board
        board.add(c.DETECTIONS, sum(not found.is_predicted for found in fused.detections))
        board.add(c.LEFT_OUT, left_out)
        newest = max((found.track_id or 0 for found in fused.detections), default=0)
        board.set(c.TRACKS, max(newest, board.get(c.TRACKS)))
        self._tally.write(self._rules.counted, fused.counts)
        self.found = {
            "tracks": sum(found.track_id is not None for found in fused.detections),
            "counts": [count_record(count) for count in fused.counts],
        }
        board.add(c.EVENTS, sum(event.phase is EventPhase.BEGUN for event in fused.events))
