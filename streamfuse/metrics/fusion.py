"""The image metrics by name: what each one is, and their values for a fused image and its two sources."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from streamfuse.errors import UsageError
from streamfuse.metrics.arrays import Gray, Sources
from streamfuse.metrics.checker import checkerboard
from streamfuse.metrics.contrast import average_gradient, spatial_frequency, standard_deviation
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.correlation import (
    correlation,
    mean_squared_error,
    peak_signal_to_noise,
    sum_of_correlations_of_differences,
)
from streamfuse.metrics.edges import edge_artifacts, edge_preservation
from streamfuse.metrics.entropy import entropy, mutual_information
from streamfuse.metrics.features import feature_mutual_information
from streamfuse.metrics.regions import visible_difference
from streamfuse.metrics.ssim import multiscale_structural_similarity, structural_similarity
from streamfuse.metrics.vif import visual_information_fidelity

__all__ = ["METRICS", "Metric", "fusion_metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One image metric: how to read its numbers, and the function that makes them."""

    name: str
    """As the field's tables head their columns."""
    unit: str
    """``1`` for a plain number."""
    better: Literal["higher", "lower", "neither"]
    """Which way is better, all else equal."""
    source: str
    """Who defined it, and when."""
    min_side: int = 2
    """Pixels that rows and columns must have at least, so that its largest window fits."""
    compute: Callable[[Sources, Gray, Convention], float]
    """From the sources (visible, infrared), the fused image and the convention."""


_LIST = (
    Metric(
        name="EN",
        unit="bit",
        better="higher",
        source="Roberts, van Aardt, Ahmed 2008",
        compute=lambda _sources, fused, _convention: entropy(fused),
    ),
    Metric(
        name="SD",
        unit="grey levels",
        better="higher",
        source="Rao 1997",
        compute=lambda _sources, fused, convention: standard_deviation(fused, convention=convention),
    ),
    Metric(
        name="SF",
        unit="grey levels",
        better="higher",
        source="Eskicioglu, Fisher 1995",
        compute=lambda _sources, fused, convention: spatial_frequency(fused, convention=convention),
    ),
    Metric(
        name="AG",
        unit="grey levels per pixel",
        better="higher",
        source="Cui et al. 2015",
        compute=lambda _sources, fused, _convention: average_gradient(fused),
    ),
    Metric(
        name="MI",
        unit="bit",
        better="higher",
        source="Qu, Zhang, Yan 2002",
        compute=lambda sources, fused, convention: mutual_information(sources, fused, convention=convention),
    ),
    Metric(
        name="SCD",
        unit="1",
        better="higher",
        source="Aslantas, Bendes 2015",
        compute=lambda sources, fused, _convention: sum_of_correlations_of_differences(sources, fused),
    ),
    Metric(
        name="CC",
        unit="1",
        better="higher",
        source="Ma, Ma, Li 2019",
        compute=lambda sources, fused, _convention: correlation(sources, fused),
    ),
    Metric(
        name="MSE",
        unit="1",
        better="lower",
        source="Ma, Ma, Li 2019",
        compute=lambda sources, fused, _convention: mean_squared_error(sources, fused),
    ),
    Metric(
        name="PSNR",
        unit="dB",
        better="higher",
        source="Ma, Ma, Li 2019",
        compute=lambda sources, fused, convention: peak_signal_to_noise(
            sources, fused, convention=convention
        ),
    ),
    Metric(
        name="VIF",
        unit="1",
        better="higher",
        source="Sheikh, Bovik 2006 (pixel domain)",
        min_side=41,
        compute=lambda sources, fused, convention: visual_information_fidelity(
            sources, fused, convention=convention
        ),
    ),
    Metric(
        name="Qabf",
        unit="1",
        better="higher",
        source="Xydeas, Petrovic 2000",
        compute=lambda sources, fused, convention: edge_preservation(sources, fused, convention=convention),
    ),
    Metric(
        name="Nabf",
        unit="1",
        better="lower",
        source="Petrovic, Xydeas 2005; Shreyamsha Kumar 2013",
        compute=lambda sources, fused, _convention: edge_artifacts(sources, fused),
    ),
    Metric(
        name="FMI",
        unit="1",
        better="higher",
        source="Haghighat, Aghagolzadeh, Seyedarabi 2011",
        min_side=3,
        compute=lambda sources, fused, _convention: feature_mutual_information(sources, fused),
    ),
    Metric(
        name="SSIM",
        unit="1",
        better="higher",
        source="Wang, Bovik, Sheikh, Simoncelli 2004",
        min_side=11,
        compute=lambda sources, fused, _convention: structural_similarity(sources, fused),
    ),
    Metric(
        name="MS-SSIM",
        unit="1",
        better="higher",
        source="Wang, Simoncelli, Bovik 2003",
        min_side=161,
        compute=lambda sources, fused, _convention: multiscale_structural_similarity(sources, fused),
    ),
    Metric(
        name="CV",
        unit="grey levels^2",
        better="lower",
        source="Chen, Varshney 2007",
        compute=lambda sources, fused, _convention: visible_difference(sources, fused),
    ),
    Metric(
        name="CHECKER",
        unit="grey levels",
        better="lower",
        source="this project",
        compute=lambda sources, fused, _convention: checkerboard(sources, fused),
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _LIST})
"""All image metrics, in the order of the tables."""


def fusion_metrics(
    visible: Gray,
    infrared: Gray,
    fused: Gray,
    *,
    convention: Convention = Convention.PLAIN,
    names: Collection[str] | None = None,
) -> dict[str, float]:
    """Judge a fused image by its sources.

    Args:
        visible: HxW uint8 grey, see :func:`streamfuse.metrics.gray.gray_of`.
        infrared: HxW uint8 grey.
        fused: HxW uint8 grey.
        convention: which scalings; say it next to every number.
        names: of :data:`METRICS`; None: all of them.

    Returns:
        Value by name, in the order of :data:`METRICS`. nan where a metric is not defined (a constant image
        has no correlation, for example), inf for the PSNR of equal images.

    Raises:
        UsageError: an unknown name, images of different sizes or another type, or images too small for a
            metric asked for.
    """
    chosen = _chosen(names)
    _check_images({"visible": visible, "infrared": infrared, "fused": fused})
    _check_size(chosen, fused.shape)
    return {metric.name: metric.compute((visible, infrared), fused, convention) for metric in chosen}


def _chosen(names: Collection[str] | None) -> list[Metric]:
    for name in names or ():
        if name not in METRICS:
            by_lower = {known.lower(): known for known in METRICS}
            near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)[0]
            raise UsageError(f"no metric {name!r}; nearest: {by_lower[near]!r}; all: {', '.join(METRICS)}")
    return [metric for metric in METRICS.values() if names is None or metric.name in names]


def _check_images(images: Mapping[str, Gray]) -> None:
    for name, image in images.items():
        if image.dtype != np.uint8 or image.ndim != 2:
            raise UsageError(
                f"metrics want grey images HxW uint8, got {name} {_spelled(image.shape)} {image.dtype}; "
                "bring it to 8 bits and pass it through gray_of first"
            )
    if len({image.shape for image in images.values()}) > 1:
        sizes = ", ".join(f"{name} {_spelled(image.shape)}" for name, image in images.items())
        raise UsageError(f"metrics want three images of one size, got {sizes} (rows x columns)")


def _check_size(chosen: list[Metric], shape: tuple[int, ...]) -> None:
    too_large = [metric for metric in chosen if metric.min_side > min(shape)]
    if too_large:
        worst = max(too_large, key=lambda metric: metric.min_side)
        raise UsageError(
            f"{worst.name} needs at least {worst.min_side} rows and columns for its windows to fit, got "
            f"{_spelled(shape)}; use larger images, or leave out {', '.join(m.name for m in too_large)}"
        )


def _spelled(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
