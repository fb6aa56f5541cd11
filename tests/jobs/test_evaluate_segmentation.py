"""Scoring folders of label maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.jobs.evaluating.segmentation import SegmentationEvaluation, evaluate_segmentation


def write(folder: Path, stem: str, *rows: list[int]) -> None:
    """One label map."""
    folder.mkdir(exist_ok=True)
    write_png(folder / f"{stem}.png", Image.from_gray(np.array(rows, np.uint8)))


@pytest.fixture
def job(tmp_path: Path) -> SegmentationEvaluation:
    """Two true maps of three classes, the last unused, and two sets of predictions."""
    write(tmp_path / "labels", "a", [0, 1], [1, 255])
    write(tmp_path / "labels", "b", [0, 0], [0, 0])
    for folder in ("good", "bad"):
        write(tmp_path / folder, "a", [0, 1], [1, 0])
        write(tmp_path / folder, "c", [0, 0], [0, 0])
    write(tmp_path / "good", "b", [0, 0], [0, 0])
    write(tmp_path / "bad", "b", [1, 1], [0, 0])
    return SegmentationEvaluation(
        predicted=(tmp_path / "good", tmp_path / "bad"), labels=tmp_path / "labels", classes=3
    )


def test_counts_go_over_all_maps_of_a_set(job: SegmentationEvaluation) -> None:
    """IoU of the whole set, not the mean of the maps; classes that are nowhere are left out."""
    seen = []
    report = evaluate_segmentation(job, on_progress=lambda *step: seen.append(step)).as_dict()
    assert report == {
        "images": 2,
        "sets": {
            "good": {
                "mean": {"mIoU": 1.0, "accuracy": 1.0},
                "classes": {"0": {"IoU": 1.0}, "1": {"IoU": 1.0}, "2": {"IoU": None}},
            },
            "bad": {
                "mean": {"mIoU": pytest.approx((3 / 5 + 2 / 4) / 2), "accuracy": pytest.approx(5 / 7)},
                "classes": {"0": {"IoU": 3 / 5}, "1": {"IoU": 2 / 4}, "2": {"IoU": None}},
            },
        },
    }
    assert seen == [(done, 4) for done in range(5)]


def test_maps_that_cannot_be_compared_are_named(job: SegmentationEvaluation) -> None:
    """Another size, an id that is no class, an ignored prediction, a missing one: one sentence each."""
    good = job.predicted[0]
    write(good, "a", [0, 1])
    with pytest.raises(SourceError, match=r"a.png is 2x1 and .*a.png 2x2; predict at the size"):
        evaluate_segmentation(job)
    write(good, "a", [0, 3], [1, 0])
    with pytest.raises(SourceError, match=r"a.png: has the class ids 3, wanted 0 to 2"):
        evaluate_segmentation(job)
    write(good, "a", [0, 255], [1, 0])
    with pytest.raises(SourceError, match=r"a.png: holds 255 where .* names a class"):
        evaluate_segmentation(job)
    (good / "a.png").unlink()
    with pytest.raises(SourceError, match=r"good: holds no map a, .* \(1 are missing\)"):
        evaluate_segmentation(job)


def test_jobs_that_cannot_be_done_are_refused(tmp_path: Path) -> None:
    """No folder, or a number of classes that is none."""
    with pytest.raises(UsageError, match="at least one folder"):
        SegmentationEvaluation(predicted=(), labels=tmp_path)
    with pytest.raises(UsageError, match=r"2\.\.255, got 1"):
        SegmentationEvaluation(predicted=(tmp_path,), labels=tmp_path, classes=1)
