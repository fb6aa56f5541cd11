"""Scoring a detector on folders of images: which images, which labels, whose names; groups, comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.errors import SourceError, UsageError, WeightsError
from streamfuse.frames import Detection, Image
from streamfuse.io.images import write_png
from streamfuse.jobs.evaluating.bootstrap import Resampling
from streamfuse.jobs.evaluating.detection import DetectionEvaluation, evaluate_detection
from streamfuse.jobs.evaluating.detectors import load_detector
from streamfuse.jobs.evaluating.judging import Judging
from streamfuse.jobs.evaluating.scores import Comparison

Rgb = npt.NDArray[np.uint8]
Corners = tuple[int, int, int, int]

WIDTH, HEIGHT = 80, 60
COLOURS = {"person": 0, "bicycle": 1, "car": 2}


@dataclass(frozen=True)
class ColourDetector:
    """Finds one object in each colour channel: whatever is brighter than half there."""

    names: Sequence[str] = tuple(COLOURS)

    @property
    def class_names(self) -> frozenset[str]:
        """Names of the channels, red first."""
        return frozenset(self.names)

    def look(self, image: Rgb) -> tuple[Detection, ...]:
        """The box around the bright pixels of each channel."""
        found = []
        for channel, name in enumerate(self.names):
            rows, columns = np.nonzero(image[..., channel] > 127)
            if len(rows):
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                found.append(
                    Detection(
                        box_xyxy=tuple(map(float, box)),
                        class_id=7,
                        class_name=name,
                        confidence=image.max() / 255,
                    )
                )
        return tuple(found)


def scene(boxes: Mapping[str, Corners], level: int = 255) -> Rgb:
    """A picture with one box for each class, in its channel."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for name, (left, top, right, bottom) in boxes.items():
        image[top:bottom, left:right, COLOURS[name]] = level
    return image


def label(boxes: Mapping[str, Corners]) -> str:
    """The same as YOLO text, without a final newline."""
    lines = []
    for name, (left, top, right, bottom) in boxes.items():
        shares = ((left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT)
        shares += ((right - left) / WIDTH, (bottom - top) / HEIGHT)
        lines.append(f"{COLOURS[name]} " + " ".join(f"{share:.6f}" for share in shares))
    return "\n".join(lines)


FUSED_OVER_VISIBLE = Comparison(first="fused", second="visible")
PERSON: Corners = (10, 10, 20, 30)
CAR: Corners = (40, 20, 70, 40)


@pytest.fixture
def job(tmp_path: Path) -> DetectionEvaluation:
    """Two scenes with person and car: all seen in `fused`, the car alone in `visible`; two annotators."""
    for folder in ("visible", "fused", "labels_visible", "labels_fused"):
        (tmp_path / folder).mkdir()
    for stem in ("1D", "2N"):
        write_png(tmp_path / "fused" / f"{stem}.png", Image.from_rgb(scene({"person": PERSON, "car": CAR})))
        write_png(tmp_path / "visible" / f"{stem}.png", Image.from_rgb(scene({"car": CAR})))
        (tmp_path / "labels_visible" / f"{stem}.txt").write_text(label({"car": CAR}))
        (tmp_path / "labels_fused" / f"{stem}.txt").write_text(label({"person": PERSON, "car": CAR}))
    return DetectionEvaluation(
        images=(tmp_path / "visible", tmp_path / "fused"),
        labels=(tmp_path / "labels_visible", tmp_path / "labels_fused"),
    )


def test_every_set_is_scored_against_the_union_of_the_labels(job: DetectionEvaluation) -> None:
    """What only one annotator saw counts for all sets; a class without labels is in no mean."""
    seen = []
    report = evaluate_detection(job, ColourDetector(), on_progress=lambda *step: seen.append(step))
    assert report.mean("fused") == pytest.approx({"mAP50": 1, "mAP70": 1, "mAP90": 1, "mAP50_95": 1})
    assert report.mean("visible")["mAP50"] == pytest.approx(0.5)
    assert report.by_class("visible")["person"]["AP50"] == 0
    assert report.by_class("visible")["car"]["AP50"] == pytest.approx(1)
    assert set(report.by_class("fused")["bicycle"].values()) == {None}
    whole = report.whole
    assert (whole.truths, whole.images, whole.empty) == ((2, 0, 2), 2, 0)
    assert seen == [(done, 4) for done in range(5)]


def test_the_report_has_the_promised_keys(job: DetectionEvaluation) -> None:
    """Sets by folder name, each with means and classes."""
    sets = evaluate_detection(job, ColourDetector()).as_dict()["sets"]
    assert isinstance(sets, dict)
    assert list(sets) == ["visible", "fused"]
    assert list(sets["fused"]["mean"]) == ["mAP50", "mAP70", "mAP90", "mAP50_95"]
    assert list(sets["fused"]["classes"]) == ["person", "bicycle", "car"]


def test_boxes_that_are_a_little_off_pass_the_low_thresholds_only(job: DetectionEvaluation) -> None:
    """A car found with an IoU of .83 counts at .5 and .7, not at .9."""
    left, top, right, bottom = CAR
    for stem in ("1D", "2N"):
        path = job.images[0] / f"{stem}.png"
        write_png(path, Image.from_rgb(scene({"car": (left, top, right, bottom + 4)})))
    scores = evaluate_detection(job, ColourDetector()).by_class("visible")["car"]
    assert scores == pytest.approx({"AP50": 1, "AP70": 1, "AP90": 0, "AP50_95": 0.7})


def test_images_may_have_other_sizes_than_those_labelled(job: DetectionEvaluation) -> None:
    """Labels are shares of the image, so an enlarged rendering is scored alike."""
    for stem in ("1D", "2N"):
        large = scene({"person": PERSON, "car": CAR}).repeat(3, axis=0).repeat(3, axis=1)
        write_png(job.images[1] / f"{stem}.png", Image.from_rgb(large))
    assert evaluate_detection(job, ColourDetector()).mean("fused")["mAP50_95"] == pytest.approx(1)


def test_classes_are_matched_by_name(job: DetectionEvaluation) -> None:
    """The detector's ids play no part; names it lacks are told, other names are left out."""
    report = evaluate_detection(job, ColourDetector(names=("kite", "bicycle", "car")))
    assert report.unknown == ("person",)
    assert report.by_class("fused")["person"]["AP50"] == 0
    assert report.by_class("fused")["car"]["AP50"] == pytest.approx(1)
    with pytest.raises(
        UsageError, match=r"knows no person or bicycle or car, but cat, dog, …; give the names"
    ):
        evaluate_detection(job, ColourDetector(names=("dog", "cat")))


def test_grey_images_are_seen_in_all_channels(job: DetectionEvaluation) -> None:
    """An infrared PNG with one channel is a picture like any other; 16 bits are refused."""
    only = replace(job, images=job.images[:1], stems=("1D",))
    grey = scene({"person": CAR})[..., 0]
    write_png(job.images[0] / "1D.png", Image.from_gray(grey))
    assert evaluate_detection(only, ColourDetector()).by_class("visible")["car"]["AP50"] == pytest.approx(1)
    write_png(job.images[0] / "1D.png", Image.from_gray(grey.astype(np.uint16) * 256))
    with pytest.raises(SourceError, match=r"1D.png: has 16-bit samples"):
        evaluate_detection(only, ColourDetector())


def test_names_choose_the_images(job: DetectionEvaluation) -> None:
    """Images that are not named may lack labels and partners."""
    (job.labels[0] / "2N.txt").unlink()
    (job.images[1] / "2N.png").unlink()
    assert evaluate_detection(replace(job, stems=("1D",)), ColourDetector()).whole.images == 1
    with pytest.raises(SourceError, match=r"visible: holds no image 3D \(1 are missing\)"):
        evaluate_detection(replace(job, stems=("1D", "3D")), ColourDetector())


def test_an_empty_label_file_is_an_image_without_objects(job: DetectionEvaluation) -> None:
    """It is counted, and what is found there is a false alarm; labels that are all empty are refused."""
    for folder in job.labels:
        (folder / "1D.txt").write_text("")
    report = evaluate_detection(job, ColourDetector())
    assert report.whole.empty == 1
    assert report.by_class("visible")["car"]["AP50"] == pytest.approx(0.5)
    for folder in job.labels:
        (folder / "2N.txt").write_text("\n")
    with pytest.raises(SourceError, match="no label file of these 2 images holds a box; label the images"):
        evaluate_detection(job, ColourDetector())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 0.5 0.5 0.1 0.1", r"1D.txt:1: class 3 is not one of 0 to 2"),
        ("0 40 30 10 10", r"1D.txt:1: the box spans .* outside"),
        ("0 0.5 0.5 0.1", r"1D.txt:1: wanted 'class x_centre"),
    ],
)
def test_a_bad_label_is_named(job: DetectionEvaluation, text: str, message: str) -> None:
    """File and line of what is wrong."""
    (job.labels[0] / "1D.txt").write_text(text)
    with pytest.raises(SourceError, match=message):
        evaluate_detection(job, ColourDetector())


def test_sets_of_different_images_are_not_compared(job: DetectionEvaluation) -> None:
    """An image that one set lacks, or a label that an image lacks, is an error that names it."""
    path = job.images[1] / "3D.png"
    path.write_bytes((job.images[1] / "1D.png").read_bytes())
    with pytest.raises(SourceError, match=r"fused: holds 3D, which .*visible lacks"):
        evaluate_detection(job, ColourDetector())
    path.rename(job.images[0] / "3D.png")
    with pytest.raises(SourceError, match=r"fused: holds no image 3D"):
        evaluate_detection(job, ColourDetector())
    with pytest.raises(SourceError, match=r"labels_visible: holds no label file 3D.txt"):
        evaluate_detection(replace(job, images=job.images[:1]), ColourDetector())


def test_jobs_that_cannot_be_done_are_refused(tmp_path: Path) -> None:
    """No folders, a folder twice, or classes that are no names."""
    with pytest.raises(UsageError, match="at least one folder of images and one of labels"):
        DetectionEvaluation(images=(), labels=(tmp_path,))
    with pytest.raises(UsageError, match="given twice"):
        DetectionEvaluation(images=(tmp_path, tmp_path), labels=(tmp_path,))
    with pytest.raises(UsageError, match="there is no set fused to compare; the sets are"):
        DetectionEvaluation(
            images=(tmp_path,), labels=(tmp_path,), judging=Judging(comparisons=(FUSED_OVER_VISIBLE,))
        )
    for classes in ((), ("",), ("a", "a")):
        with pytest.raises(UsageError, match="classes must be names, each given once"):
            DetectionEvaluation(images=(tmp_path,), labels=(tmp_path,), classes=classes)


def test_weights_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """A file that the user names must exist; nothing is fetched."""
    with pytest.raises(WeightsError, match=r"none.pt: no such file"):
        load_detector(str(tmp_path / "none.pt"))


def test_groups_are_scored_apart(job: DetectionEvaluation) -> None:
    """What is wrong by night alone shows in the group of the night, whose images its pattern names."""
    write_png(job.images[1] / "2N.png", Image.from_rgb(scene({"car": CAR})))
    judging = Judging(groups={"day": "*D", "night": "*N"}, comparisons=(FUSED_OVER_VISIBLE,))
    report = evaluate_detection(replace(job, judging=judging), ColourDetector())
    day, night = report.groups["day"], report.groups["night"]
    assert (day.images, day.truths) == (1, (1, 0, 1))
    assert day.sets["fused"].mean["mAP50"].value == pytest.approx(1)
    assert night.sets["fused"].mean["mAP50"].value == pytest.approx(0.5)
    values = report.as_dict()
    assert list(values["groups"]) == ["day", "night"]
    (over,) = values["groups"]["day"]["comparisons"]
    assert (over["first"], over["second"]) == ("fused", "visible")
    assert over["classes"]["person"]["AP50"] == pytest.approx(1)
    assert over["classes"]["car"]["AP50"] == 0
    (over,) = values["groups"]["night"]["comparisons"]
    assert over["mean"]["mAP50"] == 0


def test_sets_are_compared_on_the_same_draws(job: DetectionEvaluation) -> None:
    """What both sets miss is no difference, however the images are drawn; what one misses always is."""
    write_png(job.images[1] / "1D.png", Image.from_rgb(scene({"person": PERSON})))
    write_png(job.images[0] / "1D.png", Image.from_rgb(scene({})))
    judging = Judging(comparisons=(FUSED_OVER_VISIBLE,), resampling=Resampling(draws=200))
    report = evaluate_detection(replace(job, judging=judging), ColourDetector())
    car = report.whole.sets["fused"].classes["car"]["AP50"].interval
    assert car == pytest.approx((0, 1))
    over = FUSED_OVER_VISIBLE.of(report.whole).classes
    assert over["car"]["AP50"].interval == (0, 0)
    assert over["person"]["AP50"].interval == pytest.approx((1, 1))
    assert over["bicycle"]["AP50"].interval is None


def test_every_set_may_have_its_own_detector(job: DetectionEvaluation) -> None:
    """Detectors by name of the set; a class that one of them lacks is told."""
    detectors = {"visible": ColourDetector(("kite", "bicycle", "car")), "fused": ColourDetector()}
    report = evaluate_detection(job, detectors)
    assert report.unknown == ("person",)
    assert report.by_class("fused")["person"]["AP50"] == pytest.approx(1)


def test_precision_over_recall_is_kept_for_drawing(job: DetectionEvaluation) -> None:
    """A curve of 101 recalls for each threshold, whose mean is the average precision."""
    report = evaluate_detection(job, ColourDetector())
    assert report.curves["fused"]["car"].shape == (10, 101)
    assert report.curves["visible"]["person"].mean() == 0
    assert np.isnan(report.curves["fused"]["bicycle"]).all()
