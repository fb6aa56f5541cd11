"""Fuses the pairs of one video: the engine, with what a mode remembers from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

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
        self._given: list[tuple[Image, Tensor | None]] = []

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
            images = self._engine.fuse_images(pairs, self._mode)
            self._given = list(zip(images, self._engine.on_device, strict=True))
        else:
            self._given = list(self._steadied(pairs, times_ns))
        return [image for image, _ in self._given]

    def rgb_on_device(self) -> list[Tensor | None]:
        """What :meth:`fuse` gave last as HxWx3 uint8 RGB on the GPU; None for images not fused there."""
        from streamfuse.engine.on_device import rgb_on_device  # noqa: PLC0415 - numba, needed for a GPU only

        return [
            rgb_on_device(image, first) if first is not None and first.is_cuda else None
            for image, first in self._given
        ]

    def _steadied(
        self, pairs: Sequence[Pair], times_ns: Sequence[int]
    ) -> Iterator[tuple[Image, Tensor | None]]:
        from streamfuse.core.tone import stretched, survey  # noqa: PLC0415 - numba, for this mode only
        from streamfuse.engine.on_device import stretched_on_device  # noqa: PLC0415 - the same

        images = self._engine.fuse_images(pairs, Mode.STREAM)
        firsts = self._engine.on_device
        for image, first, (_, infrared), time_ns in zip(images, firsts, pairs, times_ns, strict=True):
            if infrared is None:
                yield image, None
                continue
            limits = self._contrast.limits(survey(image), time_ns)
            on_gpu = first is not None and first.is_cuda
            yield (
                stretched(image, limits),
                stretched_on_device(first, image.spec, limits) if first is not None and on_gpu else None,
            )
