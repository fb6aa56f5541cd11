"""The published numbers, image by image."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from streamfuse.io.images import read_image
from streamfuse.metrics.arrays import Gray
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import fusion_metrics
from streamfuse.metrics.gray import gray_of

COLUMNS = ("SD", "PSNR", "MSE", "MI", "VIF", "AG", "CC", "SCD", "EN", "Qabf", "SF")


def gray(path: Path) -> Gray:
    """The grey levels of an image file."""
    return gray_of(read_image(path).planes[0])


@pytest.mark.slow
def test_published_convention_gives_the_published_numbers(data_dir: Path) -> None:
    """All eleven columns of 63 fused TNO images: median within 1e-6, all within 1e-3."""
    tno = data_dir / "tno"
    with (tno / "published_metrics.csv").open(newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert len(rows) == 63
    errors = []
    for row in rows:
        triple = [
            gray(tno / kind / row["image"]) for kind in ("visible", "infrared", f"fused/{row['method']}")
        ]
        values = fusion_metrics(*triple, convention=Convention.PUBLISHED, names=COLUMNS)
        errors.append([abs(values[name] / float(row[name]) - 1.0) for name in COLUMNS])
    median, worst = np.median(errors, axis=0), np.max(errors, axis=0)
    for name, middle, most in zip(COLUMNS, median, worst, strict=True):
        assert middle <= 1e-6, name
        assert most <= 1e-3, name


def test_conventions_differ_where_they_say(data_dir: Path) -> None:
    """A published image, plain: SD and SF in grey levels, PSNR 48 dB lower, the rest near or equal."""
    tno = data_dir / "tno"
    triple = [gray(tno / kind / "17.png") for kind in ("visible", "infrared", "fused/SeAFusion")]
    plain = fusion_metrics(*triple, names=COLUMNS)
    published = fusion_metrics(*triple, convention=Convention.PUBLISHED, names=COLUMNS)
    for name in ("MSE", "AG", "CC", "SCD", "EN"):
        assert plain[name] == published[name]
    assert plain["SF"] == pytest.approx(255.0 * published["SF"])
    assert plain["SD"] > 2.0 * published["SD"]
    assert published["PSNR"] - plain["PSNR"] == pytest.approx(20.0 * np.log10(255.0))
    assert plain["VIF"] < 0.95 * published["VIF"]
    assert plain["Qabf"] == pytest.approx(published["Qabf"], rel=0.01)
    assert plain["MI"] == pytest.approx(published["MI"], rel=0.01)
