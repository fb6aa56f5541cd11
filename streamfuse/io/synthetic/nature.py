"""Sky, clouds and trees, and the posts along the kerb: all on planes that face the cameras."""

from __future__ import annotations

import math

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, Mask, floats
from streamfuse.io.synthetic.canvas import Canvas
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.lights import spot
from streamfuse.io.synthetic.noise import fractal, fractal_at

__all__ = ["LAMP_COLOUR", "LAMP_HEADS", "TREES", "lamp_spots", "paint_sky", "plant_trees", "put_posts"]


TREES = ((-6.1, 27.8), (-6.1, 41.5), (-6.1, 55.0), (4.6, 20.5), (4.5, 31.5), (4.5, 45.0), (4.5, 57.0))
"""x, y of the trunks."""
_LAMPS = ((-5.95, 17.6), (4.1, 12.3), (-5.95, 36.0), (4.05, 26.0), (4.05, 42.0), (-5.95, 52.0))
_ARM_M, _LAMP_Z = 1.3, 6.0
LAMP_HEADS = tuple((x - math.copysign(_ARM_M, x), y, _LAMP_Z) for x, y in _LAMPS)
"""Where the light of each lamp comes from."""
LAMP_COLOUR = (1.0, 0.70, 0.38)
_TO_CAMERA = (0.0, -1.0, 0.0)


def lamp_spots(climate: Climate) -> Floats:
    """The street lamps as spots."""
    strength = 17.0 * climate.lamps
    red, green, blue = (strength * c for c in LAMP_COLOUR)
    heads = ((x, y, z - 0.1) for x, y, z in LAMP_HEADS)
    return np.stack([spot(head, (0, 0, -1), (red, green, blue), sharpness=0.9) for head in heads])


def paint_sky(canvas: Canvas, rng: np.random.Generator, climate: Climate) -> None:
    """Gradient and clouds, wherever nothing else is: paint it last."""
    empty = np.flatnonzero(np.isinf(canvas.depth))
    rays = canvas.rays[empty]
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    up = np.clip(rays[:, 2], 0.0, 1.0)
    spread = 1.0 / (up + 0.16)
    tile = fractal(rng, 7, first=2, gain=0.58)
    puff = fractal_at(tile, rays[:, 0] * spread * 0.30, rays[:, 1] * spread * 0.30)
    cloud = np.clip((puff - 0.72 + 0.45 * climate.cloud) * 3.5, 0, 1)
    clear = climate.sky_towards(up)
    horizon, ambient = floats(climate.horizon), floats(climate.ambient)
    lit = 0.55 * ambient + 0.7 * horizon * (1 - 0.7 * up[:, None]) + 0.25 * floats(climate.sun)
    cover = (0.85 * cloud)[:, None]
    canvas.glow[empty] = clear * (1 - cover) + lit * (1.12 - 0.5 * puff[:, None]) * cover
    low, high = climate.sky_c
    canvas.heat_c[empty] = low + (high - low) * np.sqrt(up) + cloud * 0.55 * (low - high) * np.sqrt(up)


def plant_trees(canvas: Canvas, rng: np.random.Generator, climate: Climate) -> None:
    """Trees from far to near: crowns of leaf clusters with gaps, trunks with bark."""
    leaf = fractal(rng, 7, first=16, gain=0.85)
    for x, y in TREES:
        own = np.random.default_rng(rng.integers(2**32))
        height, radius = float(own.uniform(6.6, 8.6)), float(own.uniform(1.7, 2.3))
        patch = canvas.plane(1, y, ((x - 3.4, x + 3.4), (0, 0), (0.0, height + 1.5)))
        across, up = patch.points[:, 0] - x, patch.points[:, 2]
        noise = fractal_at(leaf, across / 3.1 + x, up / 3.1 + y)
        crown, light = _crown(own, across, up, noise, height, radius)
        trunk = np.abs(across - 0.12 * np.sin(up * 0.9)) < 0.17 - 0.018 * up + 0.10 * np.exp(-up * 3)
        trunk &= (up < height - 1.5) & ~crown
        green = floats(own.choice([(0.075, 0.11, 0.03), (0.06, 0.10, 0.035), (0.13, 0.11, 0.03)]))
        shown = patch.where(crown)
        canvas.put(
            shown,
            green * light[crown, None],
            climate.leaves_c + 1.8 * (noise[crown] - 0.5) + 0.4 * light[crown],
            normal=(0.0, -0.8, 0.6),
        )
        bark = fractal_at(leaf, across[trunk] / 0.7, up[trunk] / 3.9)
        tone = 0.075 * (0.4 + 1.2 * bark) * (1 - 0.5 * np.clip(across[trunk] / 0.17, -1, 1) ** 2)
        canvas.put(
            patch.where(trunk),
            tone[:, None] * floats((1.1, 1.0, 0.85)),
            np.float32(climate.leaves_c + 1.6) + 1.2 * bark,
            normal=(0.0, -1.0, 0.0),
        )


def _crown(
    rng: np.random.Generator, across: Floats, up: Floats, noise: Floats, height: float, radius: float
) -> tuple[Mask, Floats]:
    """Where leaves are, and how much light each gets (around 1)."""
    density = np.full(across.shape, -1.0, np.float32)
    light = np.ones(across.shape, np.float32)
    for _ in range(16):
        angle, reach = rng.uniform(0, 2 * np.pi), radius * float(np.sqrt(rng.random())) * 0.85
        cx, cz = reach * np.cos(angle), height - radius * 1.15 + reach * np.sin(angle) * 0.95
        size = float(rng.uniform(0.5, 1.0)) * radius * 0.55
        dx, dz = (across - cx) / size, (up - cz) / size
        inside = (1.0 - dx * dx - dz * dz).astype(np.float32)
        nearer = inside > density
        density = np.where(nearer, inside, density)
        light = np.where(nearer, 0.75 + 0.5 * dz - 0.15 * dx, light).astype(np.float32)
    leaves = noise + 0.30 * np.clip(density, -1, 0.6) > 0.44
    return leaves & (density > -0.8), np.clip(light * (0.35 + 1.3 * noise), 0.12, 2.2)


def put_posts(canvas: Canvas, climate: Climate) -> None:
    """Street lamps with an arm over the road, and bollards."""
    for x, y in _LAMPS:
        _put_lamp(canvas, climate, x, y)
    for y in np.arange(11.0, 20.0, 1.8):
        _put_bollard(canvas, climate, -5.85, float(y))


def _put_lamp(canvas: Canvas, climate: Climate, x: float, y: float) -> None:
    side = -math.copysign(1.0, x)
    patch = canvas.plane(1, y, ((x - 1.8, x + 1.8), (0, 0), (0, _LAMP_Z + 0.4)))
    across, up = (patch.points[:, 0] - x) * side, patch.points[:, 2]
    post = (np.abs(across) < np.where(up < 1.0, 0.09, 0.055)) & (up < _LAMP_Z)
    post |= (np.abs(up - _LAMP_Z - 0.12 * across) < 0.045) & (across > 0) & (across < _ARM_M - 0.2)
    tone = 0.10 * (1 - 0.6 * np.clip(across[post] / 0.07, -1, 1))
    cold = np.full(len(tone), climate.air_c - 0.5, np.float32)
    canvas.put(patch.where(post), np.clip(tone, 0.03, 0.2)[:, None], cold, normal=_TO_CAMERA)
    head = (np.abs(across - _ARM_M) < 0.30) & (np.abs(up - _LAMP_Z - 0.12) < 0.07)
    shining = np.where(up[head] < _LAMP_Z + 0.11, 9.0 * climate.lamps, 0.0)
    warm = np.full(len(shining), climate.air_c + 17.0 * climate.lamps, np.float32)
    dark = np.full((len(shining), 1), 0.12, np.float32)
    glow = floats(shining[:, None] * floats(LAMP_COLOUR))
    canvas.put(patch.where(head), dark, warm, normal=_TO_CAMERA, glow=glow)


def _put_bollard(canvas: Canvas, climate: Climate, x: float, y: float) -> None:
    patch = canvas.plane(1, y, ((x - 0.2, x + 0.2), (0, 0), (0, 0.95)))
    across, up = patch.points[:, 0] - x, patch.points[:, 2]
    shown = np.abs(across) < 0.06 * np.sqrt(np.clip((0.93 - up) / 0.06, 0, 1))
    band = np.abs(up - 0.8) < 0.06
    tone = np.where(band, 0.5, 0.06) * (1 - 0.5 * np.clip(across / 0.06, -1, 1) ** 2)
    cool = np.full(int(shown.sum()), climate.air_c + 0.3, np.float32)
    canvas.put(patch.where(shown), floats(tone[shown, None]), cool, normal=_TO_CAMERA)
