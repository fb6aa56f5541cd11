"""Edges kept and edges made up by the fusion: Qabf and Nabf."""

from __future__ import annotations

import numba
import numpy as np

from streamfuse.metrics.arrays import Doubles, Gray, Sources, doubles
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.filters import sobel

__all__ = ["edge_artifacts", "edge_preservation"]


def edge_preservation(sources: Sources, fused: Gray, *, convention: Convention) -> float:
    """Qabf: the share of the sources' edges that the fused image keeps, in strength and direction, 0..1.

    sum (Q_AF g_A + Q_BF g_B) / sum (g_A + g_B), g the strength of Sobel's gradient (zeros beyond the border),
    Q = Tg / (1 + exp(kg (G - Dg))) Ta / (1 + exp(ka (A - Da))), G and A the agreement in strength and
    direction, Tg .9994, kg -15, Dg .5, Ta .9879, ka -22, Da .8, L = 1 (C. S. Xydeas, V. Petrovic: Objective
    image fusion performance measure, 2000). nan where both sources are black.

    PUBLISHED: on [0, 1]. Where two strengths are equal, the field's code takes the strength itself for G: so
    the scale matters a little, and rounding decides what is equal.
    """
    scale = 255.0 if convention is Convention.PUBLISHED else 1.0
    a, b, f = [sobel(np.pad(doubles(image) / scale, 1)) for image in (*sources, fused)]
    kept, total = np.add(_kept_edges(*a, *f), _kept_edges(*b, *f))
    return float(kept / total) if total > 0.0 else float("nan")


def edge_artifacts(sources: Sources, fused: Gray) -> float:
    """Nabf: the share of edges in the fused image that no source has, 0..1, 0 = none.

    sum ((1 - Q_AF) w_A + (1 - Q_BF) w_B) over the pixels where the fused gradient is the strongest of the
    three, / sum (w_A + w_B) (V. Petrovic, C. Xydeas: Objective image fusion performance characterisation,
    2005, as modified by B. K. Shreyamsha Kumar: Multifocus and multispectral image fusion based on pixel
    significance using discrete cosine harmonic wavelet transform, 2013). Q is the root of two sigmoids
    centred at .5: height .9999 and steepness 19 in strength, .9995 and 22 in direction. w is g^1.5, or .001
    where Sobel's gradient g (an eighth of its sum, mirrored borders) is below 2 grey levels.

    Much of the field runs this on [0, 1], where no gradient ever reaches 2 and all weights are equal: such
    values do not compare.
    """
    a, b, f = [sobel(np.pad(doubles(image) / 8.0, 1, mode="reflect")) for image in (*sources, fused)]
    return float(_made_up_edges(a, b, f))


@numba.njit(cache=True, error_model="numpy")
def _kept_edges(ax: Doubles, ay: Doubles, fx: Doubles, fy: Doubles) -> tuple[float, float]:
    """The sums of Q g and of g, over the gradients of one source and of the fused image."""
    kept = total = 0.0
    for y in range(ax.shape[0]):
        for x in range(ax.shape[1]):
            ga = np.sqrt(ax[y, x] * ax[y, x] + ay[y, x] * ay[y, x])
            gf = np.sqrt(fx[y, x] * fx[y, x] + fy[y, x] * fy[y, x])
            total += ga
            if ga == 0.0:
                continue
            strength = gf if ga == gf else min(ga, gf) / max(ga, gf)
            # x points left, as the field's convolution has it: it decides which angles are next to +pi/2.
            angle_a = np.pi / 2.0 if ax[y, x] == 0.0 else np.arctan(ay[y, x] / -ax[y, x])
            angle_f = np.pi / 2.0 if fx[y, x] == 0.0 else np.arctan(fy[y, x] / -fx[y, x])
            direction = 1.0 - abs(angle_a - angle_f) / (np.pi / 2.0)
            in_strength = 0.9994 / (1.0 + np.exp(-15.0 * (strength - 0.5)))
            in_direction = 0.9879 / (1.0 + np.exp(-22.0 * (direction - 0.8)))
            kept += in_strength * in_direction * ga
    return kept, total


@numba.njit(cache=True, error_model="numpy")
def _made_up_edges(
    a: tuple[Doubles, Doubles], b: tuple[Doubles, Doubles], f: tuple[Doubles, Doubles]
) -> float:
    """Weighted share of the pixels where the fused gradient outdoes both sources; (gx, gy) of each image."""
    made_up = total = 0.0
    for y in range(f[0].shape[0]):
        for x in range(f[0].shape[1]):
            ga, gb = np.hypot(a[0][y, x], a[1][y, x]), np.hypot(b[0][y, x], b[1][y, x])
            gf = np.hypot(f[0][y, x], f[1][y, x])
            wa = ga**1.5 if ga >= 2.0 else 0.001
            wb = gb**1.5 if gb >= 2.0 else 0.001
            total += wa + wb
            if gf > ga and gf > gb:
                angle = _angle(f[0][y, x], f[1][y, x])
                made_up += wa * (1.0 - _agreement(ga / gf, _angle(a[0][y, x], a[1][y, x]) - angle))
                made_up += wb * (1.0 - _agreement(gb / gf, _angle(b[0][y, x], b[1][y, x]) - angle))
    return made_up / total


@numba.njit(cache=True, error_model="numpy")
def _angle(gx: float, gy: float) -> float:
    """Direction of a gradient without its sign, -pi/2..pi/2; 0 where there is none."""
    return 0.0 if gx == 0.0 and gy == 0.0 else np.arctan(gx / gy)


@numba.njit(cache=True, error_model="numpy")
def _agreement(strength: float, turn: float) -> float:
    """Q of Nabf: ``strength`` is the weaker over the stronger gradient, ``turn`` the angle between them."""
    direction = abs(abs(turn) - np.pi / 2.0) * 2.0 / np.pi
    in_strength = 0.9999 / (1.0 + np.exp(-19.0 * (strength - 0.5)))
    in_direction = 0.9995 / (1.0 + np.exp(-22.0 * (direction - 0.5)))
    return float(np.sqrt(in_strength * in_direction))
