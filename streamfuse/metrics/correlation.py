"""Agreement with the sources pixel by pixel: CC, SCD, MSE and PSNR."""

from __future__ import annotations

import numpy as np

from streamfuse.metrics.arrays import Doubles, Gray, Sources, doubles
from streamfuse.metrics.convention import Convention

__all__ = [
    "correlation",
    "mean_squared_error",
    "peak_signal_to_noise",
    "sum_of_correlations_of_differences",
]


def correlation(sources: Sources, fused: Gray) -> float:
    """CC: mean of the linear correlations corr(F, A) and corr(F, B), -1..1; nan where an image is constant.

    J. Ma, Y. Ma, C. Li: Infrared and visible image fusion methods and applications: a survey, 2019.
    """
    first, second = sources
    f = doubles(fused)
    return (_corr(f, doubles(first)) + _corr(f, doubles(second))) / 2.0


def sum_of_correlations_of_differences(sources: Sources, fused: Gray) -> float:
    """SCD: how well each source is what the other one lacks of the fused image, -2..2.

    corr(F - B, A) + corr(F - A, B) (V. Aslantas, E. Bendes: A new image quality metric for image fusion: the
    sum of the correlations of differences, 2015). nan where a source or a difference is constant.
    """
    a, b, f = doubles(sources[0]), doubles(sources[1]), doubles(fused)
    return _corr(f - b, a) + _corr(f - a, b)


def mean_squared_error(sources: Sources, fused: Gray) -> float:
    """MSE: mean of the squared differences to both sources, on [0, 1].

    (MSE(F, A) + MSE(F, B)) / 2 (J. Ma, Y. Ma, C. Li, 2019, as CC).
    """
    f = doubles(fused) / 255.0
    return float(sum(np.mean((f - doubles(source) / 255.0) ** 2) for source in sources) / 2.0)


def peak_signal_to_noise(sources: Sources, fused: Gray, *, convention: Convention) -> float:
    """PSNR: 20 log10(peak / sqrt(MSE)) in dB with peak 1 and the MSE on [0, 1]; inf where the MSE is 0.

    PUBLISHED: peak 255 with the MSE on [0, 1] all the same, 48 dB too high.
    """
    peak = 255.0 if convention is Convention.PUBLISHED else 1.0
    error = mean_squared_error(sources, fused)
    return float(20.0 * np.log10(peak / np.sqrt(error))) if error > 0.0 else float("inf")


def _corr(first: Doubles, second: Doubles) -> float:
    """Pearson's correlation; nan where one of them is constant."""
    x, y = first - first.mean(), second - second.mean()
    norm = np.sqrt(np.sum(x * x) * np.sum(y * y))  # not np.dot: its threads would fight over the cores
    return float(np.sum(x * y) / norm) if norm > 0.0 else float("nan")
