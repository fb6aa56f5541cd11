"""Fuses pairs of images: the network's edge, uint8 in and uint8 out.

>>> engine = FusionEngine.load("grdb")  # doctest: +SKIP
>>> fused = engine.fuse(visible=rgb, infrared=gray)  # doctest: +SKIP
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

from streamfuse.core.steady import SteadyContrast
from streamfuse.engine.backends.base import Backend, Blueprint, Precision
from streamfuse.engine.backends.bounded import BoundedBackend
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.engine.backends.recipe import Recipe
from streamfuse.engine.store import WeightsFile, resolve
from streamfuse.errors import UsageError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.geometry.gray import gray8
from streamfuse.nets.registry import network_spec

if TYPE_CHECKING:  # a backend whose network lies compiled on disk starts without torch
    from torch import Tensor, nn

__all__ = ["FusionEngine", "Mode", "Pair"]

Bytes = npt.NDArray[np.uint8]
Pair = tuple[Image, Image | None]
"""A visible image and, where there is one, the infrared image registered to it."""

_LEVELS: Mapping[ColorRange, tuple[float, float]] = MappingProxyType(
    {ColorRange.FULL: (0.0, 255.0), ColorRange.LIMITED: (16.0, 219.0)}
)
"""Code of black in a luma plane, and codes from there to white."""


class Mode(enum.StrEnum):
    """How a fused image ends."""

    STREAM = "stream"
    """Clamp and round: a pixel depends on its neighbourhood only, so video does not flicker."""
    STEADY = "steady"
    """As ``stream``, then stretched: an image alone by its own extremes, the frames of a video by limits
    that follow theirs slowly (:class:`streamfuse.engine.video.VideoFusion`)."""
    REFERENCE = "reference"
    """As published, in float32: each RGB image is stretched by its own extremes, then truncated."""


class FusionEngine:
    """A fusion network on a device. Not for use from two threads at once.

    Use :meth:`load`; as a context manager it closes itself.
    """

    def __init__(self, backend: Backend, *, why: str = "given", weights: WeightsFile | None = None) -> None:
        self._backend = backend
        self._closed = False
        self.why = why
        """Why this backend runs, with the failures of those tried before it."""
        self.weights = weights
        """The file that the network came from, where it came from one."""
        self.on_device: tuple[Tensor | None, ...] = ()
        """First planes of the images that :meth:`fuse_images` gave last, where they were computed; None for
        those that passed unchanged, and for all on a backend other than torch. ``steady`` is not in them."""

    @classmethod
    def load(
        cls,
        model: str = "grdb",
        *,
        weights: str = "default",
        backend: str = "auto",
        precision: str = "auto",
    ) -> FusionEngine:
        """Load a network and choose what runs it.

        Args:
            model: name of a network in the registry, or of a family of them; the weights decide which.
            weights: ``default``, a name of the weights store, or a path to a safetensors file.
            backend: ``auto`` (the fastest on this machine, by measurement), or one by name.
            precision: ``auto`` (what the device computes fastest), ``float32``, ``bfloat16`` or ``float16``.

        Raises:
            UsageError: an unknown model, backend or precision, or a network that does not fuse luma.
            WeightsError: the weights are missing, damaged or of another network.
            MachineError: no backend works.
        """
        found = resolve(weights, model=model)
        spec = network_spec(found.card.architecture)
        if (spec.visible_channels, spec.infrared_channels, spec.size_multiple) != (1, 1, 1):
            raise UsageError(f"the engine runs networks that fuse luma of any size; {spec.name!r} does not")
        blueprint = Blueprint(
            build=lambda: _build(found), content=f"{found.card.architecture} {found.card.sha256}"
        )
        opened, why = open_backend(backend, blueprint, precision=precision)
        bounded = BoundedBackend(
            opened, halo_px=spec.halo_px, grid_px=spec.grid_px, cpu_tile_px=spec.cpu_tile_px
        )
        return cls(bounded, why=why, weights=found)

    def __repr__(self) -> str:
        return f"FusionEngine: {self.network} on {self.backend} ({self.device}) in {self.precision}"

    @property
    def network(self) -> str:
        """The network and, in brackets, its weights."""
        card = None if self.weights is None else self.weights.card
        return "a network" if card is None else f"{card.architecture} ({card.name})"

    @property
    def backend(self) -> str:
        """Name of the backend that runs."""
        return self._backend.name

    @property
    def device(self) -> str:
        """The hardware it runs on, in words."""
        return self._backend.device

    @property
    def precision(self) -> Precision:
        """In which numbers ``stream`` mode is computed; ``reference`` is float32 always."""
        return self._backend.precision

    @property
    def useful_batch(self) -> int | None:
        """Largest batch that is faster than its images one by one; None: the larger the better."""
        return self._backend.useful_batch

    @property
    def memory_bytes(self) -> int | None:
        """Taken of the device's own memory at this moment; None where it is the host's."""
        return self._backend.memory_bytes

    def warm_up(self, visible: ImageSpec, *, batch: int = 1, mode: Mode = Mode.STREAM) -> None:
        """Compile for images of this kind now, rather than at the first of them.

        Raises:
            MachineError: the device cannot run it.
            UsageError: the engine is closed.
        """
        self._open.warm_up(_recipe(visible, mode), batch, visible.size_wh)

    def fuse(self, *, visible: Bytes, infrared: Bytes) -> Bytes:
        """Fuse RGB arrays as ``stream`` mode does.

        Args:
            visible: HxWx3 or NxHxWx3 uint8, in the order R, G, B.
            infrared: HxW or NxHxW uint8, registered to ``visible``.

        Returns:
            A new array of the shape of ``visible``.

        Raises:
            ValueError: shapes or dtypes that do not fit, or what is no array.
            UsageError: the engine is closed.
        """
        _check_arrays(visible, infrared)
        single = visible.ndim == 3
        rgb, gray = (visible[None], infrared[None]) if single else (visible, infrared)
        if not len(rgb):
            return rgb.copy()
        fused = self._open.run(Recipe.RGB, np.ascontiguousarray(rgb), np.ascontiguousarray(gray))
        return fused[0] if single else fused

    def fuse_images(self, pairs: Sequence[Pair], mode: Mode = Mode.STREAM) -> list[Image]:
        """Fuse pairs of images, those of one size and form in one batch.

        - A YUV420P (or GRAY8) visible image gives the same form, range and matrix: its luma is fused, its
          chroma planes are passed on, not copied.
        - In ``steady`` mode each image is a scene of its own; its chroma is stretched as its luma is.
        - An RGB24 visible image gives RGB24.
        - In ``reference`` mode, which is defined on RGB, everything becomes RGB24 first and stays it.
        - Without an infrared image the visible one itself is given back, in either mode.

        Infrared images may be of any form; :func:`streamfuse.geometry.gray.gray8` says what is seen of them.

        Args:
            pairs: images of a pair have one size.
            mode: how the images end.

        Returns:
            One image per pair, in the same order.

        Raises:
            UsageError: the images of a pair differ in size, a visible image has 16-bit samples, or the engine
                is closed.
            MachineError: the device failed.
        """
        fused = [visible for visible, _ in pairs]
        on_device: list[Tensor | None] = [None for _ in pairs]
        groups: defaultdict[ImageSpec, list[_Job]] = defaultdict(list)
        for index, (visible, infrared) in enumerate(pairs):
            if infrared is not None:
                _check_pair(visible, infrared)
                base = _as_rgb(visible) if mode is Mode.REFERENCE else visible
                groups[base.spec].append(_Job(index, base, infrared))
        for spec, jobs in groups.items():
            for job, plane in zip(jobs, self._fuse_group(_recipe(spec, mode), jobs), strict=True):
                image = Image(spec, (plane, *job.visible.planes[1:]))
                fused[job.index] = _stretched_alone(image) if mode is Mode.STEADY else image
            if self._backend.last_result is not None:
                for job, tensor in zip(jobs, self._backend.last_result, strict=True):
                    on_device[job.index] = tensor
        self.on_device = tuple(on_device)
        return fused

    def close(self) -> None:
        """Free the device; may be called twice."""
        self._closed = True
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _open(self) -> Backend:
        """What computes, as long as it may."""
        if self._closed:
            raise UsageError("the fusion engine is closed; load another one with FusionEngine.load")
        return self._backend

    def _fuse_group(self, recipe: Recipe, jobs: Sequence[_Job]) -> Bytes:
        """Fused first planes of images that share one spec."""
        visible = _batch([cast("Bytes", job.visible.planes[0]) for job in jobs])
        infrared = _batch([gray8(job.infrared) for job in jobs])
        if recipe is not Recipe.LUMA:
            return self._open.run(recipe, visible, infrared)
        levels = _LEVELS[jobs[0].visible.spec.range]
        return self._open.run(recipe, visible, infrared, np.array(levels, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A pair that goes through the network, and where its result belongs."""

    index: int
    visible: Image
    infrared: Image


def _build(weights: WeightsFile) -> nn.Module:
    from streamfuse.engine.weights import load_network  # noqa: PLC0415 - loads torch

    return load_network(weights)


def _as_rgb(image: Image) -> Image:
    if image.spec.format is PixelFormat.RGB24:
        return image
    from streamfuse.core.convert import image_to_rgb  # noqa: PLC0415 - numba, needed for nothing else here

    spec = ImageSpec(format=PixelFormat.RGB24, size_wh=image.spec.size_wh, matrix=image.spec.matrix)
    return Image(spec, (image_to_rgb(image),))


def _stretched_alone(image: Image) -> Image:
    from streamfuse.core.tone import stretched, survey  # noqa: PLC0415 - numba, needed for nothing else here

    return stretched(image, SteadyContrast().limits(survey(image), 0))


def _recipe(visible: ImageSpec, mode: Mode) -> Recipe:
    if mode is Mode.REFERENCE:
        return Recipe.REFERENCE
    return Recipe.RGB if visible.format is PixelFormat.RGB24 else Recipe.LUMA


def _batch(planes: Sequence[Bytes]) -> Bytes:
    """Planes one after the other in one array; a single one is not copied if it is contiguous."""
    return np.ascontiguousarray(planes[0][None]) if len(planes) == 1 else np.stack(planes)


def _check_pair(visible: Image, infrared: Image) -> None:
    if visible.spec.format is PixelFormat.GRAY16:
        raise UsageError("the visible image has 16-bit samples; are the streams exchanged?")
    if visible.spec.size_wh != infrared.spec.size_wh:
        (width, height), (other_width, other_height) = visible.spec.size_wh, infrared.spec.size_wh
        raise UsageError(
            f"the visible image is {width}x{height} and the infrared one {other_width}x{other_height}; "
            "register one to the other first, as a rig does in a pipeline"
        )


def _check_arrays(visible: npt.NDArray[Any], infrared: npt.NDArray[Any]) -> None:
    for name, array in (("visible", visible), ("infrared", infrared)):
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} must be a numpy array, got {type(array).__name__}")  # noqa: TRY004
    if visible.ndim not in {3, 4} or visible.shape[-1] != 3:
        raise ValueError(f"visible must be HxWx3 or NxHxWx3, got {visible.shape}")
    if 0 in visible.shape[-3:]:
        raise ValueError(f"visible must have pixels, at least one row and one column, got {visible.shape}")
    if infrared.shape != visible.shape[:-1]:
        raise ValueError(f"infrared must be {visible.shape[:-1]} to fit visible, got {infrared.shape}")
    for name, array in (("visible", visible), ("infrared", infrared)):
        if array.dtype != np.uint8:
            raise ValueError(f"{name} must be uint8, got {array.dtype}")
