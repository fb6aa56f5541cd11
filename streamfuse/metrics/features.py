"""FMI: what the gradients of the fused image tell of the gradients of its sources, window by window."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from streamfuse.metrics.arrays import Doubles, Gray, Sources

__all__ = ["feature_mutual_information"]

Whole = NDArray[np.int32]

_CELLS = 9
"""Values in a window of 3x3, taken down its columns."""
_LOG2: Doubles = np.log2(np.maximum(1, np.arange(_CELLS * 1020 + 1)))
"""Logarithms of all sums that a window can have; 0 for 0, whose part is 0 as well."""


def feature_mutual_information(sources: Sources, fused: Gray) -> float:
    """FMI: mean of FMI(F, A) and FMI(F, B) over all windows of 3x3 pixels, 0..1, 1 = the same gradients.

    Per window, I(F, A) / ((H(F) + H(A)) / 2), the features of each image stretched to 0..1 and taken as a
    distribution over the nine places, the joint distribution as a mixture (by their correlation) of the
    independent one and Frechet's bound (M. Haghighat, A. Aghagolzadeh, H. Seyedarabi: A non-reference
    image fusion metric based on mutual information of image features, 2011; M. Haghighat, M. Razian:
    Fast-FMI, 2014).

    The feature is the gradient, as in the paper; as in the authors' code it is the horizontal central
    difference. Values made from edges, DCT, wavelets or raw pixels (FMI_pixel) do not compare.
    """
    a, b, f = [_doubled_gradient(image) for image in (*sources, fused)]
    return float(_mean_information(f, a, b))


def _doubled_gradient(image: Gray) -> Whole:
    """Twice the central differences along the rows, one-sided at their ends: whole numbers, -510..510."""
    return np.ascontiguousarray(np.gradient(2.0 * image, axis=1).astype(np.int32))


@numba.njit(cache=True, error_model="numpy")
def _mean_information(f: Whole, a: Whole, b: Whole) -> float:
    """Mean over all windows and both sources of the normalised information between two feature images."""
    parts, logs = np.empty((2, _CELLS)), np.empty((2, _CELLS))
    staircase = np.empty((2 * _CELLS, 3))
    height, width = f.shape[0] - 2, f.shape[1] - 2
    total = 0.0
    for y in range(height):
        for x in range(width):
            entropy_f = _distribute(f, y, x, parts[0], logs[0])
            for source in (a, b):
                if _equal(f, source, y, x):
                    total += 1.0
                    continue
                entropy = _distribute(source, y, x, parts[1], logs[1])
                if entropy_f > 0.0 and entropy > 0.0:
                    apart = entropy_f + entropy
                    total += 2.0 - 2.0 * _joint_entropy(parts, logs, apart, staircase) / apart
    return float(total / (2 * height * width))


@numba.njit(cache=True)
def _equal(first: Whole, second: Whole, y: int, x: int) -> bool:
    """Whether two images are the same in the window that begins at (y, x)."""
    for dx in range(3):
        for dy in range(3):
            if first[y + dy, x + dx] != second[y + dy, x + dx]:
                return False
    return True


@numba.njit(cache=True, error_model="numpy")
def _distribute(features: Whole, y: int, x: int, parts: Doubles, logs: Doubles) -> float:
    """Write the window that begins at (y, x) as a distribution and the logarithms of its parts.

    Returns:
        Its entropy, in bits; 0 where it tells nothing: all values are equal, or all but one.
    """
    low, total = features[y, x], 0
    for dx in range(3):
        for dy in range(3):
            low = min(low, features[y + dy, x + dx])
            total += features[y + dy, x + dx]
    total -= _CELLS * low
    if total == 0:
        return 0.0
    entropy = 0.0
    for dx in range(3):
        for dy in range(3):
            k, level = 3 * dx + dy, features[y + dy, x + dx] - low
            parts[k] = level / total
            logs[k] = _LOG2[level] - _LOG2[total]
            entropy -= parts[k] * logs[k]
    return entropy


@numba.njit(cache=True, error_model="numpy")
def _joint_entropy(parts: Doubles, logs: Doubles, apart: float, staircase: Doubles) -> float:
    """Entropy of the mixture (1 - share) f a + share bound, in bits, for the distributions f and a.

    Only the cells of Frechet's bound need a logarithm of their own: the entropy of the independent part is
    known from ``apart`` = H(f) + H(a).
    """
    f, a = parts
    correlation, spread, means = _moments(f, a)
    cells = _bound(f, a, correlation > 0.0, staircase)
    product = 0.0
    for cell in range(cells):
        product += staircase[cell, 0] * staircase[cell, 1] * staircase[cell, 2]
    share = correlation * spread / (product - means)
    rest = 1.0 - share
    log_rest = np.log2(abs(rest)) if rest != 0.0 else 0.0
    entropy = rest * (apart - log_rest)
    for cell in range(cells):
        i, j, mass = int(staircase[cell, 0]), int(staircase[cell, 1]), staircase[cell, 2]
        independent = rest * f[i] * a[j]
        both = independent + share * mass
        entropy += independent * (log_rest + logs[0, i] + logs[1, j])
        entropy -= both * np.log2(abs(both)) if both != 0.0 else 0.0
    return entropy


@numba.njit(cache=True, error_model="numpy")
def _moments(f: Doubles, a: Doubles) -> tuple[float, float, float]:
    """Correlation of the parts of two distributions; the products of their deviations and of their means."""
    mean_f = mean_a = square_f = square_a = 0.0
    ff = aa = fa = -1.0 / _CELLS
    for k in range(_CELLS):
        mean_f, square_f, ff = mean_f + k * f[k], square_f + k * k * f[k], ff + f[k] * f[k]
        mean_a, square_a, aa = mean_a + k * a[k], square_a + k * k * a[k], aa + a[k] * a[k]
        fa += f[k] * a[k]
    spread = np.sqrt((square_f - mean_f * mean_f) * (square_a - mean_a * mean_a))
    return fa / np.sqrt(ff * aa), spread, mean_f * mean_a


@numba.njit(cache=True, error_model="numpy")
def _bound(f: Doubles, a: Doubles, rising: bool, staircase: Doubles) -> int:
    """Write Frechet's upper (rising) or lower bound as rows (i, j, mass) of a staircase; returns how many.

    The mass of the first place goes to the first (lower bound: last) places of the other distribution,
    as far as it reaches, and so on.
    """
    count = i = 0
    j, step = (0, 1) if rising else (_CELLS - 1, -1)
    left_f, left_a = f[i], a[j]
    while i < _CELLS and 0 <= j < _CELLS:
        mass = min(left_f, left_a)
        if mass > 0.0:
            staircase[count, 0], staircase[count, 1], staircase[count, 2] = i, j, mass
            count += 1
        left_f, left_a = left_f - mass, left_a - mass
        if left_f == 0.0:
            i += 1
            left_f = f[i] if i < _CELLS else 0.0
        else:
            j += step
            left_a = a[j] if 0 <= j < _CELLS else 0.0
    return count
