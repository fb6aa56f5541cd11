"""A small software rasteriser: posed triangles to depth, coverage and shaded pixels.

Two steps. :func:`cover` finds, for every sample of a window, the nearest triangle and where on it the
sample lies; the paint and heat kernels then shade each covered sample once and blend the window into
the image. Depth is kept as its inverse: linear on the screen, larger is nearer, 0 is infinitely far.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from streamfuse.io.synthetic.arrays import Doubles, Floats, Ints, Point3
from streamfuse.io.synthetic.compiled import kernel

__all__ = ["Heated", "Painted", "Window", "Workspace", "cover", "heat", "paint", "pose", "project"]

_NEAR_M = 0.6
_MIRRORED_HEAT = 0.45
"""Glossy things mirror less of long-wave infrared than of light: lacquer some 7 %, glass 20 %."""

Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, right and bottom exclusive."""

# Named tuples, because compiled code takes them apart by name.


class Workspace(NamedTuple):
    """Per-sample results of :func:`cover`; made once per camera and used again for every actor."""

    owner: Ints
    """HxW: triangle that the sample shows, counted from 1; 0: none."""
    inverse_depth: Floats
    """HxW, 1/m."""
    weights: Floats
    """HxWx2: barycentric weights of the triangle's second and third corner."""

    @classmethod
    def for_image(cls, size_wh: tuple[int, int], supersampling: int) -> Workspace:
        """Room for windows up to a whole image."""
        shape = (size_wh[1] * supersampling, size_wh[0] * supersampling)
        return cls(
            owner=np.zeros(shape, np.int32),
            inverse_depth=np.zeros(shape, np.float32),
            weights=np.zeros((*shape, 2), np.float32),
        )


class Painted(NamedTuple):
    """A mesh for the visible camera."""

    triangles: Ints
    uv: Floats
    light: Floats
    """Vx6: what falls on each corner (R, G, B) and what it mirrors (R, G, B)."""
    paint: Floats
    """Of the :class:`~streamfuse.io.synthetic.mesh.Skin`."""


class Heated(NamedTuple):
    """A mesh for the infrared camera."""

    triangles: Ints
    uv: Floats
    mirrored_c: Floats
    """V: temperature that a mirror at each corner would show."""
    heat_c: Floats
    """Of the :class:`~streamfuse.io.synthetic.mesh.Skin`, as the next."""
    gloss: Floats


@kernel()
def pose(
    corners: Floats, normals: Floats, bones: Ints, frames: Floats, place: Point3
) -> tuple[Floats, Floats]:
    """Corners and normals in the world.

    ``frames`` holds a 3x4 matrix per bone, in the frame of the actor; ``place`` is where the actor stands:
    x, y and heading (radians, anticlockwise from +y).
    """
    placed = np.empty_like(corners)
    turned = np.empty_like(normals)
    cos, sin = np.cos(place[2]), np.sin(place[2])
    for i in range(corners.shape[0]):
        f = frames[bones[i]]
        p, n = corners[i], normals[i]
        x = f[0, 0] * p[0] + f[0, 1] * p[1] + f[0, 2] * p[2] + f[0, 3]
        y = f[1, 0] * p[0] + f[1, 1] * p[1] + f[1, 2] * p[2] + f[1, 3]
        placed[i, 0], placed[i, 1] = place[0] + cos * x - sin * y, place[1] + sin * x + cos * y
        placed[i, 2] = f[2, 0] * p[0] + f[2, 1] * p[1] + f[2, 2] * p[2] + f[2, 3]
        x = f[0, 0] * n[0] + f[0, 1] * n[1] + f[0, 2] * n[2]
        y = f[1, 0] * n[0] + f[1, 1] * n[1] + f[1, 2] * n[2]
        turned[i, 0], turned[i, 1] = cos * x - sin * y, sin * x + cos * y
        turned[i, 2] = f[2, 0] * n[0] + f[2, 1] * n[1] + f[2, 2] * n[2]
    return placed, turned


@kernel()
def project(points: Floats, matrix: Doubles, size_wh: tuple[int, int]) -> tuple[Floats, Window]:
    """Pixels x, y and inverse depth (0: too near or behind), and the window of the image they fill."""
    out = np.empty_like(points)
    left, top, right, bottom = 1e9, 1e9, -1e9, -1e9
    for i in range(points.shape[0]):
        x, y, z = points[i]
        w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        if w < _NEAR_M:
            out[i] = 0.0
            continue
        u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / w
        v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / w
        out[i, 0], out[i, 1], out[i, 2] = u, v, 1.0 / w
        left, right = min(left, u), max(right, u)
        top, bottom = min(top, v), max(bottom, v)
    window = (
        max(0, int(min(left, 1e8))),
        max(0, int(min(top, 1e8))),
        min(size_wh[0], int(max(right, -1e8)) + 2),
        min(size_wh[1], int(max(bottom, -1e8)) + 2),
    )
    return out, window


@kernel()
def cover(points: Floats, triangles: Ints, window: Window, scale: int, space: Workspace) -> None:
    """Fill the workspace for a window, ``scale`` x ``scale`` samples a pixel, with the nearest triangles."""
    owner, inverse_depth, weights = space
    left, top, right, bottom = window
    columns, rows = (right - left) * scale, (bottom - top) * scale
    for row in range(rows):
        for column in range(columns):
            owner[row, column] = 0
            inverse_depth[row, column] = 0.0
    shift = 0.5 * scale - 0.5  # sample s of pixel p lies at p + (s + 0.5) / scale - 0.5
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t]
        za, zb, zc = points[i, 2], points[j, 2], points[k, 2]
        if za == 0.0 or zb == 0.0 or zc == 0.0:
            continue
        ax, ay = (points[i, 0] - left) * scale + shift, (points[i, 1] - top) * scale + shift
        bx, by = (points[j, 0] - left) * scale + shift, (points[j, 1] - top) * scale + shift
        cx, cy = (points[k, 0] - left) * scale + shift, (points[k, 1] - top) * scale + shift
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0.0:  # turned away (rows grow downwards)
            continue
        x0, x1 = max(0, int(np.ceil(min(ax, bx, cx)))), min(columns - 1, int(np.floor(max(ax, bx, cx))))
        y0, y1 = max(0, int(np.ceil(min(ay, by, cy)))), min(rows - 1, int(np.floor(max(ay, by, cy))))
        per_area = 1.0 / area
        step_b, step_c = (ay - cy) * per_area * -1.0, (by - ay) * per_area * -1.0
        for y in range(y0, y1 + 1):
            wb = ((x0 - ax) * (cy - ay) - (y - ay) * (cx - ax)) * per_area
            wc = ((bx - ax) * (y - ay) - (by - ay) * (x0 - ax)) * per_area
            for x in range(x0, x1 + 1):
                if wb >= 0.0 and wc >= 0.0 and wb + wc <= 1.0:
                    z = za + wb * (zb - za) + wc * (zc - za)
                    if z > inverse_depth[y, x]:
                        inverse_depth[y, x] = z
                        owner[y, x] = t + 1
                        weights[y, x, 0] = wb
                        weights[y, x, 1] = wc
                wb += step_b
                wc += step_c


@numba.njit(cache=True, error_model="numpy", fastmath=True)
def _add_sample(
    light: Floats, share: np.float32, t: int, wb: np.float32, wc: np.float32, mesh: Painted
) -> None:
    """Add ``share`` of what one point of triangle ``t`` shows to ``light`` (R, G, B)."""
    uv, falls_on, paint = mesh.uv, mesh.light, mesh.paint
    i, j, k = mesh.triangles[t]
    wa = np.float32(1.0) - wb - wc
    column = int((wa * uv[i, 0] + wb * uv[j, 0] + wc * uv[k, 0]) * paint.shape[1])
    row = int((wa * uv[i, 1] + wb * uv[j, 1] + wc * uv[k, 1]) * paint.shape[0])
    texel = paint[min(row, paint.shape[0] - 1), min(column, paint.shape[1] - 1)]
    for c in range(3):
        falls = wa * falls_on[i, c] + wb * falls_on[j, c] + wc * falls_on[k, c] + texel[3]
        mirrors = wa * falls_on[i, 3 + c] + wb * falls_on[j, 3 + c] + wc * falls_on[k, 3 + c]
        light[c] += share * (texel[c] * falls + texel[4] * mirrors)


@kernel(fastmath=True)
def paint(image: Floats, scene_depth: Floats, window: Window, mesh: Painted, space: Workspace) -> None:
    """Blend a window covered with 2x2 samples a pixel into the linear RGB ``image`` and ``scene_depth``."""
    owner, inverse_depth, weights = space
    left, top, right, bottom = window
    quarter, light = np.float32(0.25), np.empty(3, np.float32)
    for y in range(top, bottom):
        for x in range(left, right):
            r, c = 2 * (y - top), 2 * (x - left)
            a, b, d, e = owner[r, c], owner[r, c + 1], owner[r + 1, c], owner[r + 1, c + 1]
            if a + b + d + e == 0:
                continue
            pixel, behind = image[y, x], scene_depth[y, x]
            light[0], light[1], light[2] = 0.0, 0.0, 0.0
            if a == b and a == d and a == e:  # inside a triangle one point stands for all four
                if inverse_depth[r, c] < behind:
                    continue
                p, q, s, t = weights[r, c], weights[r, c + 1], weights[r + 1, c], weights[r + 1, c + 1]
                wb, wc = quarter * (p[0] + q[0] + s[0] + t[0]), quarter * (p[1] + q[1] + s[1] + t[1])
                _add_sample(light, np.float32(1.0), a - 1, wb, wc, mesh)
                hits, nearest = 4, inverse_depth[r, c]
            else:
                hits, nearest = 0, behind
                for n in range(4):
                    row, column = r + n // 2, c + n % 2
                    if owner[row, column] and inverse_depth[row, column] >= behind:
                        hits += 1
                        nearest = max(nearest, inverse_depth[row, column])
                        wb, wc = weights[row, column, 0], weights[row, column, 1]
                        _add_sample(light, quarter, owner[row, column] - 1, wb, wc, mesh)
            through = np.float32(1.0) - quarter * hits
            for k in range(3):
                pixel[k] = pixel[k] * through + light[k]
            if hits >= 2:
                scene_depth[y, x] = nearest


@kernel()
def heat(image: Floats, scene_depth: Floats, window: Window, mesh: Heated, space: Workspace) -> None:
    """Write a covered window (one sample per pixel) into the temperature ``image`` and ``scene_depth``."""
    triangles, uv, mirrored_c, heat_c, gloss = mesh
    owner, inverse_depth, weights = space
    left, top, right, bottom = window
    height, width = heat_c.shape
    for y in range(bottom - top):
        for x in range(right - left):
            t = owner[y, x]
            if t == 0 or inverse_depth[y, x] < scene_depth[top + y, left + x]:
                continue
            i, j, k = triangles[t - 1]
            wb, wc = weights[y, x]
            wa = 1.0 - wb - wc
            row = min(int((wa * uv[i, 1] + wb * uv[j, 1] + wc * uv[k, 1]) * height), height - 1)
            column = min(int((wa * uv[i, 0] + wb * uv[j, 0] + wc * uv[k, 0]) * width), width - 1)
            mirror = wa * mirrored_c[i] + wb * mirrored_c[j] + wc * mirrored_c[k]
            g = _MIRRORED_HEAT * gloss[row, column]
            image[top + y, left + x] = heat_c[row, column] * (1.0 - g) + mirror * g
            scene_depth[top + y, left + x] = inverse_depth[y, x]
