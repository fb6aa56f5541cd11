"""Keeps what a backend is asked for within its memory: large images go tile by tile, batches in parts."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.core.tiling import Tiling, plan_tiles
from streamfuse.engine.backends.base import Backend, Precision
from streamfuse.engine.backends.recipe import Recipe
from streamfuse.errors import MachineError, OutOfMemory

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BoundedBackend"]

_LOG: Final = logging.getLogger(__name__)
_GPU_TILE_PX: Final = 1920 * 1088
"""Larger images are cut on a GPU; an image of this size keeps all of it busy."""
_REFERENCE_PX: Final = 2048 * 2048
"""The published ending looks at the whole image, which cannot be cut: some 2 GB in float32."""
_LEAST_PX: Final = 64 * 64
"""A device without memory for this many pixels has none."""
_MULTIPLE_PX: Final = 4
"""Sides of tiles: OpenVINO takes twice as long for some odd ones."""


class BoundedBackend:
    """:class:`~streamfuse.engine.backends.base.Backend` around another: any size, in bounded memory.

    The pixels of a call are limited: to what the network computes fastest, and further when the device
    says that it has too little memory. An image that is larger is cut into tiles, which is exact; a batch
    that is larger is run in parts.

    Args:
        backend: runs what is small enough; closed with this.
        halo_px: how far an output pixel of the network sees; None: the whole image, so nothing can be cut.
        grid_px: the network works on blocks of so many pixels.
        cpu_tile_px: pixels of the largest image that a processor runs in one.
    """

    def __init__(self, backend: Backend, *, halo_px: int | None, grid_px: int, cpu_tile_px: int) -> None:
        self._backend = backend
        self._halo_px = halo_px
        self._grid_px = grid_px
        self._tile_px = cpu_tile_px if backend.useful_batch == 1 else _GPU_TILE_PX
        self._call_px: int | None = None
        self._tiling = functools.lru_cache(64)(self._plan)
        self._in_parts = False

    @property
    def name(self) -> str:
        """As the backend's."""
        return self._backend.name

    @property
    def device(self) -> str:
        """As the backend's."""
        return self._backend.device

    @property
    def precision(self) -> Precision:
        """As the backend's."""
        return self._backend.precision

    @property
    def useful_batch(self) -> int | None:
        """As the backend's."""
        return self._backend.useful_batch

    @property
    def memory_bytes(self) -> int | None:
        """As the backend's."""
        return self._backend.memory_bytes

    @property
    def last_result(self) -> Tensor | None:
        """As the backend's; None where the last call went in parts."""
        return None if self._in_parts else self._backend.last_result

    def warm_up(self, recipe: Recipe, batch: int, size_wh: tuple[int, int]) -> None:
        """Warm up for what images of this size are cut into."""
        while True:
            tiling = self._tiling(recipe, size_wh)
            at_once, part_wh = (
                (self._at_once(batch, size_wh), size_wh) if tiling is None else (1, tiling.tile_wh)
            )
            try:
                return self._backend.warm_up(recipe, at_once, part_wh)
            except OutOfMemory as error:
                self._shrink(recipe, at_once, part_wh, error)

    def run(self, recipe: Recipe, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Fuse one batch."""
        batch, height, width = arrays[1].shape
        while True:
            tiling = self._tiling(recipe, (width, height))
            at_once = 1 if tiling else self._at_once(batch, (width, height))
            self._in_parts = tiling is not None or at_once < batch
            try:
                if tiling is not None:
                    return self._run_tiles(tiling, recipe, *arrays)
                if at_once < batch:
                    return self._run_parts(at_once, recipe, *arrays)
                return self._backend.run(recipe, *arrays)
            except OutOfMemory as error:
                self._shrink(recipe, at_once, tiling.tile_wh if tiling else (width, height), error)

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()

    def _run_parts(
        self, at_once: int, recipe: Recipe, images: npt.NDArray[Any], infrared: npt.NDArray[Any], *rest: Any
    ) -> npt.NDArray[np.uint8]:
        fused = np.empty_like(images)
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            fused[part] = self._backend.run(recipe, images[part], infrared[part], *rest)
        return fused

    def _run_tiles(
        self, tiling: Tiling, recipe: Recipe, images: npt.NDArray[Any], infrared: npt.NDArray[Any], *rest: Any
    ) -> npt.NDArray[np.uint8]:
        (_, height, width), (full_width, full_height) = infrared.shape, tiling.size_wh
        more = (0, 0), (0, full_height - height), (0, full_width - width)
        padded = np.pad(images, (*more, *((0, 0),) * (images.ndim - 3)), mode="edge")
        padded_infrared = np.pad(infrared, more, mode="edge")
        fused = np.empty_like(padded)
        for index in range(len(images)):
            one = slice(index, index + 1)
            for tile in tiling:
                cut = (np.ascontiguousarray(array[(one, *tile.cut)]) for array in (padded, padded_infrared))
                part = self._backend.run(recipe, *cut, *rest)
                fused[(one, *tile.place)] = part[(slice(None), *tile.kept)]
        return np.ascontiguousarray(fused[:, :height, :width])

    def _at_once(self, batch: int, size_wh: tuple[int, int]) -> int:
        """Images of a size that go into one call."""
        if self._call_px is None:
            return batch
        return min(batch, max(1, self._call_px // (size_wh[0] * size_wh[1])))

    def _plan(self, recipe: Recipe, size_wh: tuple[int, int]) -> Tiling | None:
        """How an image is cut; None: it is not.

        Raises:
            MachineError: it must be and cannot.
        """
        pixels = size_wh[0] * size_wh[1]
        if recipe is Recipe.REFERENCE and pixels > _REFERENCE_PX:
            raise MachineError(
                f"mode `reference` looks at an image as a whole, and {size_wh[0]}x{size_wh[1]} is too large "
                "for that; use mode `stream` or `steady`"
            )
        if self._halo_px is None or recipe is Recipe.REFERENCE or pixels <= self._tile_px:
            return None
        return plan_tiles(
            size_wh,
            most_px=self._tile_px,
            halo_px=self._halo_px,
            grid_px=self._grid_px,
            multiple_px=_MULTIPLE_PX,
        )

    def _shrink(self, recipe: Recipe, at_once: int, size_wh: tuple[int, int], error: OutOfMemory) -> None:
        """Ask for half of what was too much from now on.

        Raises:
            OutOfMemory: it was too little already, or one image that cannot be cut.
        """
        width, height = size_wh
        pixels = at_once * width * height
        can_be_cut = at_once > 1 or (self._halo_px is not None and recipe is not Recipe.REFERENCE)
        if not can_be_cut or pixels < _LEAST_PX:
            raise error
        if self._call_px is None:
            _LOG.warning(
                "%s has too little memory for %d x %dx%d at once, so it gets less from now on: %s",
                self.device, at_once, width, height, error,
            )  # fmt: skip
        self._call_px = pixels // 2
        self._tile_px = min(self._tile_px, self._call_px)
        self._tiling.cache_clear()
