"""Average precision, against the evaluation code of COCO."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamfuse.metrics.detection import (
    IOU_THRESHOLDS,
    Matches,
    average_precision,
    class_scores,
    match_boxes,
    mean_scores,
    precision_at_recalls,
    resampled_precisions,
)

Floats = npt.NDArray[np.float64]


@dataclass
class Scene:
    """Boxes of one class in one image: (N, 4), (D, 4) and (D,)."""

    truth: Floats
    found: Floats
    confidence: Floats


def boxes(*corners: Sequence[float]) -> Floats:
    """(N, 4) left, top, right, bottom."""
    return np.array(corners, np.float64).reshape(-1, 4)


def scene(truth: Floats, found: Floats, confidence: Sequence[float]) -> Scene:
    """A scene with confidences as a list."""
    return Scene(truth, found, np.array(confidence, np.float64))


def ours(classes: Sequence[Sequence[Scene]]) -> Floats:
    """(C, T) average precisions."""
    return np.array(
        [
            average_precision(
                [match_boxes(truth=s.truth, found=s.found, confidence=s.confidence) for s in scenes]
            )
            for scenes in classes
        ]
    )


def coco(classes: Sequence[Sequence[Scene]]) -> Floats:
    """The same by pycocotools, NaN where it says -1."""
    annotations, results = [], []
    for category, scenes in enumerate(classes, start=1):
        for image, s in enumerate(scenes, start=1):
            where = {"image_id": image, "category_id": category}
            for left, top, right, bottom in s.truth.tolist():
                box = [left, top, right - left, bottom - top]
                annotations.append(where | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0})
            for (left, top, right, bottom), score in zip(
                s.found.tolist(), s.confidence.tolist(), strict=True
            ):
                results.append(where | {"bbox": [left, top, right - left, bottom - top], "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(1, len(classes[0]) + 1)],
            "categories": [{"id": category} for category in range(1, len(classes) + 1)],
            "annotations": [a | {"id": number} for number, a in enumerate(annotations, start=1)],
        }
        truth.createIndex()
        found = COCO()
        found.dataset = truth.dataset | {
            "annotations": [
                r | {"id": number, "area": r["bbox"][2] * r["bbox"][3], "iscrowd": 0}
                for number, r in enumerate(results, start=1)
            ]
        }
        found.createIndex()
        judge = COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2].mean(axis=1).T  # all sizes, 100 detections
    return np.where(precision < 0, np.nan, precision)


def random_scene(rng: np.random.Generator, *, extra: int) -> Scene:
    """Whole-number boxes, some of them found well, some badly, some twice, with many ties of confidence."""
    corner = rng.integers(0, 80, (rng.integers(0, 6), 2))
    truth = np.hstack([corner, corner + rng.integers(4, 40, corner.shape)]).astype(np.float64)
    near = truth[rng.integers(0, len(truth), extra)] if len(truth) else np.zeros((0, 4))
    near = near + rng.integers(-3, 4, near.shape)
    corner = rng.integers(0, 80, (rng.integers(0, 4), 2))
    stray = np.hstack([corner, corner + rng.integers(4, 40, corner.shape)]).astype(np.float64)
    found = rng.permutation(np.vstack([near, stray]))
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    return Scene(truth, found, rng.integers(0, 11, len(found)) / 10)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 8), extra=st.integers(0, 12))
def test_average_precision_is_that_of_coco(seed: int, images: int, extra: int) -> None:
    """Random scenes with ties, doubles and empty images score the same as by pycocotools."""
    rng = np.random.default_rng(seed)
    classes = [[random_scene(rng, extra=extra) for _ in range(images)] for _ in range(2)]
    np.testing.assert_allclose(ours(classes), coco(classes), atol=1e-9, rtol=0)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 6), extra=st.integers(0, 10))
def test_a_drawn_selection_scores_as_if_its_images_were_repeated(seed: int, images: int, extra: int) -> None:
    """Counts of images give what the repeated images give, also where a class is drawn nowhere."""
    rng = np.random.default_rng(seed)
    matches = []
    for _ in range(images):
        s = random_scene(rng, extra=extra)
        matches.append(match_boxes(truth=s.truth, found=s.found, confidence=rng.random(len(s.found))))
    counts = rng.multinomial(images, np.full(images, 1 / images), size=5)
    drawn = resampled_precisions(matches, counts)
    for row, precisions in zip(counts, drawn, strict=True):
        repeated = [match for match, often in zip(matches, row, strict=True) for _ in range(often)]
        np.testing.assert_allclose(precisions, average_precision(repeated), atol=1e-12, rtol=0)


def test_every_image_once_scores_as_the_images_themselves() -> None:
    """Ties of confidence too, bit for bit."""
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng, extra=8) for _ in range(6)]
    matches = [match_boxes(truth=s.truth, found=s.found, confidence=s.confidence) for s in scenes]
    (once,) = resampled_precisions(matches, np.ones((1, 6), np.int64))
    np.testing.assert_allclose(once, average_precision(matches), atol=1e-15, rtol=0)
    with pytest.raises(ValueError, match=r"counts of 6 images in each row, got \(1, 5\)"):
        resampled_precisions(matches, np.ones((1, 5), np.int64))


def test_precision_never_rises_with_recall() -> None:
    """At each recall it is the best that is still to come."""
    rng = np.random.default_rng(4)
    s = random_scene(rng, extra=10)
    curve = precision_at_recalls([match_boxes(truth=s.truth, found=s.found, confidence=s.confidence)])
    assert curve.shape == (10, 101)
    assert (np.diff(curve, axis=1) <= 0).all()


BOX = boxes([10, 10, 30, 30])
NONE = boxes()

ADVERSARIAL = {
    "no truth": [scene(NONE, BOX, [0.9])],
    "nothing found": [scene(BOX, NONE, [])],
    "neither": [scene(NONE, NONE, []), scene(BOX, BOX, [0.5])],
    "found twice": [scene(BOX, boxes([10, 10, 30, 29], [10, 10, 30, 30]), [0.9, 0.8])],
    "found twice, better one later": [scene(BOX, boxes([12, 10, 32, 30], [10, 10, 30, 30]), [0.9, 0.8])],
    "the same true box twice": [scene(boxes(*BOX, *BOX), boxes(*BOX, *BOX), [0.9, 0.9])],
    "one found box between two": [
        scene(boxes([0, 0, 20, 20], [4, 0, 24, 20]), boxes([2, 0, 22, 20], [0, 0, 20, 20]), [0.9, 0.8])
    ],
    "an IoU of exactly one half": [scene(boxes([0, 0, 20, 20]), boxes([0, 0, 20, 10]), [0.9])],
    "all of one confidence": [
        scene(BOX, boxes([50, 50, 60, 60], *BOX), [0.5, 0.5]),
        scene(BOX, boxes(*BOX, [50, 50, 60, 60]), [0.5, 0.5]),
    ],
    "touching only": [scene(BOX, boxes([30, 10, 50, 30]), [0.9])],
    "confidence of 0": [scene(BOX, BOX, [0.0])],
    "more than 100": [
        scene(BOX, boxes(*[[50, 50, 60 + i % 7, 60] for i in range(120)], *BOX), [0.9] * 120 + [0.1]),
        scene(BOX, BOX, [0.05]),
    ],
}


@pytest.mark.parametrize("case", ADVERSARIAL)
def test_adversarial_cases_are_those_of_coco(case: str) -> None:
    """Where matching is a matter of convention, the convention is COCO's."""
    classes = [ADVERSARIAL[case]]
    np.testing.assert_allclose(ours(classes), coco(classes), atol=1e-9, rtol=0)


def test_perfect_boxes_score_one_and_false_alarms_cost() -> None:
    """All found and nothing else is 1; one confident false alarm among one object is one half."""
    perfect = ours([[scene(BOX, BOX, [0.3])]])[0]
    assert perfect == pytest.approx(np.ones(10))
    half = ours([[scene(BOX, boxes([50, 50, 60, 60], *BOX), [0.9, 0.3])]])[0]
    assert half == pytest.approx(np.full(10, 0.5))


def test_scores_are_named_by_their_threshold() -> None:
    """AP50, AP70 and AP90 stand at .50, .70 and .90; AP50_95 is the mean of all ten."""
    assert IOU_THRESHOLDS[[0, 4, 8]] == pytest.approx([0.5, 0.7, 0.9])
    scores = class_scores(IOU_THRESHOLDS)
    assert scores == pytest.approx({"AP50": 0.5, "AP70": 0.7, "AP90": 0.9, "AP50_95": 0.725})


def test_classes_without_truth_are_left_out_of_the_mean() -> None:
    """As COCO does it; with no class left the mean is not a number."""
    absent = np.full(10, np.nan)
    assert mean_scores([np.full(10, 0.5), absent, np.full(10, 0.1)])["mAP50"] == pytest.approx(0.3)
    assert np.isnan(mean_scores([absent])["mAP50_95"])


def test_each_draw_has_its_own_mean() -> None:
    """A class that one draw lacks is left out of that draw alone."""
    first, second = np.full((2, 10), 0.5), np.full((2, 10), 0.1)
    second[1] = np.nan
    assert mean_scores([first, second])["mAP50"] == pytest.approx([0.3, 0.5])


def test_the_unit_of_the_boxes_does_not_matter() -> None:
    """Shares of the image and pixels score alike."""
    rng = np.random.default_rng(5)
    pixels = [random_scene(rng, extra=5) for _ in range(5)]
    shares = [Scene(s.truth / 128, s.found / 128, s.confidence) for s in pixels]
    assert ours([pixels]) == pytest.approx(ours([shares]))


def test_wrong_shapes_are_named() -> None:
    """A row of the wrong length, or confidences that do not belong to the boxes, are refused."""
    with pytest.raises(ValueError, match=r"got \(1, 4\), \(1, 4\) and \(2,\)"):
        match_boxes(truth=BOX, found=BOX, confidence=np.zeros(2))
    with pytest.raises(ValueError, match=r"thresholds x detections = \(10, 1\), got \(10, 2\)"):
        Matches(confidence=np.zeros(1), hit=np.zeros((10, 2), np.bool_), truths=0)
