"""Scoring folders of label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.errors import SourceError, UsageError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.jobs.evaluating.bootstrap import Resampling
from streamfuse.jobs.evaluating.judging import Judging
from streamfuse.jobs.evaluating.scores import Comparison
from streamfuse.jobs.evaluating.segmentation import (
    SegmentationEvaluation,
    class_names,
    evaluate_segmentation,
)


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
        predicted=(tmp_path / "good", tmp_path / "bad"),
        labels=tmp_path / "labels",
        classes=("ground", "car", "tram"),
        judging=Judging(resampling=Resampling(draws=0)),
    )


def test_counts_go_over_all_maps_of_a_set(job: SegmentationEvaluation) -> None:
    """IoU of the whole set, not the mean of the maps; classes that are nowhere are left out."""
    seen = []
    report = evaluate_segmentation(job, on_progress=lambda *step: seen.append(step)).as_dict()
    assert report["images"] == 2
    assert report["truths"] == {"ground": 5, "car": 2, "tram": 0}
    assert report["empty"] == 1
    assert report["sets"] == {
        "good": {
            "mean": {"mIoU": 1.0, "accuracy": 1.0},
            "classes": {"ground": {"IoU": 1.0}, "car": {"IoU": 1.0}, "tram": {"IoU": None}},
        },
        "bad": {
            "mean": {"mIoU": pytest.approx((3 / 5 + 2 / 4) / 2), "accuracy": pytest.approx(5 / 7)},
            "classes": {"ground": {"IoU": 3 / 5}, "car": {"IoU": 2 / 4}, "tram": {"IoU": None}},
        },
    }
    assert seen == [(done, 4) for done in range(5)]


def test_whole_maps_are_drawn_and_the_sets_on_the_same_draws(job: SegmentationEvaluation) -> None:
    """A draw of one map twice scores as that map alone; groups and differences as for detection."""
    judging = Judging(
        groups={"first": "a"},
        comparisons=(Comparison(first="good", second="bad"),),
        resampling=Resampling(draws=400),
    )
    report = evaluate_segmentation(replace(job, judging=judging))
    ground = report.whole.sets["bad"].classes["ground"]
    assert set(np.round(ground["IoU"].draws, 6)) == {1.0, 0.5, 0.6}
    car = report.whole.sets["bad"].classes["car"]["IoU"]
    assert set(np.round(car.draws, 6)) == {1.0, 0.0, 0.5}
    over = judging.comparisons[0].of(report.whole).classes["ground"]["IoU"]
    assert over.interval == pytest.approx((0.0, 0.5))
    assert report.groups["first"].sets["bad"].mean["mIoU"].value == 1.0


class Threshold:
    """Calls bright pixels cars."""

    class_names = frozenset({"car", "kite"})

    def label(self, image: npt.NDArray[np.uint8], classes: Sequence[str]) -> npt.NDArray[np.uint8]:
        """The place of `car` where the image is bright."""
        return np.where(image[..., 0] > 127, classes.index("car"), 0).astype(np.uint8)


def test_a_network_may_make_the_maps(job: SegmentationEvaluation, tmp_path: Path) -> None:
    """It looks at the images that have a true map; classes that it does not know are told."""
    for stem, rows in {"a": ([9, 200], [200, 9]), "b": ([9, 9], [9, 9])}.items():
        write(tmp_path / "images", stem, *rows)
    looking = replace(job, predicted=(tmp_path / "images",))
    report = evaluate_segmentation(looking, Threshold())
    assert report.mean("images") == {"mIoU": 1.0, "accuracy": 1.0}
    assert report.unknown == ("tram",)
    with pytest.raises(UsageError, match=r"the network knows no 1 or 2, but car, kite, …; give the names"):
        evaluate_segmentation(replace(looking, classes=class_names("3")), Threshold())


def test_names_choose_the_maps(job: SegmentationEvaluation) -> None:
    """Only those are compared; one that is not there is named."""
    report = evaluate_segmentation(replace(job, stems=("a",)))
    assert (report.whole.images, report.mean("bad")["mIoU"]) == (1, 1.0)
    with pytest.raises(SourceError, match=r"labels: holds no image z; add it, or take it off the list"):
        evaluate_segmentation(replace(job, stems=("z",)))


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
        SegmentationEvaluation(predicted=(tmp_path,), labels=tmp_path, classes=class_names("1"))
    with pytest.raises(UsageError, match=r"2\.\.255, got 256"):
        SegmentationEvaluation(predicted=(tmp_path,), labels=tmp_path, classes=class_names("4000000000"))
    with pytest.raises(UsageError, match="names, each given once, got 'ground,car,car'"):
        SegmentationEvaluation(predicted=(tmp_path,), labels=tmp_path, classes=class_names("ground, car,car"))
