"""Fuses the pairs of one video: the engine, with what a mode remembers from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamfuse.core.steady import Limits, SteadyContrast
from streamfuse.engine.fusion import FusionEngine, Mode, Pair
from streamfuse.frames import Image, ImageSpec

__all__ = ["VideoFusion"]


class VideoFusion:
    """One video on an engine; a new one begins afresh. Not for use from two threads at once.

    In ``steady`` mode it holds the stretch, which follows the scene. In the other modes it holds nothing.
    """

    def __init__(self, engine: FusionEngine, mode: Mode) -> None:
        self._engine = engine
        self._mode = mode
        self._contrast = SteadyContrast()

    def warm_up(self, visible: ImageSpec, *, batch: int = 1) -> None:
        """Compile now what the first frames of this kind would otherwise wait for.

        Raises:
            MachineError: the device cannot run it.
        """
        if self._mode is Mode.STEADY:
            from streamfuse.core.tone import stretched, survey  # noqa: PLC0415 - numba, for this mode only

            self._engine.warm_up(visible, batch=batch, mode=Mode.STREAM)
            blank = Image.from_buffer(visible, bytearray(visible.nbytes))
            survey(blank)
            stretched(blank, Limits(low=0.0, high=128.0))
        else:
            self._engine.warm_up(visible, batch=batch, mode=self._mode)

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
        if len(times_ns) != len(pairs):
            raise ValueError(f"expected a time for each of {len(pairs)} pairs, got {len(times_ns)}")
        if self._mode is not Mode.STEADY:
            return self._engine.fuse_images(pairs, self._mode)
        return list(self._steadied(pairs, times_ns))

    def _steadied(self, pairs: Sequence[Pair], times_ns: Sequence[int]) -> Iterator[Image]:
        from streamfuse.core.tone import stretched, survey  # noqa: PLC0415 - numba, for this mode only

        images = self._engine.fuse_images(pairs, Mode.STREAM)
        for image, (_, infrared), time_ns in zip(images, pairs, times_ns, strict=True):
            if infrared is None:
                yield image
            else:
                yield stretched(image, self._contrast.limits(survey(image), time_ns))
