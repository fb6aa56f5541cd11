"""Registration: the infrared image as if the visible camera had taken it."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt

from streamfuse.config.rig import Rig, check_sizes
from streamfuse.errors import UsageError
from streamfuse.frames import Image
from streamfuse.geometry.field import Field, field_of
from streamfuse.geometry.gray import codes
from streamfuse.geometry.lenses import within
from streamfuse.geometry.passage import Passage, full_grid
from streamfuse.geometry.planes import Plane
from streamfuse.geometry.rig import RigGeometry

__all__ = ["Registration"]

Counts = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
SizeWH = tuple[int, int]


class Registration:
    """Warps infrared images onto the grid of the visible camera, for objects at one distance.

    The way of every pixel is computed once. Immutable, so threads may share it. The identity stands for
    streams that are registered already.

    A *registered picture* has the pixels of the visible camera, or of its part that both cameras see.

    Args:
        way: between the images: a passage of a rig, or ``H_visible_from_infrared``, 3x3, which maps
            homogeneous infrared pixels to visible pixels; pixel centres lie at integers.
        visible_size_wh: width and height of the visible images.
        infrared_size_wh: width and height of the infrared images.
        crop: whether registered pictures are cut to the largest rectangle that both cameras see; or to which
            one, with even numbers for 4:2:0.

    Raises:
        ValueError: the matrix is not 3x3, not finite or not invertible; the rectangle is not within the
            visible image.
        UsageError: it is the identity, and the sizes differ; or the cameras see nothing in common.
        CalibrationError: hardly anything.
    """

    H_visible_from_infrared: Floats
    """3x3: the way as far as one matrix can say it."""
    is_identity: bool
    """Whether infrared images pass as they are."""
    field_xywh: Field
    """The registered picture within the visible one: left, top, width, height; even numbers where cut."""
    seen: Mask
    """HxW bool, read-only, of a registered picture: where the infrared camera looks."""

    def __init__(
        self,
        way: npt.ArrayLike | Passage,
        *,
        visible_size_wh: SizeWH,
        infrared_size_wh: SizeWH,
        crop: bool | Field = False,
    ) -> None:
        if not isinstance(way, Passage):
            way = Passage(lenses=None, plane=Plane(distance_m=np.inf, H=_checked(way, infrared_size_wh)))
        self._way = way
        self.H_visible_from_infrared = way.H_visible_from_infrared
        self.visible_size_wh = visible_size_wh
        self.infrared_size_wh = infrared_size_wh
        whole = Field(0, 0, *visible_size_wh)
        self.field_xywh = whole if isinstance(crop, bool) else _within(crop, whole)
        self.is_identity = way.is_identity and self.field_xywh == whole
        if min(infrared_size_wh) < 2:
            raise UsageError(f"infrared images must have 2x2 pixels at least, got {_words(infrared_size_wh)}")
        if self.is_identity:
            if visible_size_wh != infrared_size_wh:
                raise UsageError(
                    f"visible images are {_words(visible_size_wh)} and infrared ones "
                    f"{_words(infrared_size_wh)}: give a rig that maps one to the other "
                    "(`streamfuse calibrate align` makes one)"
                )
            self.seen = _frozen(np.ones(visible_size_wh[::-1], np.bool_))
            return
        grid = full_grid(way, visible_size_wh)
        seen = within(grid, infrared_size_wh)
        if crop is True:
            self.field_xywh = field_of(seen)
        grid, seen = grid[self.field_xywh.slices], seen[self.field_xywh.slices]
        if not seen.any():
            raise UsageError("rig: the cameras see nothing in common; calibrate them again")
        from streamfuse.geometry.resampling import Resampler  # noqa: PLC0415 - numba takes long to load

        self.seen = _frozen(seen)
        self._resampler = Resampler.of(grid, seen, infrared_size_wh)

    @classmethod
    def of(
        cls,
        rig: Rig | RigGeometry,
        *,
        visible_size_wh: SizeWH,
        infrared_size_wh: SizeWH,
        distance_m: float | None = None,
        crop: bool | Field = False,
    ) -> Self:
        """The registration of a rig, for images of these sizes.

        Args:
            rig: as loaded from its file (or the identity), or its geometry.
            visible_size_wh: width and height of the visible images.
            infrared_size_wh: width and height of the infrared images.
            distance_m: at which objects lie on each other, ``inf`` for far away; None: that of the first
                plane in the file.
            crop: whether registered pictures are cut to what both cameras see, or to which part.

        Raises:
            ValueError: that part is not within the visible image.
            UsageError: the sizes are not those of the rig, or the cameras see nothing in common.
            CalibrationError: hardly anything.
        """
        check_sizes(rig, visible_wh=visible_size_wh, infrared_wh=infrared_size_wh)
        way: Passage | Floats = np.eye(3)
        if isinstance(rig, RigGeometry):
            way = rig.at(distance_m)
        elif not rig.is_identity:
            way = RigGeometry.of(rig).at(distance_m)
        return cls(way, visible_size_wh=visible_size_wh, infrared_size_wh=infrared_size_wh, crop=crop)

    @property
    def size_wh(self) -> SizeWH:
        """Width and height of a registered picture."""
        return self.field_xywh.width, self.field_xywh.height

    def apply(self, infrared: Image, visible: Image) -> Image:
        """See the infrared image from the visible camera.

        Where the infrared camera does not look, the luma of the visible image stands in: a black border
        would be fused into the picture and found by detectors.

        Args:
            infrared: any format.
            visible: any format, uncut; only its brightness is used, and only where infrared is missing.

        Returns:
            GRAY8, full range, of :attr:`size_wh`; ``infrared`` itself when there is nothing to warp.

        Raises:
            UsageError: an image does not have the size that the rig was made for.
        """
        _check_size("infrared", infrared, self.infrared_size_wh)
        _check_size("visible", visible, self.visible_size_wh)
        if self.is_identity:
            return infrared
        instead = codes(visible)
        instead = instead._replace(plane=instead.plane[self.field_xywh.slices])
        return Image.from_gray(self._resampler.interpolated(codes(infrared), instead))

    def sample(self, counts: Counts) -> tuple[Counts, Mask | None]:
        """Raw counts on the grid of the visible camera: each is one that was measured, none is a mean.

        Args:
            counts: HxW uint16 of the infrared size.

        Returns:
            HxW uint16 of :attr:`size_wh`, and where the infrared camera looks (None: everywhere).

        Raises:
            UsageError: the image does not have the size that the rig was made for.
        """
        _check_size("infrared", Image.from_gray(counts), self.infrared_size_wh)
        if self.is_identity:
            return counts, None
        return self._resampler.picked(counts), None if self.seen.all() else self.seen

    def cut(self, visible: Image) -> Image:
        """The part of a visible image that a registered picture shows, in memory of its own.

        Where that is all of it, it is the image itself.

        Raises:
            UsageError: the image does not have the size that the rig was made for.
        """
        _check_size("visible", visible, self.visible_size_wh)
        if self.size_wh == self.visible_size_wh:
            return visible
        rows, columns = self.field_xywh.slices
        first, *chroma = visible.planes
        halves = tuple(slice(part.start // 2, part.stop // 2) for part in (rows, columns))
        planes = (first[rows, columns], *(plane[halves] for plane in chroma))
        own = tuple(plane.copy() for plane in planes)  # kernels are compiled for samples without gaps
        return Image(replace(visible.spec, size_wh=self.size_wh), own)

    def to_infrared(self, points: npt.ArrayLike) -> Floats:
        """Infrared pixels, Nx2 float64, of pixels (Nx2) of a registered picture; NaN where there is none.

        They may lie outside of the infrared image.
        """
        return self._way.infrared_from_visible(self.to_visible(points))

    def to_visible(self, points: npt.ArrayLike) -> Floats:
        """Pixels of the visible camera, Nx2 float64, of pixels (Nx2) of a registered picture."""
        return np.asarray(points, np.float64).reshape(-1, 2) + self.field_xywh[:2]


def _checked(homography: npt.ArrayLike, infrared_size_wh: SizeWH) -> Floats:
    """The matrix, scaled so that the third coordinate of the middle of the infrared image is 1."""
    matrix = np.array(homography, np.float64)
    if matrix.shape != (3, 3):
        raise ValueError(f"H_visible_from_infrared must be 3x3, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"H_visible_from_infrared must be finite, got {matrix.tolist()}")
    width, height = infrared_size_wh
    scale = matrix[2] @ ((width - 1) / 2, (height - 1) / 2, 1.0)
    if scale == 0 or np.linalg.cond(matrix) > 1.0 / np.finfo(np.float64).eps:
        raise ValueError(
            f"H_visible_from_infrared must be invertible and see the infrared image, got {matrix.tolist()}"
        )
    scaled: Floats = matrix / scale
    return scaled


def _within(field: Field, whole: Field) -> Field:
    x, y, width, height = field
    if min(x, y) < 0 or min(width, height) < 1 or x + width > whole.width or y + height > whole.height:
        raise ValueError(f"a field must lie within {whole.width}x{whole.height} pixels, got {field}")
    return field


def _frozen(mask: Mask) -> Mask:
    mask.flags.writeable = False
    return mask


def _check_size(stream: str, image: Image, expected_wh: SizeWH) -> None:
    if image.spec.size_wh != expected_wh:
        raise UsageError(
            f"the rig is for {stream} images of {_words(expected_wh)}, got {_words(image.spec.size_wh)}; "
            "calibrate at the size that is used"
        )


def _words(size_wh: SizeWH) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
