"""Fuses the pairs of videos: the engine, with what a mode remembers of each from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamfuse.core.steady import Limits, SteadyContrast
from streamfuse.engine.fusion import FusionEngine, Mode, Pair
from streamfuse.frames import Image, ImageSpec

if TYPE_CHECKING:  # loaded where something is on a GPU
    from torch import Tensor

__all__ = ["VideoFusion", "VideoPairs", "fuse_together"]


class VideoFusion:
    """One video on an engine; a new one begins afresh. Not for use from two threads at once.

    In ``steady`` mode it holds the stretch, which follows the scene. In the other modes it holds nothing.
    """

    def __init__(self, engine: FusionEngine, mode: Mode) -> None:
        self.engine = engine
        self.mode = mode
        self._contrast = SteadyContrast()
        self._given: list[tuple[Image, Tensor | None]] = []

    @property
    def network_mode(self) -> Mode:
        """How the engine is to end the images, before what this video adds to them."""
        return Mode.STREAM if self.mode is Mode.STEADY else self.mode

    def warm_up(self, visible: ImageSpec, *, batch: int = 1) -> None:
        """Compile now what the first frames of this kind would otherwise wait for.

        Raises:
            MachineError: the device cannot run it.
        """
        self.engine.warm_up(visible, batch=batch, mode=self.network_mode)
        if self.mode is Mode.STEADY:
            from streamfuse.core.tone import stretched, survey  # noqa: PLC0415 - numba, for this mode only

            blank = Image.from_buffer(visible, bytearray(visible.nbytes))
            survey(blank)
            stretched(blank, Limits(low=0.0, high=128.0))

    def fuse(self, pairs: Sequence[Pair], times_ns: Sequence[int]) -> list[Image]:
        """Fuse the next pairs; in which batches they come makes no difference.

        Args:
            pairs: in the order of the video.
            times_ns: one time per pair, by one clock.

        Returns:
            As :meth:`FusionEngine.fuse_images`. A visible image without an infrared one passes as it is,
            and the stretch does not follow it.

        Raises:
            ValueError: there are not as many times as pairs.
            UsageError, MachineError: as :meth:`FusionEngine.fuse_images`.
        """
        (images,) = fuse_together([VideoPairs(self, pairs, times_ns)])
        return images

    def rgb_on_device(self) -> list[Tensor | None]:
        """What :meth:`fuse` gave last as HxWx3 uint8 RGB on the GPU; None for images not fused there."""
        from streamfuse.engine.on_device import rgb_on_device  # noqa: PLC0415 - numba, needed for a GPU only

        return [
            rgb_on_device(image, first) if first is not None and first.is_cuda else None
            for image, first in self._given
        ]

    def finish(
        self,
        images: Sequence[Image],
        firsts: Sequence[Tensor | None],
        pairs: Sequence[Pair],
        times_ns: Sequence[int],
    ) -> list[Image]:
        """What the video looks like in the end.

        Args:
            images: as the engine has fused them.
            firsts: their first planes where they were computed, as :attr:`FusionEngine.on_device` has them.
            pairs: of which they were made.
            times_ns: one time per pair.
        """
        if self.mode is Mode.STEADY:
            self._given = list(self._steadied(images, firsts, pairs, times_ns))
        else:
            self._given = list(zip(images, firsts, strict=True))
        return [image for image, _ in self._given]

    def _steadied(
        self,
        images: Sequence[Image],
        firsts: Sequence[Tensor | None],
        pairs: Sequence[Pair],
        times_ns: Sequence[int],
    ) -> Iterator[tuple[Image, Tensor | None]]:
        from streamfuse.core.tone import stretched, survey  # noqa: PLC0415 - numba, for this mode only

        for image, first, (_, infrared), time_ns in zip(images, firsts, pairs, times_ns, strict=True):
            if infrared is None:
                yield image, None
                continue
            limits = self._contrast.limits(survey(image), time_ns)
            yield stretched(image, limits), _stretched_there(first, image.spec, limits)


@dataclass(frozen=True, slots=True, eq=False)
class VideoPairs:
    """The next pairs of a video, in its order, and when each was taken, by one clock.

    Raises:
        ValueError: there are not as many times as pairs.
    """

    video: VideoFusion
    pairs: Sequence[Pair]
    times_ns: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.times_ns) != len(self.pairs):
            raise ValueError(f"expected a time for each of {len(self.pairs)} pairs, got {len(self.times_ns)}")


def fuse_together(videos: Sequence[VideoPairs]) -> list[list[Image]]:
    """Fuse the next pairs of several videos on one engine: those of one size and form in one batch.

    Returns:
        For each video its images, as :meth:`VideoFusion.fuse` gives them.

    Raises:
        ValueError: the videos are not of one engine, or of one network mode.
        UsageError, MachineError: as :meth:`FusionEngine.fuse_images`.
    """
    ways = {(each.video.engine, each.video.network_mode) for each in videos}
    if len(ways) != 1:
        raise ValueError(f"expected videos of one engine and mode, got {len(ways)}")
    ((engine, mode),) = ways
    images = engine.fuse_images([pair for each in videos for pair in each.pairs], mode)
    firsts = engine.on_device
    finished, start = [], 0
    for each in videos:
        end = start + len(each.pairs)
        finished.append(each.video.finish(images[start:end], firsts[start:end], each.pairs, each.times_ns))
        start = end
    return finished


def _stretched_there(first: Tensor | None, spec: ImageSpec, limits: Limits) -> Tensor | None:
    """A first plane stretched on the GPU, where it lies there."""
    if first is None or not first.is_cuda:
        return None
    from streamfuse.engine.on_device import stretched_on_device  # noqa: PLC0415 - torch, for a GPU only

    return stretched_on_device(first, spec, limits)
