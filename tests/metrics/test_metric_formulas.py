"""Each metric against its formula written out plainly: windows as arrays, sums as loops, no shortcuts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from streamfuse.metrics.arrays import Doubles, Gray
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import fusion_metrics

SHAPES = [(57, 64), (48, 71)]


def picture(seed: int, shape: tuple[int, int]) -> Gray:
    """Waves and noise, a flat dark block and a corner at the end of the range."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 120 + 60 * np.sin(x / (4.0 + seed)) + 40 * np.cos(y / (3.0 + seed)) + rng.normal(0, 6, shape)
    image[10:30, 5 + seed : 30] = 20
    image[-12:, -20:] = rng.integers(252, 257, (12, 20))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def fusion_of(a: Gray, b: Gray) -> tuple[Gray, Gray, Gray]:
    """Sources and a fused image that has something of both and something of its own."""
    noise = np.random.default_rng(9).integers(-9, 10, a.shape)
    return a, b, np.clip(np.maximum(a // 2 + 20, b) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(params=SHAPES, ids=str)
def triple(request: pytest.FixtureRequest) -> tuple[Gray, Gray, Gray]:
    """Visible, infrared and fused."""
    return fusion_of(picture(0, request.param), picture(3, request.param))


def value(triple: tuple[Gray, Gray, Gray], name: str, convention: Convention = Convention.PLAIN) -> float:
    """What the package says."""
    return fusion_metrics(*triple, convention=convention, names=[name])[name]


def pairs(triple: tuple[Gray, Gray, Gray]) -> Iterator[tuple[Doubles, Doubles]]:
    """(source, fused) as floats."""
    for source in triple[:2]:
        yield source.astype(float), triple[2].astype(float)


def bits(histogram: np.ndarray) -> float:
    """Entropy."""
    p = histogram[histogram > 0] / histogram.sum()
    return float(-(p * np.log2(p)).sum())


def gauss(size: int, sigma: float) -> Doubles:
    """A two-dimensional Gaussian that sums to 1."""
    at = np.arange(size) - size // 2
    kernel = np.exp(-(at[:, None] ** 2 + at**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def filtered(image: Doubles, kernel: Doubles) -> Doubles:
    """Correlation with a kernel where it fits."""
    return np.einsum("yxij,ij->yx", sliding_window_view(image, kernel.shape), kernel)


def moments(first: Doubles, second: Doubles, kernel: Doubles) -> tuple[Doubles, ...]:
    """Weighted means, variances and covariance of all windows, deviations taken before they are squared."""
    one, two = (sliding_window_view(image, kernel.shape) for image in (first, second))
    m1, m2 = filtered(first, kernel), filtered(second, kernel)
    d1, d2 = one - m1[..., None, None], two - m2[..., None, None]
    spread = [(kernel * d * e).sum(axis=(2, 3)) for d, e in ((d1, d1), (d2, d2), (d1, d2))]
    return m1, m2, *spread


def test_entropy_and_information(triple: tuple[Gray, Gray, Gray]) -> None:
    """EN and MI from histograms; the published MI puts 254 and 255 in one bin of the joint one only."""
    levels = np.arange(257)
    assert value(triple, "EN") == pytest.approx(bits(np.histogram(triple[2], levels)[0]))
    for convention, last in ((Convention.PLAIN, 255), (Convention.PUBLISHED, 254)):
        expected = 0.0
        for source, fused in pairs(triple):
            clipped = [np.minimum(image, last).ravel() for image in (source, fused)]
            expected += bits(np.histogram(source, levels)[0]) + bits(np.histogram(fused, levels)[0])
            expected -= bits(np.histogram2d(*clipped, bins=[levels, levels])[0])
        assert value(triple, "MI", convention) == pytest.approx(expected)
    assert value(triple, "MI", Convention.PUBLISHED) != pytest.approx(value(triple, "MI"), rel=1e-9)


def test_contrast(triple: tuple[Gray, Gray, Gray]) -> None:
    """SD, SF and AG, pixel by pixel."""
    fused = triple[2].astype(float)
    rows, columns = fused.shape
    assert value(triple, "SD") == pytest.approx(fused.std())
    steps = [((fused[1:] - fused[:-1]) ** 2).mean(), ((fused[:, 1:] - fused[:, :-1]) ** 2).mean()]
    assert value(triple, "SF") == pytest.approx(math.sqrt(sum(steps)))
    assert value(triple, "SF", Convention.PUBLISHED) == pytest.approx(math.sqrt(sum(steps)) / 255)
    total = 0.0
    for y in range(rows):
        for x in range(columns):
            up, down = max(y - 1, 0), min(y + 1, rows - 1)
            left, right = max(x - 1, 0), min(x + 1, columns - 1)
            gx = (fused[y, right] - fused[y, left]) / (right - left)
            gy = (fused[down, x] - fused[up, x]) / (down - up)
            total += math.sqrt((gx**2 + gy**2) / 2)
    assert value(triple, "AG") == pytest.approx(total / ((rows - 1) * (columns - 1)))


def test_published_deviation_is_computed_in_bytes(triple: tuple[Gray, Gray, Gray]) -> None:
    """The published SD rounds F - mean, clips it at 0 and its square at 255."""
    fused = triple[2]
    mean, total = fused.mean(), 0
    for level in fused.ravel():
        deviation = max(0, math.floor(int(level) - mean + 0.5))
        total += min(255, deviation**2)
    assert value(triple, "SD", Convention.PUBLISHED) == pytest.approx(math.sqrt(total / fused.size))


def test_agreement_pixel_by_pixel(triple: tuple[Gray, Gray, Gray]) -> None:
    """CC, SCD, MSE and PSNR; the published PSNR mixes the peak 255 with an MSE on [0, 1]."""
    a, b, f = (image.astype(float).ravel() for image in triple)
    cc = (np.corrcoef(f, a)[0, 1] + np.corrcoef(f, b)[0, 1]) / 2
    assert value(triple, "CC") == pytest.approx(cc)
    assert value(triple, "SCD") == pytest.approx(np.corrcoef(f - b, a)[0, 1] + np.corrcoef(f - a, b)[0, 1])
    mse = (((f - a) ** 2).mean() + ((f - b) ** 2).mean()) / 2 / 255**2
    assert value(triple, "MSE") == pytest.approx(mse)
    assert value(triple, "PSNR") == pytest.approx(10 * math.log10(1 / mse))
    assert value(triple, "PSNR", Convention.PUBLISHED) == pytest.approx(10 * math.log10(255**2 / mse))


def information(reference: Doubles, fused: Doubles, size: int = 17) -> tuple[float, float]:
    """What is kept and what is held at the scale of a window size and at those below."""
    kernel = gauss(size, size / 5)
    if size < 17:
        reference, fused = (filtered(image, kernel)[::2, ::2] for image in (reference, fused))
    _, _, vr, vf, covariance = moments(reference, fused, kernel)
    gain = np.where(vr > 1e-10, covariance / np.maximum(vr, 1e-10), 0)
    residual = np.where(gain < 0, vf, vf - gain * covariance)
    gain = np.maximum(gain, 0)
    kept = np.log(1 + gain**2 * vr / (np.maximum(residual, 1e-10) + 2)).sum()
    held = np.log(1 + vr / 2).sum()
    if size == 3:
        return kept, held
    coarser = information(reference, fused, size // 2 + 1)
    return kept + coarser[0], held + coarser[1]


def test_visual_information(triple: tuple[Gray, Gray, Gray]) -> None:
    """VIF from the windows of four scales."""
    shares = [information(source, fused) for source, fused in pairs(triple)]
    assert value(triple, "VIF") == pytest.approx(sum(kept / held for kept, held in shares), rel=1e-6)


def test_structural_similarity(triple: tuple[Gray, Gray, Gray]) -> None:
    """SSIM from the windows of one scale."""
    expected = 0.0
    for source, fused in pairs(triple):
        m1, m2, v1, v2, covariance = moments(source, fused, gauss(11, 1.5))
        luminance = (2 * m1 * m2 + 6.5025) / (m1**2 + m2**2 + 6.5025)
        expected += (luminance * (2 * covariance + 58.5225) / (v1 + v2 + 58.5225)).mean() / 2
    assert value(triple, "SSIM") == pytest.approx(expected)


def similarity_over_scales(source: Doubles, fused: Doubles, weights: tuple[float, ...]) -> float:
    """The product over the scales from here on."""
    m1, m2, v1, v2, covariance = moments(source, fused, gauss(11, 1.5))
    factor = (2 * covariance + 58.5225) / (v1 + v2 + 58.5225)
    if len(weights) == 1:
        factor = factor * (2 * m1 * m2 + 6.5025) / (m1**2 + m2**2 + 6.5025)
        return max(0.0, factor.mean()) ** weights[0]
    half = (source.shape[0] // 2, 2, source.shape[1] // 2, 2)
    coarser = [image.reshape(half).mean(axis=(1, 3)) for image in (source, fused)]
    return max(0.0, factor.mean()) ** weights[0] * similarity_over_scales(*coarser, weights[1:])


def test_structural_similarity_over_scales() -> None:
    """MS-SSIM of an image whose sides halve four times without a rest."""
    triple = fusion_of(picture(0, (176, 192)), picture(1, (176, 192)))
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    expected = np.mean([similarity_over_scales(source, fused, weights) for source, fused in pairs(triple)])
    assert value(triple, "MS-SSIM") == pytest.approx(expected)


def sobel(image: Doubles, mode: Literal["constant", "reflect"]) -> tuple[Doubles, Doubles]:
    """Gradients to the left and upwards."""
    kernel = np.array([[1.0, 2, 1], [0, 0, 0], [-1, -2, -1]])
    padded = np.pad(image, 1, mode=mode)
    return filtered(padded, kernel.T), filtered(padded, kernel)


def test_edges_kept(triple: tuple[Gray, Gray, Gray]) -> None:
    """Qabf from gradients of whole numbers."""
    kept = total = 0.0
    for source, fused in pairs(triple):
        (ax, ay), (fx, fy) = sobel(source, "constant"), sobel(fused, "constant")
        ga, gf = np.hypot(ax, ay), np.hypot(fx, fy)
        strength = np.where(ga == gf, gf, np.minimum(ga, gf) / np.maximum(np.maximum(ga, gf), 1e-9))
        angles = [
            np.where(gx == 0, np.pi / 2, np.arctan(-gy / np.where(gx == 0, 1, gx)))
            for gx, gy in ((ax, ay), (fx, fy))
        ]
        direction = 1 - abs(angles[0] - angles[1]) * 2 / np.pi
        quality = (
            0.9994 / (1 + np.exp(-15 * (strength - 0.5))) * 0.9879 / (1 + np.exp(-22 * (direction - 0.8)))
        )
        kept, total = kept + (quality * ga).sum(), total + ga.sum()
    assert value(triple, "Qabf") == pytest.approx(kept / total, rel=1e-6)


def test_edges_made_up(triple: tuple[Gray, Gray, Gray]) -> None:
    """Nabf counts only where the fused gradient is the strongest."""
    (fx, fy) = sobel(triple[2] / 8.0, "reflect")
    gf = np.hypot(fx, fy)
    sources = [sobel(source / 8.0, "reflect") for source in triple[:2]]
    strongest = np.all([gf > np.hypot(gx, gy) for gx, gy in sources], axis=0)
    made_up = total = 0.0
    for gx, gy in sources:
        ga = np.hypot(gx, gy)
        weight = np.where(ga >= 2, ga**1.5, 0.001)
        angles = [
            np.where(np.hypot(x, y) == 0, 0, np.arctan2(x * np.where(y < 0, -1, 1), abs(y)))
            for x, y in ((gx, gy), (fx, fy))
        ]
        direction = abs(abs(angles[0] - angles[1]) - np.pi / 2) * 2 / np.pi
        strength = np.where(strongest, ga / np.maximum(gf, 1e-9), 0)
        quality = np.sqrt(
            0.9999 / (1 + np.exp(-19 * (strength - 0.5))) * 0.9995 / (1 + np.exp(-22 * (direction - 0.5)))
        )
        made_up += ((1 - quality) * weight)[strongest].sum()
        total += weight.sum()
    assert made_up > 0.0
    assert value(triple, "Nabf") == pytest.approx(made_up / total, rel=1e-6)


def window_information(first: Doubles, second: Doubles) -> float:
    """Normalised mutual information of two windows, by the whole 9x9 table."""
    if (first == second).all():
        return 1.0
    if first.max() == first.min() or second.max() == second.min():
        return 0.0
    f, a = ((window - window.min()) / (window - window.min()).sum() for window in (first, second))
    upper = np.minimum.outer(np.cumsum(f), np.cumsum(a))
    lower = np.maximum(0, np.add.outer(np.cumsum(f), np.cumsum(a)) - 1)
    correlation = np.corrcoef(f, a)[0, 1]
    bound = np.diff(np.diff(upper if correlation > 0 else lower, axis=0, prepend=0), axis=1, prepend=0)
    place = np.arange(9)
    deviations = [math.sqrt((place**2 * p).sum() - (place * p).sum() ** 2) for p in (f, a)]
    if min(deviations) == 0:
        return 0.0
    covariance = (np.outer(place, place) * bound).sum() - (place * f).sum() * (place * a).sum()
    share = correlation * deviations[0] * deviations[1] / covariance
    table = share * bound + (1 - share) * np.outer(f, a)
    joint = -(table * np.log2(abs(np.where(table == 0, 1, table)))).sum()
    apart = bits(f) + bits(a)
    return 2 * (apart - joint) / apart


def test_feature_information(triple: tuple[Gray, Gray, Gray]) -> None:
    """FMI from the full joint tables of all windows."""
    expected = []
    for source, fused in pairs(triple):
        a, f = (np.gradient(image, axis=1) for image in (source, fused))
        windows = [
            sliding_window_view(image, (3, 3)).transpose(0, 1, 3, 2).reshape(-1, 9) for image in (a, f)
        ]
        expected.append(np.mean([window_information(two, one) for one, two in zip(*windows, strict=True)]))
    assert value(triple, "FMI") == pytest.approx(np.mean(expected), rel=1e-7)


def test_difference_as_the_eye_sees_it(triple: tuple[Gray, Gray, Gray]) -> None:
    """CV by the full Fourier transform and region by region, the last ones cut short."""
    stretched = []
    for image in triple:
        low, high = int(image.min()), int(image.max())
        stretched.append(np.floor((image.astype(float) - low) / (high - low) * 255 + 0.5))
    rows, columns = triple[0].shape
    v, u = np.meshgrid(np.fft.fftfreq(rows) * rows / 4, np.fft.fftfreq(columns) * columns / 4, indexing="ij")
    r = np.sqrt(u**2 + v**2)
    eye = 2.6 * (0.0192 + 0.144 * r) * np.exp(-((0.144 * r) ** 1.1))
    seen = weights = 0.0
    for source in stretched[:2]:
        gradient = np.hypot(*sobel(source, "constant"))
        difference = np.fft.ifft2(np.fft.fft2(source - stretched[2]) * eye).real
        for y in range(0, rows, 16):
            for x in range(0, columns, 16):
                weight = (gradient[y : y + 16, x : x + 16] ** 5).sum()
                seen += weight * (difference[y : y + 16, x : x + 16] ** 2).sum() / 256
                weights += weight
    assert value(triple, "CV") == pytest.approx(seen / weights)


def test_checkerboard(triple: tuple[Gray, Gray, Gray]) -> None:
    """CHECKER from every 2x2 pixels."""
    d = np.array([[1.0, -1.0], [-1.0, 1.0]])
    a, b, f = (abs(filtered(image.astype(float), d)) for image in triple)
    assert value(triple, "CHECKER") == pytest.approx(np.maximum(0, f - np.maximum(a, b)).mean())
