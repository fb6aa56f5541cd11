"""Pictures of another size or pixel format made fit for the run that was planned: resizing by OpenCV.

A camera may come back with another mode than it had. Rings, networks and recordings were laid out for
the planned one, so its pictures are scaled and converted. All 8-bit formats are three numbers a pixel
that differ by an affine map (grey is luma without chroma), so each conversion is one such map.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat, Plane

__all__ = ["fitted", "fitting_spec", "why_unfit"]

_ASPECT_TOLERANCE: Final = 0.01
"""Share by which two aspect ratios may differ and still show the same scene."""

# Weights of red and blue in luma: ITU-R BT.601-7 section 2.5.1 and BT.709-6 section 3.2.
_RED_BLUE: Final = {ColorMatrix.BT601: (0.299, 0.114), ColorMatrix.BT709: (0.2126, 0.0722)}
_NO_CHROMA: Final = 128

Bytes = npt.NDArray[np.uint8]
Affine = npt.NDArray[np.float64]
"""4x4, acting on (a, b, c, 1) columns."""


def why_unfit(got: ImageSpec, planned: ImageSpec) -> str | None:
    """Why pictures of ``got`` cannot stand in for those that were planned; None when they can."""
    counts = PixelFormat.GRAY16
    if (got.format is counts) != (planned.format is counts):
        return f"{got.format} pixels cannot become {planned.format}"
    (width, height), (planned_width, planned_height) = got.size_wh, planned.size_wh
    ratio = width * planned_height / (height * planned_width)
    if abs(ratio - 1.0) > _ASPECT_TOLERANCE:
        return f"{width}x{height} has another aspect ratio than {planned_width}x{planned_height}"
    return None


def fitting_spec(got: ImageSpec, planned: ImageSpec) -> ImageSpec:
    """What pictures of ``got`` are made, to be of the planned size and format.

    Range and matrix travel with each picture, so they stay as they are where the format is the same.
    """
    if got.format is not planned.format:
        return planned
    return replace(got, size_wh=planned.size_wh)


def fitted(image: Image, planned: ImageSpec) -> Image:
    """The image in the size, format, range and matrix of ``planned``.

    The same image when it is so already, otherwise new memory. Areas are averaged when it shrinks and
    interpolated when it grows.

    Raises:
        ValueError: only one of the two is GRAY16, whose counts mean no brightness of their own.
    """
    have = image.spec
    if have == planned:
        return image
    counts = PixelFormat.GRAY16
    if (have.format is counts) != (planned.format is counts):
        raise ValueError(f"{have.format} cannot become {planned.format}")
    if (have.format, have.range, have.matrix) == (planned.format, planned.range, planned.matrix):
        sizes = [(shape[1], shape[0]) for shape in planned.plane_shapes]
        planes = tuple(_resized(plane, size) for plane, size in zip(image.planes, sizes, strict=True))
        return Image(planned, planes)
    change = _to_code(planned) @ np.linalg.inv(_to_code(have))
    pixels = cast("Bytes", cv2.transform(_stacked(image), change[:3]))
    return Image(planned, _split(cast("Bytes", _resized(pixels, planned.size_wh)), planned))


def _resized(plane: Plane, size_wh: tuple[int, int]) -> Plane:
    """A plane (HxW or HxWx3) in another size."""
    height, width = plane.shape[:2]
    if (width, height) == size_wh:
        return plane
    shrinks = size_wh[0] <= width and size_wh[1] <= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cast("Plane", cv2.resize(plane, size_wh, interpolation=how))


def _to_code(spec: ImageSpec) -> Affine:
    """From R, G, B of 0..255 to the numbers that ``spec`` writes for them."""
    code: Affine = np.eye(4)
    if spec.format is PixelFormat.RGB24:
        return code
    red, blue = _RED_BLUE[spec.matrix]
    luma = np.array([red, 1.0 - red - blue, blue])
    black, luma_gain, chroma_gain = (
        (16, 219 / 255, 224 / 255) if spec.range is ColorRange.LIMITED else (0, 1.0, 1.0)
    )
    code[0, :3] = luma * luma_gain
    code[1, :3] = (np.array([0.0, 0.0, 1.0]) - luma) * chroma_gain / (2 * (1 - blue))
    code[2, :3] = (np.array([1.0, 0.0, 0.0]) - luma) * chroma_gain / (2 * (1 - red))
    code[:3, 3] = (black, _NO_CHROMA, _NO_CHROMA)
    return code


def _stacked(image: Image) -> Bytes:
    """The samples as HxWx3; chroma is repeated over its 2x2 pixels, grey has none."""
    first, *others = cast("tuple[Bytes, ...]", image.planes)
    if image.spec.format is PixelFormat.RGB24:
        return first
    if image.spec.format is PixelFormat.GRAY8:
        others = [np.full_like(first, _NO_CHROMA)] * 2
    else:
        others = [plane.repeat(2, axis=0).repeat(2, axis=1) for plane in others]
    return np.dstack((first, *others))


def _split(pixels: Bytes, spec: ImageSpec) -> tuple[Plane, ...]:
    """The planes of ``spec`` from HxWx3 samples in its codes."""
    if spec.format is PixelFormat.RGB24:
        return (pixels,)
    luma, *chroma = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
    if spec.format is PixelFormat.GRAY8:
        return (luma,)
    width, height = spec.size_wh
    return (luma, *(_resized(plane, (width // 2, height // 2)) for plane in chroma))
