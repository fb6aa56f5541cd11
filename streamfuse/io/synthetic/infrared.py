"""The infrared camera: temperatures through optics, microbolometer, shutter and AGC."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic import raster
from streamfuse.io.synthetic.actors import Appearance
from streamfuse.io.synthetic.arrays import Floats
from streamfuse.io.synthetic.backdrop import Street3d
from streamfuse.io.synthetic.cameras import CAMERA_XYZ, Camera
from streamfuse.io.synthetic.compiled import kernel
from streamfuse.io.synthetic.kept import kept_backdrop
from streamfuse.io.synthetic.noise import GRAIN_MARGIN, sensor_grain

__all__ = ["COUNTS_AT_0_C", "COUNTS_PER_K", "InfraredCamera"]


COUNTS_PER_K = 100.0
COUNTS_AT_0_C = 27315.0
"""Counts are hundredths of a kelvin, as radiometric cameras give them."""

_NETD_K = 0.055
_COLUMNS_K, _PIXELS_K = 0.07, 0.05
"""Deviation of the fixed pattern: stripes of the column amplifiers, and single pixels."""
_BLUR_PX = 0.75
"""Of the germanium lens, in pixels of a 640-wide image."""
_FALL_OFF_K = 0.7
"""How much colder the corners appear."""


class InfraredCamera:
    """Renders what the infrared camera sees of the actors at a time."""

    def __init__(self, street: Street3d, camera: Camera) -> None:
        self._camera, self._climate = camera, street.climate
        self._still = kept_backdrop(street, camera, supersampling=1)
        self._image, self._depth = np.empty_like(self._still.heat_c), np.empty_like(self._still.inverse_depth)
        self._space = raster.Workspace.for_image(camera.size_wh, 1)
        rng = np.random.default_rng((street.seed, 8))
        self._grain = sensor_grain(rng, camera.size_wh, 1, blur_px=0.0)
        self._pattern = _fixed_pattern(rng, camera.size_wh)
        self._blur = _BLUR_PX * camera.size_wh[0] / 640
        self._agc = _tone_curve(self._still.heat_c, street.climate.skin_c)

    def render(self, present: list[Appearance], token: int) -> NDArray[np.uint16]:
        """Counts HxW of the actors present; ``token`` picks the noise of this frame."""
        image, depth = self._image, self._depth
        np.copyto(image, self._still.heat_c)
        np.copyto(depth, self._still.inverse_depth)
        for appearance in present:
            self._draw(image, depth, appearance)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), self._blur), np.float32)
        width, height = self._camera.size_wh
        row, column = token % GRAIN_MARGIN, token // GRAIN_MARGIN % GRAIN_MARGIN
        out = np.empty((height, width), np.uint16)
        grain = self._grain[row : row + height, column : column + width]
        _count(image, self._pattern, grain, out)
        return out

    def automatic_gain(self, counts: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """8 bits from counts, with the curve that suits this street."""
        return np.asarray(cv2.LUT(counts, self._agc))

    def _draw(self, image: Floats, depth: Floats, appearance: Appearance) -> None:
        mesh, skin = appearance.actor.mesh, appearance.actor.skin
        points, window = raster.project(appearance.corners, self._camera.matrix, self._camera.size_wh)
        if window[0] >= window[2] or window[1] >= window[3]:
            return
        mirrored = _mirrored(
            appearance.corners, appearance.normals, self._climate.sky_c, self._climate.facade_c
        )
        raster.cover(points, mesh.triangles, window, 1, self._space)
        heated = raster.Heated(mesh.triangles, mesh.uv, mirrored, skin.heat_c, skin.paint[..., 4])
        raster.heat(image, depth, window, heated, self._space)


@kernel()
def _mirrored(points: Floats, normals: Floats, sky_c: tuple[float, float], walls_c: float) -> Floats:
    """Temperature that a mirror would show at each corner: sky where the line of sight goes up."""
    out = np.empty(points.shape[0], np.float32)
    for i in range(points.shape[0]):
        vx, vy, vz = points[i, 0] - CAMERA_XYZ[0], points[i, 1] - CAMERA_XYZ[1], points[i, 2] - CAMERA_XYZ[2]
        per = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
        along = (vx * normals[i, 0] + vy * normals[i, 1] + vz * normals[i, 2]) * per
        up = vz * per - 2.0 * along * normals[i, 2]
        sky = sky_c[0] + (sky_c[1] - sky_c[0]) * np.sqrt(max(0.0, up))
        seen = min(1.0, max(0.0, 3.0 * up - 0.3))
        out[i] = walls_c + (sky - walls_c) * seen
    return out


@kernel(fastmath=True)
def _count(image: Floats, pattern: Floats, grain: NDArray[np.int8], out: NDArray[np.uint16]) -> None:
    """Temperatures to counts, with noise of this frame and of the detector."""
    step = np.float32(_NETD_K / 32.0 * COUNTS_PER_K)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            counts = image[y, x] * np.float32(COUNTS_PER_K) + pattern[y, x] + np.float32(grain[y, x]) * step
            out[y, x] = np.uint16(min(max(counts + np.float32(0.5), np.float32(0.0)), np.float32(65535.0)))


def _fixed_pattern(rng: np.random.Generator, size_wh: tuple[int, int]) -> Floats:
    """Counts HxW to add: offset of the scale, stripes, single pixels, and the fall-off of the lens."""
    width, height = size_wh
    columns = rng.standard_normal((1, width)) * _COLUMNS_K + np.repeat(
        rng.standard_normal((1, width // 2)) * _COLUMNS_K * 0.6, 2, axis=1
    )
    pixels = rng.standard_normal((height, width)) * _PIXELS_K
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    kelvin = columns + pixels - _FALL_OFF_K * ((x * x + y * y) / 2) ** 2
    return np.asarray(COUNTS_AT_0_C + COUNTS_PER_K * kelvin, np.float32)


def _tone_curve(still_c: Floats, skin_c: float) -> NDArray[np.uint8]:
    """Table from 16 to 8 bits: a histogram equalised up to a plateau, mixed with a straight line.

    Made once from the still scene, so the picture does not pump when somebody walks in.
    """
    sky, low, middle = np.percentile(still_c, (1.0, 25.0, 50.0))
    low = min(low, middle - 3.0)
    degrees = (np.arange(65536) - COUNTS_AT_0_C) / COUNTS_PER_K
    straight = np.interp(degrees, (sky, low, middle, skin_c + 1.5, skin_c + 25), (0.0, 0.05, 0.13, 0.93, 1.0))
    histogram, edges = np.histogram(still_c[::2, ::2], 256, (float(sky), skin_c + 3.0))
    plateau = np.minimum(histogram, histogram.sum() / 256 * 4.0)
    rise = np.interp(degrees, edges, np.concatenate([[0.0], np.cumsum(plateau) / plateau.sum()]))
    return np.asarray(np.round(255 * (0.84 * straight + 0.16 * rise)), np.uint8)
