"""The engine's work on the pairs of one pipeline, before and after they are fused: register and detect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from streamfuse.clock import NS_PER_MS, Clock
from streamfuse.core.bracket import Bump
from streamfuse.core.convert import image_to_rgb
from streamfuse.core.resemblance import resemblance
from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.engine.video import VideoFusion, VideoPairs
from streamfuse.frames import ColorRange, FramePair, Image, ImageSpec, Layer, PixelFormat
from streamfuse.geometry.gray import gray8
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.stages.infrared import Infrared
from streamfuse.runtime.stages.looking import open_looking
from streamfuse.runtime.stages.registering import Registered, Registering

if TYPE_CHECKING:  # with YOLO's libraries: only for pipelines that look for something
    from streamfuse.engine.tasks.runner import Looked

__all__ = ["Compute", "Computed", "ComputedBatch", "Prepared"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Computed:
    """A pair with what came of it."""

    pair: FramePair
    image: Image
    looked: Looked | None
    """What was found in it; None where nothing is looked for."""
    layers: Mapping[Layer, Image]
    """What was fused, as far as a sink asks for it."""
    bump: Bump | None
    """Of the bracket, as known with this pair."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComputedBatch:
    """Pairs of one pipeline with what came of them, and how long each step took."""

    done: Sequence[Computed]
    took_ms: Mapping[str, float]
    size: int
    """Pairs that were fused in one go with these, of whatever pipeline, these included."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Pairs that are ready for the network."""

    pairs: Sequence[FramePair]
    registered: Sequence[Registered]
    to_fuse: VideoPairs
    took_ms: Mapping[str, float]


class Compute:
    """Owns the registration maps, the task networks and the video of one pipeline; the engine is lent.

    Args:
        plan: of the pipeline.
        clock: times the steps.
        engine: fuses its pairs, and perhaps those of others.
        last_track_id: the last one that a predecessor has given away.
    """

    def __init__(self, plan: Plan, clock: Clock, engine: FusionEngine, *, last_track_id: int = 0) -> None:
        fusion = plan.config.fusion
        self.engine = engine
        self._video = VideoFusion(engine, Mode(fusion.mode))
        self.registering = Registering(plan, clock, estimate=resemblance)
        self.looking = open_looking(plan.config, last_track_id=last_track_id)
        self._infrared = Infrared(plan.config.sources.infrared)
        self._blank = _blank(plan.visible.spec)
        self._clock = clock
        self._wanted = tuple(plan.layers)
        self.batch = min(fusion.batch, engine.useful_batch or fusion.batch)
        """Pairs to take at once: more than the device gains by would only come out later."""
        self._video.warm_up(plan.fused_spec, batch=self.batch)
        if self.looking is not None:
            self.looking.warm_up(plan.fused_spec.size_wh)
            image_to_rgb(self._blank)  # its kernel loads numba, half a second

    def close(self) -> None:
        """Free the task networks; the engine is not ours."""
        if self.looking is not None:
            self.looking.close()

    def prepare(self, pairs: Sequence[FramePair]) -> Prepared:
        """Register the next pairs, in order."""
        took = _StopWatch(self._clock)
        self.registering.turn()
        registered = [self._registered(pair) for pair in pairs]
        sources = [self._source(each) for each in registered]
        times_ns = [pair.base.capture_ns for pair in pairs]
        took.lap("register")
        return Prepared(
            pairs=pairs,
            registered=registered,
            to_fuse=VideoPairs(self._video, sources, times_ns),
            took_ms=took.laps_ms,
        )

    def complete(
        self, prepared: Prepared, images: Sequence[Image], *, fuse_ms: float, size: int
    ) -> ComputedBatch:
        """Look for objects in the fused images of pairs that were prepared.

        Args:
            prepared: the pairs.
            images: what was fused of them.
            fuse_ms: milliseconds that it took.
            size: pairs that were fused in that time.
        """
        pairs, registered = prepared.pairs, prepared.registered
        took = _StopWatch(self._clock)
        found: Sequence[Looked | None] = [None for _ in images]
        if self.looking is not None:
            looks = self.looking.find(images, pairs, on_device=self._video.rgb_on_device)
            found = [self._located(*each) for each in zip(looks, pairs, registered, strict=True)]
            took.lap("tasks")
        done = [
            Computed(pair=pair, image=image, looked=looked, layers=self._layers(pair, by), bump=by.bump)
            for pair, by, image, looked in zip(pairs, registered, images, found, strict=True)
        ]
        return ComputedBatch(
            done=done, took_ms={**prepared.took_ms, "fuse": fuse_ms, **took.laps_ms}, size=size
        )

    def _registered(self, pair: FramePair) -> Registered:
        visible = None if pair.visible is None else pair.visible.image
        infrared = None if pair.infrared is None else self._infrared.gray(pair.infrared)
        return self.registering.register(visible, infrared, pair=pair, blank=self._blank)

    def _source(self, registered: Registered) -> tuple[Image, Image | None]:
        """What the network gets; one image alone is passed as it is."""
        if registered.visible is not None:
            return registered.visible, registered.infrared
        assert registered.infrared is not None  # held by FramePair
        return _painted(registered.by.cut(self._blank), registered.infrared), None

    def _located(self, looked: Looked, pair: FramePair, registered: Registered) -> Looked:
        """The objects with where they are in the cameras' own images, and how hot."""
        detections = registered.located(looked.detections)
        if pair.visible is None:  # what the other camera does not see is black: nothing is there
            detections = tuple(found for found in detections if found.box_infrared_xyxy is not None)
        detections = self._infrared.measured(detections, pair.infrared, registered.by.sample)
        return replace(looked, detections=detections)

    def _layers(self, pair: FramePair, registered: Registered) -> dict[Layer, Image]:
        images = {}
        if registered.infrared is not None:
            images[Layer.INFRARED] = Image.from_gray(gray8(registered.infrared))
        if registered.visible is not None:
            images[Layer.VISIBLE] = registered.visible
        if pair.infrared is not None:
            images[Layer.RAW_INFRARED] = pair.infrared.image
        return {layer: images[layer] for layer in self._wanted if layer in images}


class _StopWatch:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ns = clock.now_ns()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now_ns = self._clock.now_ns()
        self.laps_ms[name] = (now_ns - self._last_ns) / NS_PER_MS
        self._last_ns = now_ns


def _blank(spec: ImageSpec) -> Image:
    """A black visible image, for moments without a visible camera."""
    black = 16 if spec.range is ColorRange.LIMITED else 0
    first, *chroma = spec.plane_shapes
    planes = (np.full(first, black, np.uint8), *(np.full(shape, 128, np.uint8) for shape in chroma))
    return Image(spec, planes)


def _painted(blank: Image, gray: Image) -> Image:
    """``blank`` with the luma of ``gray`` (GRAY8, full range, same size)."""
    luma = gray8(gray)
    if blank.spec.format is PixelFormat.RGB24:
        return Image.from_rgb(np.repeat(luma[..., None], 3, axis=2).astype(np.uint8))
    if blank.spec.range is ColorRange.LIMITED:
        luma = np.rint(luma * (219 / 255) + 16).astype(np.uint8)
    return Image(blank.spec, (luma, *blank.planes[1:]))
