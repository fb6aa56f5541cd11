"""Light that falls on things: spots (lamps, headlights) and the sky, per point.

A spot is a row of twelve numbers: position x, y, z; direction x, y, z; intensity R, G, B (irradiance at
1 m on the axis); the sharpness k of its beam, exp(k (cos - 1)); 1 when its beam is flat (a headlight),
else 0; and the square of the cosine beyond which the beam is darker than 1/1000.
"""

from __future__ import annotations

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, Point3
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.compiled import kernel

__all__ = ["NO_SPOTS", "SPOT", "car_spots", "illuminate", "reaching", "shade", "spot"]


SPOT = 12
NO_SPOTS: Floats = np.zeros((0, SPOT), np.float32)


def spot(
    position: Point3,
    direction: Point3,
    colour: Point3,
    *,
    sharpness: float,
    flat: bool = False,
) -> Floats:
    """One row; the direction need not have unit length."""
    unit = np.array(direction) / np.linalg.norm(direction)
    return np.array(
        [*position, *unit, *colour, sharpness, float(flat), max(0.0, 1 - 7 / sharpness) ** 2], np.float32
    )


def car_spots(x: float, y: float, heading: float, climate: Climate) -> Floats:
    """Low beam and tail lights of a car."""
    ahead = np.array([-np.sin(heading), np.cos(heading)])
    aside = np.array([ahead[1], -ahead[0]])
    rows = []
    for sign in (-1, 1):
        front = np.array([x, y]) + 2.15 * ahead + 0.68 * sign * aside
        strength = 170.0 * climate.lamps
        rows.append(
            spot(
                (front[0], front[1], 0.66),
                (ahead[0], ahead[1], -0.055),
                (strength, strength * 0.93, strength * 0.78),
                sharpness=22.0,
                flat=True,
            )
        )
    rear = np.array([x, y]) - 2.3 * ahead
    rows.append(
        spot((rear[0], rear[1], 0.8), (-ahead[0], -ahead[1], -0.4), (0.5, 0.025, 0.02), sharpness=1.5)
    )
    return np.stack(rows)


@kernel(fastmath=True)
def illuminate(points: Floats, normals: Floats, spots: Floats) -> Floats:
    """Irradiance Nx3 that spots give at points Nx3 with unit normals Nx3."""
    out = np.zeros((points.shape[0], 3), np.float32)
    for i in range(points.shape[0]):
        for k in range(spots.shape[0]):
            s = spots[k]
            dx, dy, dz = points[i, 0] - s[0], points[i, 1] - s[1], points[i, 2] - s[2]
            axis = dx * s[3] + dy * s[4] + dz * s[5]
            facing = -(dx * normals[i, 0] + dy * normals[i, 1] + dz * normals[i, 2])
            square = dx * dx + dy * dy + dz * dz + np.float32(0.05)
            if facing <= 0.0 or axis <= 0.0 or axis * axis < s[11] * square:
                continue
            per = np.float32(1.0) / np.sqrt(square)
            axis *= per
            facing *= per
            beam = np.exp(s[9] * (axis - np.float32(1.0))) * min(np.float32(1.0), np.float32(2.5) * axis)
            if s[10] > 0.0 and dz > 0.0:  # the cut-off of a low beam: little light above the lamp
                beam *= np.exp(np.float32(-14.0) * dz * per)
            power = beam * facing / square
            out[i, 0] += s[6] * power
            out[i, 1] += s[7] * power
            out[i, 2] += s[8] * power
    return out


@kernel()
def reaching(spots: Floats, x: float, y: float, radius: float) -> Floats:
    """Those spots that add visibly to an actor of a radius who stands at x, y."""
    kept = np.empty_like(spots)
    count = 0
    for k in range(spots.shape[0]):
        s = spots[k]
        dx, dy = x - s[0], y - s[1]
        distance = max(0.5, np.sqrt(dx * dx + dy * dy) - radius)
        ahead = dx * s[3] + dy * s[4]
        power = max(s[6], s[7]) / (distance * distance)
        if power > 0.004 and (s[10] == 0.0 or ahead > 0.5 * distance):
            for c in range(SPOT):  # copying the row as a whole would take seconds to compile
                kept[count, c] = s[c]
            count += 1
    return kept[:count]


@kernel()
def shade(
    points: Floats, normals: Floats, lit: Floats, eye: Floats, sky: Floats, sun: Floats, sun_share: float
) -> Floats:
    """Light per corner, Nx6: what falls on it (R, G, B) and what it mirrors (R, G, B).

    ``lit`` is the irradiance of the spots; ``sky`` has three rows: ambient irradiance, radiance at the
    zenith, radiance at the horizon; ``sun`` two: direction to it, irradiance.
    """
    out = np.empty((points.shape[0], 6), np.float32)
    for i in range(points.shape[0]):
        nx, ny, nz = normals[i]
        open_sky = 0.55 + 0.45 * nz
        near_ground = min(1.0, 0.55 + 0.45 * points[i, 2])
        to_sun = max(0.0, nx * sun[0, 0] + ny * sun[0, 1] + nz * sun[0, 2]) * sun_share
        vx, vy, vz = points[i, 0] - eye[0], points[i, 1] - eye[1], points[i, 2] - eye[2]
        per = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
        along = (vx * nx + vy * ny + vz * nz) * per
        up = vz * per - 2.0 * along * nz  # z of the mirrored line of sight
        fresnel = 0.16 + 0.84 * (1.0 + min(0.0, along)) ** 3
        for c in range(3):
            out[i, c] = sky[0, c] * open_sky * near_ground + to_sun * sun[1, c] + lit[i, c]
            seen = sky[2, c] + (sky[1, c] - sky[2, c]) * np.sqrt(up) if up > 0.0 else 0.12 * sky[0, c]
            # A street's facades hide the lower sky from a mirror.
            out[i, 3 + c] = fresnel * seen * min(1.0, max(0.15, 2.5 * up)) + 0.10 * lit[i, c]
    return out
