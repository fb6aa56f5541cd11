"""Registration: the infrared image as if the visible camera had taken it."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.errors import UsageError
from streamfuse.frames import Image
from streamfuse.geometry.gray import gray8

__all__ = ["Registration"]

Counts = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
SizeWH = tuple[int, int]


class Registration:
    """Warps infrared images onto the grid of the visible camera through a plane homography.

    The way of every pixel is computed once, to 1/32 pixel. Immutable, so threads may share it. The
    identity stands for streams that are registered already.

    Args:
        H_visible_from_infrared: 3x3, maps homogeneous infrared pixels to visible pixels; pixel centres
            lie at integers.
        visible_size_wh: width and height of the visible images.
        infrared_size_wh: width and height of the infrared images.

    Raises:
        ValueError: the matrix is not 3x3, not finite or not invertible.
        UsageError: it is the identity, and the sizes differ.
    """

    def __init__(
        self,
        H_visible_from_infrared: npt.ArrayLike,  # noqa: N803 - the field's name for a homography
        *,
        visible_size_wh: SizeWH,
        infrared_size_wh: SizeWH,
    ) -> None:
        matrix = _checked(H_visible_from_infrared, infrared_size_wh)
        self.H_visible_from_infrared = matrix
        self.visible_size_wh = visible_size_wh
        self.infrared_size_wh = infrared_size_wh
        self.is_identity = np.allclose(matrix, np.eye(3), atol=1e-9)
        if self.is_identity and visible_size_wh != infrared_size_wh:
            raise UsageError(
                f"visible images are {_words(visible_size_wh)} and infrared ones {_words(infrared_size_wh)}: "
                "give a rig that maps one to the other (`streamfuse calibrate align` makes one)"
            )
        x, y, seen = _infrared_from_visible(matrix, visible_size_wh, infrared_size_wh)
        self._unseen = None if seen.all() else (~seen).astype(np.uint8)
        self._maps = cv2.convertMaps(x.astype(np.float32), y.astype(np.float32), cv2.CV_16SC2)

    def apply(self, infrared: Image, visible: Image) -> Image:
        """See the infrared image from the visible camera.

        Where the infrared camera does not look, the luma of the visible image stands in: a black border
        would be fused into the picture and found by detectors.

        Args:
            infrared: any format.
            visible: any format; only its brightness is used, and only where infrared is missing.

        Returns:
            GRAY8, full range, of the visible size; ``infrared`` itself when there is nothing to warp.

        Raises:
            UsageError: an image does not have the size that the rig was made for.
        """
        _check_size("infrared", infrared, self.infrared_size_wh)
        _check_size("visible", visible, self.visible_size_wh)
        if self.is_identity:
            return infrared
        warped = cv2.remap(gray8(infrared), *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if self._unseen is not None:
            cv2.copyTo(gray8(visible), self._unseen, warped)
        return Image.from_gray(cast("npt.NDArray[np.uint8]", warped))

    def sample(self, counts: Counts) -> tuple[Counts, Mask | None]:
        """Raw counts on the grid of the visible camera: each is one that was measured, none is a mean.

        Args:
            counts: HxW uint16 of the infrared size.

        Returns:
            HxW uint16 of the visible size, and where the infrared camera looks (None: everywhere).

        Raises:
            UsageError: the image does not have the size that the rig was made for.
        """
        _check_size("infrared", Image.from_gray(counts), self.infrared_size_wh)
        if self.is_identity:
            return counts, None
        return counts[self._nearest], None if self._unseen is None else self._unseen == 0

    @cached_property
    def _nearest(self) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
        """Row and column of the infrared pixel nearest to each visible one, from the fixed-point maps."""
        floors, fractions = self._maps
        half = cv2.INTER_TAB_SIZE // 2
        columns = floors[..., 0] + (fractions % cv2.INTER_TAB_SIZE >= half)
        rows = floors[..., 1] + (fractions // cv2.INTER_TAB_SIZE >= half)
        return rows.astype(np.int16), columns.astype(np.int16)


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


def _infrared_from_visible(
    matrix: Floats, visible_size_wh: SizeWH, infrared_size_wh: SizeWH
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Infrared x and y of every visible pixel, and whether the infrared camera sees it; HxW each.

    Where it does not, x and y are 0. Behind the horizon of the plane the third coordinate is negative.
    """
    width, height = visible_size_wh
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    x, y, w = np.tensordot(np.linalg.inv(matrix), np.stack((columns, rows, np.ones_like(rows))), axes=1)
    ahead = w > 0
    x, y = (np.divide(value, w, out=np.full_like(w, -1.0), where=ahead) for value in (x, y))
    right, bottom = (side - 1 for side in infrared_size_wh)
    seen = (x >= 0) & (x <= right) & (y >= 0) & (y <= bottom)
    return np.where(seen, x, 0.0), np.where(seen, y, 0.0), seen


def _check_size(stream: str, image: Image, expected_wh: SizeWH) -> None:
    if image.spec.size_wh != expected_wh:
        raise UsageError(
            f"the rig is for {stream} images of {_words(expected_wh)}, got {_words(image.spec.size_wh)}; "
            "calibrate at the size that is used"
        )


def _words(size_wh: SizeWH) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
