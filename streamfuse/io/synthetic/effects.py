"""What happens to the linear visible image between the scene and the file: shadows, flare, smoke, sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfuse.io.synthetic.arrays import Doubles, Floats, Ints, Point3
from streamfuse.io.synthetic.compiled import kernel
from streamfuse.io.synthetic.raster import Window

__all__ = ["add_flare", "add_light", "cast_shadow", "develop", "draw_smoke", "press_down"]


@kernel()
def press_down(
    image: Floats,
    scene_depth: Floats,
    window: Window,
    to_ground: Doubles,
    place: Point3,
    half: tuple[float, float],
    strength: float,
) -> None:
    """Darken the ground under and around an actor: the sky that it hides there.

    ``to_ground`` is the 3x3 homography from pixels to ground points and depth.
    """
    left, top, right, bottom = window
    cos, sin = np.cos(place[2]), np.sin(place[2])
    for y in range(top, bottom):
        for x in range(left, right):
            w = to_ground[2, 0] * x + to_ground[2, 1] * y + to_ground[2, 2]
            if w <= 0.0 or scene_depth[y, x] > 1.03 * w or scene_depth[y, x] < 0.97 * w:
                continue  # something stands there
            gx = (to_ground[0, 0] * x + to_ground[0, 1] * y + to_ground[0, 2]) / w - place[0]
            gy = (to_ground[1, 0] * x + to_ground[1, 1] * y + to_ground[1, 2]) / w - place[1]
            u, v = abs(cos * gx + sin * gy) / half[0], abs(cos * gy - sin * gx) / half[1]
            far = max(0.0, u - 0.7) ** 2 * half[0] ** 2 + max(0.0, v - 0.85) ** 2 * half[1] ** 2
            keep = 1.0 - strength / (1.0 + 14.0 * far)
            if far < 4.0:
                for c in range(3):
                    image[y, x, c] *= keep


@kernel()
def cast_shadow(
    image: Floats,
    scene_depth: Floats,
    window: Window,
    owner: Ints,
    inverse_depth: Floats,
    dark: Floats,
) -> None:
    """Multiply ground that a covered window (one sample per pixel) puts in shade by ``dark`` (R, G, B)."""
    left, top, right, bottom = window
    for y in range(bottom - top):
        for x in range(right - left):
            if owner[y, x] == 0:
                continue
            near = inverse_depth[y, x]
            if abs(scene_depth[top + y, left + x] - near) > 0.03 * near:
                continue
            for c in range(3):
                image[top + y, left + x, c] *= dark[c]


@kernel(fastmath=True)
def add_light(rows: Floats, albedo: Floats, light: Floats, top: int, left: int) -> None:
    """Add light to the surfaces of a window that it falls on; all images as rows of R, G, B, R, G, B ..."""
    for y in range(light.shape[0]):
        for i in range(light.shape[1]):
            rows[top + y, 3 * left + i] += albedo[top + y, 3 * left + i] * light[y, i]


@kernel(fastmath=True)
def add_flare(image: Floats, x0: float, y0: float, colour: Point3, core: float) -> None:
    """Add what a lens makes of a bright point: a core of that radius in pixels, a halo, faint streaks."""
    height, width = image.shape[:2]
    reach = 34.0 * core
    for y in range(max(0, int(y0 - reach)), min(height, int(y0 + reach) + 1)):
        for x in range(max(0, int(x0 - reach)), min(width, int(x0 + reach) + 1)):
            dx, dy = (x - x0) / core, (y - y0) / core
            square = dx * dx + dy * dy
            fade = max(0.0, 1.0 - square / (34.0 * 34.0))
            glow = 1.0 / ((1.0 + square) * np.sqrt(1.0 + square))
            glow += 0.05 / (1.0 + 0.06 * dx * dx) / (1.0 + 3.0 * dy * dy)
            glow += 0.0022 / (1.0 + 0.012 * square)
            glow *= fade * fade
            image[y, x, 0] += colour[0] * glow
            image[y, x, 1] += colour[1] * glow
            image[y, x, 2] += colour[2] * glow


@kernel(fastmath=True)
def draw_smoke(rows: Floats, scene_depth: Floats, puffs: Floats, begins: Floats, colour: Floats) -> None:
    """Dim what lies behind layers of smoke and add the light they scatter; ``rows`` hold R, G, B, R, G, B ...

    ``puffs`` LxHxW is the optical depth of each layer at a pixel; ``begins`` is the inverse distance at
    which each one begins to show.
    """
    layers, height, width = puffs.shape
    one, zero, eighth = np.float32(1.0), np.float32(0.0), np.float32(0.125)
    through = np.empty(width, np.float32)
    for y in range(height):
        through[:] = one
        for k in range(layers):
            steep = np.float32(3.6) / begins[k]
            for x in range(width):
                inside = min(one, max(zero, (begins[k] - scene_depth[y, x]) * steep))
                through[x] += eighth * puffs[k, y, x] * inside
        for x in range(width):  # exp(-d) as 1 / (1 + d / 8)^8
            square = through[x] * through[x]
            square *= square
            through[x] = one / (square * square)
        for x in range(width):
            scattered = one - through[x]
            for c in range(3):
                rows[y, 3 * x + c] = rows[y, 3 * x + c] * through[x] + colour[c] * scattered


@kernel(fastmath=True)
def develop(
    rows: Floats,
    grain: NDArray[np.int8],
    crop: tuple[int, int],
    out: NDArray[np.uint8],
    exposure: float,
    noise: float,
) -> None:
    """Sensor and tone curve: linear light to 8 bits with shot noise and a soft shoulder.

    The curve is y = sqrt((1 + k) x / (x + k)) with k = 0.9: near a gamma of 2 in the dark, 1 at white.
    ``noise`` is the deviation of the shot noise at white; ``grain`` is unit noise times 32, used
    from ``crop`` (row, column) on. All images are rows of R, G, B, R, G, B ...
    """
    gain, step = np.float32(exposure), np.float32(noise / 32.0)
    quarter, floor = np.float32(0.25), np.float32(0.64 * noise**2)
    scale, shoulder, top = np.float32(1.9 * 255.0**2), np.float32(0.9), np.float32(255.0**2)
    for y in range(rows.shape[0]):
        source, noisy, target = rows[y], grain[crop[0] + y, 3 * crop[1] : 3 * crop[1] + rows.shape[1]], out[y]
        for i in range(source.size):
            light = source[i] * gain
            light += np.float32(noisy[i]) * step * np.sqrt(light * quarter + floor)
            light = max(light, np.float32(0.0))
            target[i] = np.uint8(np.int32(np.sqrt(min(scale * light / (light + shoulder), top))))
