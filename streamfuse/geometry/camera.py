"""A calibrated camera: directions to pixels and back, through a lens.

Conventions, here and in rig files: camera axes are x to the right, y down, z along the optical axis; metres.
Pixel centres lie at integers, the centre of the top left pixel is (0, 0). A camera maps the point (x, y, z)
in front of it to ``fx * x' + cx, fy * y' + cy``, where (x', y') is (x/z, y/z) bent by the lens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Camera", "LensModel"]

Floats = npt.NDArray[np.float64]
SizeWH = tuple[int, int]
LensModel = Literal["pinhole", "fisheye"]

_COEFFICIENTS: Final = {"pinhole": (0, 4, 5, 8, 12, 14), "fisheye": (0, 4)}
"""How many distortion coefficients OpenCV's two models take."""
_UNBENT: Final = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """The intrinsics of one camera.

    Raises:
        ValueError: a size or focal length that is not positive, a number that is not finite, or a count of
            coefficients that the model does not have; a principal point more than the size of the picture
            away from it.
    """

    size_wh: SizeWH
    """Width and height in pixels of the images that the rest is for."""
    fx: float
    """Focal length in pixels along x."""
    fy: float
    """Focal length in pixels along y."""
    cx: float
    """Principal point in pixels."""
    cy: float
    """Principal point in pixels."""
    model: LensModel = "pinhole"
    distortion: tuple[float, ...] = ()
    """``pinhole``: k1, k2, p1, p2[, k3[, k4, k5, k6[, s1…s4[, tx, ty]]]] (Brown, Conrady; OpenCV's order);
    ``fisheye``: k1 to k4 of the equidistant model (Kannala, Brandt 2006). None: an ideal lens."""

    def __post_init__(self) -> None:
        if min(self.size_wh) < 1:
            raise ValueError(f"size_wh must be positive, got {self.size_wh}")
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not np.isfinite(numbers).all():
            raise ValueError(f"intrinsics must be finite, got {numbers}")
        if min(self.fx, self.fy) <= 0:
            raise ValueError(f"focal lengths must be positive, got {self.fx}, {self.fy}")
        if not all(-side <= c <= 2 * side for c, side in zip((self.cx, self.cy), self.size_wh, strict=True)):
            raise ValueError(
                f"the principal point must lie in the picture of {self.size_wh[0]}x{self.size_wh[1]}, or at "
                f"most its size beside it, got ({self.cx:g}, {self.cy:g})"
            )
        counts = _COEFFICIENTS[self.model]
        if len(self.distortion) not in counts:
            raise ValueError(
                f"a {self.model} lens has {', '.join(map(str, counts[:-1]))} or {counts[-1]} distortion "
                f"coefficients, got {len(self.distortion)}"
            )

    @property
    def matrix(self) -> Floats:
        """3x3, from normalised image coordinates of an ideal lens to pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def coefficients(self) -> Floats:
        """The distortion as OpenCV wants it: four zeros for an ideal lens."""
        return np.array(self.distortion or (0.0,) * 4)

    def project(self, points: npt.ArrayLike) -> Floats:
        """Pixels (Nx2) of points (Nx3) in camera coordinates; NaN for what is not in front of it."""
        xyz = np.asarray(points, np.float64).reshape(-1, 3)
        pixels = np.full((len(xyz), 2), np.nan)
        ahead = xyz[:, 2] > 0
        if ahead.any():
            seen = xyz[ahead][:, None]
            project = cv2.fisheye.projectPoints if self.model == "fisheye" else cv2.projectPoints
            found = project(seen, np.zeros(3), np.zeros(3), self.matrix, self.coefficients)[0]
            pixels[ahead] = np.asarray(found).reshape(-1, 2)
        return pixels

    def normalise(self, pixels: npt.ArrayLike) -> Floats:
        """Where the rays of pixels (Nx2) cross the plane z = 1, Nx2: the inverse of :meth:`project`.

        Accurate to 1e-6 within the part of the lens that its distortion describes.
        """
        given = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
        if self.model == "fisheye":
            rays = cv2.fisheye.undistortPoints(given, self.matrix, self.coefficients, criteria=_UNBENT)
        else:
            rays = cv2.undistortPoints(given, self.matrix, self.coefficients, criteria=_UNBENT)
        return np.asarray(rays, np.float64).reshape(-1, 2)

    def resized(self, size_wh: SizeWH) -> Camera:
        """The same camera at another resolution of the same field of view."""
        across, down = (new / old for new, old in zip(size_wh, self.size_wh, strict=True))
        return Camera(
            size_wh=size_wh,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=(self.cx + 0.5) * across - 0.5,
            cy=(self.cy + 0.5) * down - 0.5,
            model=self.model,
            distortion=self.distortion,
        )
