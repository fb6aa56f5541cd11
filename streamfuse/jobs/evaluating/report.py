"""What an evaluation of fused images found: values, means, and the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from streamfuse.errors import OutputError, UsageError
from streamfuse.io.files import check_writable
from streamfuse.io.images import SUFFIXES
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import METRICS

__all__ = ["FusionReport", "check_reports", "in_short"]

Values = Mapping[str, Mapping[str, float]]
"""Stem to metric to value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionReport:
    """Every metric of every image, for one or more sets of the same images."""

    convention: Convention
    metrics: tuple[str, ...]
    folders: Mapping[str, Path]
    """Name of a set to the folder of its images."""
    sets: Mapping[str, Values]
    """Name of a set to its values; all sets have the same stems in the same order."""
    left_out: tuple[str, ...] = ()
    """Stems that were wanted, but not in every folder."""
    unfused: int = 0
    """Pairs of sources that no set has a fused image of."""

    @property
    def stems(self) -> tuple[str, ...]:
        """The images that were compared."""
        return tuple(next(iter(self.sets.values())))

    def unit(self, metric: str) -> str:
        """Unit of a metric's values; empty for a plain number, and under the published scalings."""
        unit = METRICS[metric].unit
        return unit if self.convention is Convention.PLAIN and unit != "1" else ""

    def undefined(self, metric: str) -> tuple[str, ...]:
        """Images for which a metric has no finite value in some set: flat, equal or too small ones."""
        return tuple(
            stem
            for stem in self.stems
            if not all(math.isfinite(values[stem][metric]) for values in self.sets.values())
        )

    def mean(self, set_name: str, metric: str) -> float | None:
        """Mean over the images for which the metric is defined in every set; None where it is in none."""
        out = set(self.undefined(metric))
        values = [image[metric] for stem, image in self.sets[set_name].items() if stem not in out]
        return fmean(values) if values else None

    def best(self, metric: str) -> frozenset[str]:
        """The sets with the best mean: none for a metric without a better side, or if all are equal."""
        means = {name: mean for name in self.sets if (mean := self.mean(name, metric)) is not None}
        better = METRICS[metric].better
        if better == "neither" or len(set(means.values())) < 2:
            return frozenset()
        best = (max if better == "higher" else min)(means.values())
        return frozenset(name for name, mean in means.items() if mean == best)

    def as_dict(self) -> dict[str, Any]:
        """The report in plain values, for JSON; a value that is not finite is None."""
        return {
            "convention": self.convention.value,
            "metrics": {
                name: {"unit": self.unit(name), "better": METRICS[name].better} for name in self.metrics
            },
            "folders": {name: str(folder) for name, folder in self.folders.items()},
            "left_out": list(self.left_out),
            "undefined": {name: list(stems) for name in self.metrics if (stems := self.undefined(name))},
            "sets": {name: self._set_as_dict(name) for name in self.sets},
        }

    def as_csv(self) -> str:
        """One row for each set and image."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["set", "image", "convention", *self.metrics])
        for name, images in self.sets.items():
            for stem, values in images.items():
                table.writerow([name, stem, self.convention, *(values[metric] for metric in self.metrics)])
        return text.getvalue()

    def _set_as_dict(self, name: str) -> dict[str, Any]:
        return {
            "mean": {metric: self.mean(name, metric) for metric in self.metrics},
            "images": {
                stem: {metric: _finite(values[metric]) for metric in self.metrics}
                for stem, values in self.sets[name].items()
            },
        }


def check_reports(paths: Sequence[Path], *, images: Sequence[Path]) -> None:
    """Make sure, before the work, that reports can be written.

    Args:
        paths: files to write; older ones will be replaced.
        images: folders that no picture may be written into, where it would be taken for one of theirs.

    Raises:
        UsageError: two reports of one name, or a picture among the images.
        OutputError: a folder that cannot be written, or a folder in place of the file.
    """
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(f"{path}: two reports cannot be one file; name them differently")
        if path.suffix.lower() in SUFFIXES and path.parent.resolve() in {image.resolve() for image in images}:
            raise UsageError(f"{path}: would be one of the images to evaluate; write it into another folder")
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, and a file is to be written there; choose another name")
        check_writable(path.parent)


def in_short(value: float) -> str:
    """A value for people: four digits."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
