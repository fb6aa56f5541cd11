"""Measuring folders of fused images in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import psutil
import pytest

from streamfuse.errors import MachineError, SourceError, UsageError
from streamfuse.jobs.evaluating.fusion import FusionEvaluation, choose_metrics, evaluate_fusion
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import METRICS, fusion_metrics

Bytes = npt.NDArray[np.uint8]
STEMS = ("s1", "s2", "s10")
METRICS_HERE = ("EN", "CC", "PSNR")


def noise(seed: int, *shape: int) -> Bytes:
    """Random samples, 48 rows of 64 unless said otherwise."""
    return np.random.default_rng(seed).integers(0, 256, shape or (48, 64), np.uint8)


def write(path: Path, image: npt.NDArray[np.generic]) -> None:
    """Write an image, and the folder it is in."""
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., FusionEvaluation]:
    """Makes jobs on two sets of three images, grey except for the visible ones."""
    for index, stem in enumerate(STEMS):
        write(tmp_path / "visible" / f"{stem}.png", np.dstack([noise(index)] * 3))
        write(tmp_path / "infrared" / f"{stem}.bmp", noise(100 + index))
        for name, seed in (("a", 200), ("b", 300)):
            write(tmp_path / name / f"{stem}.tif", noise(seed + index))

    def make(**changes: object) -> FusionEvaluation:
        plain: dict[str, object] = {
            "visible": tmp_path / "visible",
            "infrared": tmp_path / "infrared",
            "fused": (tmp_path / "a", tmp_path / "b"),
            "metrics": METRICS_HERE,
        }
        return FusionEvaluation(**(plain | changes))  # type: ignore[arg-type]

    return make


@pytest.mark.parametrize("processes", [1, 3])
def test_every_image_gets_its_own_values(job: Callable[..., FusionEvaluation], processes: int) -> None:
    """Those of the metrics themselves, to the last digit, in the order of the files."""
    told: list[tuple[int, int]] = []
    report = evaluate_fusion(
        job(processes=processes, convention=Convention.PUBLISHED),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(7)]
    for name, seed in (("a", 200), ("b", 300)):
        assert tuple(report.sets[name]) == STEMS
        for index, stem in enumerate(STEMS):
            images = noise(index), noise(100 + index), noise(seed + index)
            expected = fusion_metrics(*images, convention=Convention.PUBLISHED, names=METRICS_HERE)
            assert report.sets[name][stem] == expected


def test_infinite_and_undefined_values_survive(job: Callable[..., FusionEvaluation], tmp_path: Path) -> None:
    """A flat image has no correlation, and equal images have no noise."""
    flat = np.full((48, 64), 90, np.uint8)
    for name in ("visible", "infrared", "a", "b"):
        for old in (tmp_path / name).glob("s2.*"):
            old.unlink()
        write(tmp_path / name / "s2.png", flat)
    report = evaluate_fusion(job())
    assert report.undefined("CC") == report.undefined("PSNR") == ("s2",)
    assert report.sets["a"]["s2"]["PSNR"] == float("inf")
    assert report.mean("a", "CC") is not None


@pytest.mark.parametrize(
    ("file", "image", "words"),
    [
        ("a/s2.tif", noise(1, 24, 32), r"a/s2\.tif is 32x24, but .*visible/s2\.png is 64x48"),
        ("infrared/s2.bmp", noise(1, 24, 32), r"a/s2\.tif is 64x48, but .*infrared/s2\.bmp is 32x24"),
        ("visible/s2.png", noise(1).astype(np.uint16) * 256, r"visible/s2\.png: has 16-bit samples"),
        ("visible/s2.png", noise(1, 48, 64, 4), r"visible/s2\.png: has 4 channels"),
    ],
)
def test_images_that_cannot_be_compared(
    job: Callable[..., FusionEvaluation],
    tmp_path: Path,
    file: str,
    image: npt.NDArray[np.generic],
    words: str,
) -> None:
    """The error names the file and what is wrong with it, and no process stays."""
    write(tmp_path / file, image)
    with pytest.raises(SourceError, match=words):
        evaluate_fusion(job(fused=(tmp_path / "a",), processes=2))


def test_a_damaged_image(job: Callable[..., FusionEvaluation], tmp_path: Path) -> None:
    """It is named."""
    (tmp_path / "b" / "s10.tif").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"b/s10\.tif: is no whole image"):
        evaluate_fusion(job())


def test_images_too_small_for_a_metric(job: Callable[..., FusionEvaluation]) -> None:
    """It has no value then, and the others have theirs."""
    report = evaluate_fusion(job(metrics=("MS-SSIM", "EN")))
    assert report.undefined("MS-SSIM") == STEMS
    assert report.mean("a", "MS-SSIM") is None
    assert report.undefined("EN") == ()


def test_an_interrupted_evaluation_ends_its_processes(job: Callable[..., FusionEvaluation]) -> None:
    """At once: they are gone before the interruption reaches the caller."""
    seen: list[psutil.Process] = []

    def interrupt(done: int, _total: int) -> None:
        if done:
            seen.extend(psutil.Process().children())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_fusion(job(processes=2), on_progress=interrupt)
    assert len(seen) == 2
    assert not any(process.is_running() for process in seen)


def test_a_process_that_dies_is_an_error(job: Callable[..., FusionEvaluation]) -> None:
    """Never an endless wait, never a result that lacks images."""

    def kill(done: int, _total: int) -> None:
        if done == 1:
            for process in psutil.Process().children():
                process.kill()

    with pytest.raises(MachineError, match=r"\.tif: the process that measured it ended with status -9"):
        evaluate_fusion(job(), on_progress=kill)


def test_paths_of_any_bytes(job: Callable[..., FusionEvaluation], tmp_path: Path) -> None:
    """Blanks, other scripts and names that are no UTF-8 reach the processes."""
    odd = tmp_path / os.fsdecode(b"bild \xc3\xa4 \xff")
    (tmp_path / "a").rename(odd)
    report = evaluate_fusion(job(fused=(odd,), metrics=("EN",)))
    assert tuple(report.sets[odd.name]) == STEMS


def test_jobs_that_make_no_sense(job: Callable[..., FusionEvaluation]) -> None:
    """They are refused before anything is read."""
    with pytest.raises(UsageError, match="at least one folder"):
        job(fused=())
    with pytest.raises(UsageError, match="at least one process"):
        job(processes=0)
    with pytest.raises(UsageError, match=r"metrics must be some of EN, .*got EM"):
        job(metrics=("EM",))


def test_metrics_are_chosen_by_name() -> None:
    """In any case of letters; unknown ones are an error that lists the known."""
    assert choose_metrics("qabf, en,QABF") == ("Qabf", "EN")
    assert choose_metrics("all") == tuple(METRICS)
    with pytest.raises(UsageError, match=r"no metric 'psn'; .*PSNR"):
        choose_metrics("EN,psn")
