"""The engine of a pipeline alone, on images in memory."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S, SystemClock
from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.rig import load_rig
from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.engine.video import VideoFusion
from streamfuse.frames import Image
from streamfuse.geometry.warp import Registration

__all__ = ["Bench"]

_FPS: Final = 30
"""Of the times on the frames."""


class Bench:
    """Registers, fuses and looks, as the compute thread of a run does, batch after batch.

    Args:
        config: of the pipeline.
        pairs: used again and again.

    Raises:
        StreamfuseError: a network cannot be loaded, or the rig does not fit the images.
    """

    def __init__(self, config: PipelineConfig, pairs: Sequence[tuple[Image, Image]]) -> None:
        fusion = config.fusion
        self._engine = FusionEngine.load(
            fusion.model, weights=fusion.weights, backend=fusion.backend, precision=fusion.precision
        )
        self._pairs = pairs
        visible, infrared = pairs[0]
        self._registration = Registration.of(
            load_rig(config.rig),
            visible_size_wh=visible.spec.size_wh,
            infrared_size_wh=infrared.spec.size_wh,
            distance_m=config.registration.plane_m,
            crop=config.registration.crop,
        )
        self._video = VideoFusion(self._engine, Mode(fusion.mode))
        self._batch = min(fusion.batch, self._engine.useful_batch or fusion.batch)
        self._looking = None if config.tasks is None else _Looking(config)
        self._clock = SystemClock()
        self._done = 0
        for _ in range(2):  # compiles; and has the tracks that a scene goes on with
            self.turn(self._batch)

    def turn(self, frames: int) -> Mapping[str, float]:
        """Work on so many pairs; milliseconds of each step for one."""
        took_ns: defaultdict[str, int] = defaultdict(int)
        begin, self._done = self._done, self._done + frames
        for first in range(begin, self._done, self._batch):
            for step, ns in self._fuse(range(first, min(self._done, first + self._batch))).items():
                took_ns[step] += ns
        return {step: ns / NS_PER_MS / frames for step, ns in took_ns.items()}

    def close(self) -> None:
        """Free the device."""
        if self._looking is not None:
            self._looking.close()
        self._engine.close()

    def _fuse(self, numbers: Sequence[int]) -> dict[str, int]:
        """Nanoseconds of each step for one batch."""
        laps = [self._clock.now_ns()]
        pairs = [self._pairs[number % len(self._pairs)] for number in numbers]
        registered = [
            (self._registration.cut(visible), self._registration.apply(infrared, visible))
            for visible, infrared in pairs
        ]
        laps.append(self._clock.now_ns())
        times_ns = [_time_ns(number) for number in numbers]
        images = self._video.fuse(registered, times_ns)
        laps.append(self._clock.now_ns())
        steps = ["register", "fuse"]
        if self._looking is not None:
            self._looking.find(images, numbers, self._video)
            laps.append(self._clock.now_ns())
            steps.append("tasks")
        return {step: end - begin for step, (begin, end) in zip(steps, itertools.pairwise(laps), strict=True)}


class _Looking:
    """The task networks and the tracks."""

    def __init__(self, config: PipelineConfig) -> None:
        from streamfuse.core.convert import image_to_rgb  # noqa: PLC0415 - for pipelines that look only
        from streamfuse.engine.tasks.runner import TaskRunner  # noqa: PLC0415 - as above
        from streamfuse.engine.tracking import Tracker  # noqa: PLC0415 - as above

        assert config.tasks is not None  # the caller's condition
        self._rgb = image_to_rgb
        self._runner = TaskRunner.load(config.tasks)
        detect = config.tasks.detect
        self._tracker = Tracker() if detect is not None and detect.track else None

    def find(self, images: Sequence[Image], numbers: Sequence[int], video: VideoFusion) -> None:
        """Look at a batch."""
        there = video.rgb_on_device() if self._runner.takes_tensors else [None for _ in images]
        rgb = [self._rgb(image) if on is None else on for image, on in zip(images, there, strict=True)]
        found = self._runner.run(rgb, pair_ids=list(numbers))
        if self._tracker is not None:
            for number, looked in zip(numbers, found, strict=True):
                self._tracker.update(
                    looked.detections, capture_ns=_time_ns(number), looked=looked.looked, faint=looked.faint
                )

    def close(self) -> None:
        """Free the networks."""
        self._runner.close()


def _time_ns(number: int) -> int:
    """When a frame was captured."""
    return number * NS_PER_S // _FPS
