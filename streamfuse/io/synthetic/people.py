"""People: their bodies, clothes and warmth. How they move is in :mod:`~streamfuse.io.synthetic.gait`."""

from __future__ import annotations

import numpy as np

from streamfuse.io.synthetic.arrays import Floats
from streamfuse.io.synthetic.climate import Climate
from streamfuse.io.synthetic.gait import (
    ARM,
    ARM_M,
    FOOT,
    FOREARM,
    HEAD,
    SHANK,
    SHANK_M,
    SOLE_M,
    THIGH,
    THIGH_M,
    TORSO,
)
from streamfuse.io.synthetic.mesh import Mesh, Skin, join, tube
from streamfuse.io.synthetic.noise import fractal

__all__ = ["body", "clothes"]

_PATCH_ROW = {"torso": 0, "head": 1, "thigh": 2, "shank": 3, "foot": 4, "arm": 5, "forearm": 6, "bag": 7}
_PATCH_PX = 40


def _patch(name: str) -> tuple[float, float, float, float]:
    row = _PATCH_ROW[name]
    return (0.0, row / len(_PATCH_ROW), 1.0, (row + 1) / len(_PATCH_ROW))


Rings = tuple[tuple[float, float, float, float], ...]

_TORSO_RINGS: Rings = (
    (0.565, 0.065, 0.065, 0.0),
    (0.545, 0.100, 0.080, -0.010),
    (0.510, 0.170, 0.095, -0.012),
    (0.460, 0.205, 0.110, -0.008),
    (0.380, 0.195, 0.125, 0.0),
    (0.240, 0.170, 0.120, 0.012),
    (0.120, 0.165, 0.122, 0.008),
    (0.000, 0.180, 0.130, 0.0),
)
_HEAD_RINGS: Rings = (
    (0.250, 0.045, 0.055, -0.008),
    (0.223, 0.080, 0.096, -0.005),
    (0.155, 0.088, 0.108, 0.0),
    (0.085, 0.078, 0.100, 0.006),
    (0.030, 0.058, 0.078, 0.016),
    (0.010, 0.055, 0.058, -0.004),
    (-0.060, 0.060, 0.060, -0.012),
)
_THIGH_RINGS: Rings = (
    (0.050, 0.085, 0.095, 0.0),
    (-0.100, 0.088, 0.095, 0.0),
    (-0.280, 0.070, 0.078, 0.0),
    (-THIGH_M - 0.03, 0.058, 0.064, 0.0),
)
_SHANK_RINGS: Rings = (
    (0.030, 0.057, 0.062, 0.0),
    (-0.120, 0.058, 0.066, -0.012),
    (-0.300, 0.048, 0.052, -0.004),
    (-SHANK_M - 0.02, 0.047, 0.055, 0.0),
)
_FOOT_RINGS: Rings = (
    (0.020, 0.038, 0.050, -0.010),
    (-0.020, 0.044, 0.090, 0.030),
    (-0.050, 0.048, 0.128, 0.055),
    (-SOLE_M, 0.048, 0.130, 0.055),
)
_ARM_RINGS: Rings = (
    (0.030, 0.034, 0.042, 0.0),
    (0.000, 0.052, 0.058, 0.0),
    (-0.080, 0.054, 0.060, 0.0),
    (-ARM_M - 0.02, 0.046, 0.050, 0.0),
)
_FOREARM_RINGS: Rings = (
    (0.020, 0.046, 0.050, 0.0),
    (-0.200, 0.037, 0.040, 0.0),
    (-0.245, 0.026, 0.034, 0.0),
    (-0.300, 0.026, 0.046, 0.004),
    (-0.370, 0.020, 0.030, 0.010),
)
_PACK_RINGS: Rings = (
    (0.470, 0.110, 0.060, -0.17),
    (0.420, 0.140, 0.100, -0.19),
    (0.200, 0.145, 0.110, -0.20),
    (0.100, 0.120, 0.070, -0.17),
)
_LIMBS = (
    ("thigh", THIGH, _THIGH_RINGS, 7),
    ("shank", SHANK, _SHANK_RINGS, 7),
    ("foot", FOOT, _FOOT_RINGS, 7),
    ("arm", ARM, _ARM_RINGS, 6),
    ("forearm", FOREARM, _FOREARM_RINGS, 6),
)
"""Name of the patch, left bone, shape, and number of sides."""


def body(rng: np.random.Generator, *, part: int = 0, luggage: bool = True) -> Mesh:
    """The mesh of one person, unit size; build, coat and luggage vary with ``rng``."""
    wide = float(rng.uniform(0.92, 1.14))
    coat = float(rng.choice([-0.06, -0.08, -0.12, -0.34]))
    flare = 0.02 if coat < -0.2 else 0.0
    hem = (coat, 0.176 + flare, 0.132 + flare, 0.0)
    trunk = [(z, x * wide, y * wide, centre) for z, x, y, centre in (*_TORSO_RINGS, hem)]
    pieces = [
        tube(trunk, sides=10, patch=_patch("torso")).on(TORSO, part),
        tube(_HEAD_RINGS, sides=9, patch=_patch("head")).on(HEAD, part),
    ]
    for name, bone, rings, sides in _LIMBS:
        limb = tube(rings, sides=sides, patch=_patch(name))
        pieces += [limb.on(bone, part), limb.on(bone + 1, part)]
    if luggage and rng.random() < 0.45:
        pieces.append(tube(_PACK_RINGS, sides=7, patch=_patch("bag")).on(TORSO, part))
    return join(pieces)


_CLOTH = np.array(
    [
        (0.020, 0.022, 0.028),
        (0.035, 0.036, 0.040),
        (0.03, 0.045, 0.10),
        (0.09, 0.075, 0.055),
        (0.05, 0.06, 0.035),
        (0.22, 0.03, 0.03),
        (0.30, 0.28, 0.25),
        (0.10, 0.12, 0.15),
        (0.16, 0.10, 0.05),
        (0.07, 0.02, 0.05),
        (0.45, 0.43, 0.40),
        (0.03, 0.09, 0.09),
    ],
    np.float32,
)
_TROUSERS = np.array(
    [(0.018, 0.019, 0.022), (0.03, 0.04, 0.075), (0.05, 0.06, 0.09), (0.10, 0.085, 0.06), (0.04, 0.04, 0.04)],
    np.float32,
)
_SKIN = np.array([(0.48, 0.30, 0.22), (0.42, 0.26, 0.18), (0.28, 0.16, 0.10), (0.14, 0.08, 0.05)], np.float32)
_HAIR = np.array(
    [(0.012, 0.010, 0.009), (0.05, 0.03, 0.018), (0.16, 0.11, 0.06), (0.20, 0.19, 0.18)], np.float32
)


def clothes(rng: np.random.Generator, climate: Climate) -> Skin:
    """Colours and temperatures for a :func:`body`: bare skin is warmest, thick cloth coldest."""
    paint = np.zeros((len(_PATCH_ROW) * _PATCH_PX, _PATCH_PX, 5), np.float32)
    heat_c = np.zeros(paint.shape[:2], np.float32)
    folds = np.resize(fractal(rng, 5, first=4)[:, ::5][:, :_PATCH_PX], heat_c.shape)
    jacket, trousers = rng.choice(_CLOTH), rng.choice(_TROUSERS)
    skin, hair = rng.choice(_SKIN), rng.choice(_HAIR)
    warmth = float(rng.uniform(0.30, 0.50))  # share of the body's excess warmth that the jacket lets out

    def area(name: str, colour: Floats, share: float, rows: slice = slice(None)) -> None:
        start = _PATCH_ROW[name] * _PATCH_PX
        block = np.arange(start, start + _PATCH_PX)[rows]
        fold = folds[block]
        cloth = share < 0.9
        paint[block, :, :3] = colour * (
            0.55 + 0.9 * fold[:, :, None] if cloth else 0.85 + 0.3 * fold[:, :, None]
        )
        warm = climate.air_c + share * (climate.skin_c - climate.air_c)
        heat_c[block] = warm + (fold - 0.5) * ((7.0 if cloth else 2.0) * min(1.0, share * 2))

    area("torso", jacket, warmth)
    area("arm", jacket, warmth * 0.95)
    area("forearm", jacket, warmth * 1.05)
    area("forearm", skin, 0.92, slice(int(_PATCH_PX * 0.63), None))
    area("thigh", trousers, float(rng.uniform(0.55, 0.75)))
    area("shank", trousers, float(rng.uniform(0.48, 0.66)))
    area("foot", rng.choice(_CLOTH), 0.32)
    area("head", skin, 1.0)
    area("bag", rng.choice(_CLOTH), 0.12)
    _paint_torso(rng, paint, heat_c, jacket)
    _paint_head(paint, heat_c, hair, climate)
    return Skin(paint=paint, heat_c=heat_c)


def _paint_torso(rng: np.random.Generator, paint: Floats, heat_c: Floats, jacket: Floats) -> None:
    """Zip, collar, quilting or stripes."""
    rows = slice(0, _PATCH_PX)
    middle = _PATCH_PX // 2
    paint[2:_PATCH_PX, middle : middle + 1, :3] *= 0.45
    heat_c[2:_PATCH_PX, middle : middle + 1] += 2.0
    heat_c[:4] += 4.0  # the open collar
    style = int(rng.integers(0, 4))
    if style == 0:  # a quilted jacket leaks warmth at its seams
        paint[rows][5::5, :, :3] *= 0.7
        heat_c[rows][5::5] += 2.5
    elif style == 1:
        paint[8:14, :, :3] = np.clip(1.0 - 2.0 * jacket, 0.05, 0.5)
    heat_c[10:22, middle - 9 : middle + 10] += 1.2  # chest


def _paint_head(paint: Floats, heat_c: Floats, hair: Floats, climate: Climate) -> None:
    """Hair above and behind the face, eyes and mouth in their shade; hair and nose are cooler."""
    top = _PATCH_ROW["head"] * _PATCH_PX
    block, warm = paint[top : top + _PATCH_PX], heat_c[top : top + _PATCH_PX]
    row, column = np.mgrid[0:_PATCH_PX, 0:_PATCH_PX].astype(np.float32) / _PATCH_PX
    aside = np.abs(column - 0.5)
    hairy = (row < 0.22) | ((aside > 0.24) & (row < 0.62))
    block[hairy, :3] = hair * (
        0.6 + 0.8 * paint[top : top + _PATCH_PX][hairy, :1] / max(float(block[..., 0].max()), 1e-3)
    )
    warm[hairy] -= 0.26 * (climate.skin_c - climate.air_c)
    eyes = (np.abs(aside - 0.085) < 0.035) & (np.abs(row - 0.42) < 0.025)
    block[eyes, :3] *= 0.3
    mouth = (aside < 0.06) & (np.abs(row - 0.62) < 0.015)
    block[mouth, :3] *= np.array([0.8, 0.45, 0.45], np.float32)
    warm[(aside < 0.03) & (np.abs(row - 0.5) < 0.05)] -= 2.0
