"""Average precision of masks on synthetic streets, against the evaluation code of COCO."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.metrics.detection import average_precision, match_masks

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
CLASSES = ("person", "bicycle", "car")


@dataclass
class Scene:
    """Masks of one class in one image, and how sure each detection is."""

    truth: list[Mask]
    found: list[Mask]
    confidence: Floats


def street_masks(seed: int) -> dict[str, list[Mask]]:
    """What is on a street, by class, exact to the pixel."""
    seen = Street(StreetSpec(seed=seed)).truth(2.0)
    return {name: [one.mask for one in seen if one.class_name == name and one.mask.any()] for name in CLASSES}


def found_badly(truth: list[Mask], rng: np.random.Generator) -> Scene:
    """Some found well, some shifted, thinned, thickened or twice, one nowhere; confidences with ties."""
    found = []
    for mask in truth:
        for _ in range(rng.integers(0, 3)):
            moved = np.roll(mask, tuple(rng.integers(-3, 4, 2)), axis=(0, 1)).astype(np.uint8)
            change = (cv2.erode, cv2.dilate)[rng.integers(0, 2)]
            found.append(change(moved, np.ones((3, 3), np.uint8), iterations=int(rng.integers(0, 2))) > 0)
    stray = np.zeros_like(truth[0]) if truth else np.zeros((480, 640), np.bool_)
    stray[:20, :20] = True
    found = [*found, stray, np.zeros_like(stray)]
    return Scene(truth, found, rng.integers(0, 11, len(found)) / 10)


def coco(classes: Sequence[Sequence[Scene]]) -> Floats:
    """(C, T) average precisions by pycocotools, NaN where it says -1."""
    truths, founds = [], []
    for category, scenes in enumerate(classes, start=1):
        for image, scene in enumerate(scenes, start=1):
            where = {"image_id": image, "category_id": category, "iscrowd": 0}
            for masks, entries in ((scene.truth, truths), (scene.found, founds)):
                for mask in masks:
                    runs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
                    entries.append(
                        where | {"segmentation": runs, "area": int(mask.sum()), "id": len(entries) + 1}
                    )
            for entry, score in zip(founds[-len(scene.found) :], scene.confidence.tolist(), strict=True):
                entry["score"] = score
    with contextlib.redirect_stdout(io.StringIO()):
        books = []
        for entries in (truths, founds):
            book = COCO()
            book.dataset = {
                "info": {},
                "images": [
                    {"id": image, "height": 480, "width": 640} for image in range(1, len(classes[0]) + 1)
                ],
                "categories": [{"id": category} for category in range(1, len(classes) + 1)],
                "annotations": entries,
            }
            book.createIndex()
            books.append(book)
        judge = COCOeval(*books, "segm")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2].mean(axis=1).T  # all sizes, 100 detections
    return np.where(precision < 0, np.nan, precision)


def test_average_precision_of_masks_is_that_of_coco() -> None:
    """On streets whose every object is known to the pixel, found more or less well."""
    rng = np.random.default_rng(5)
    streets = [street_masks(seed) for seed in range(40, 44)]
    classes = [[found_badly(street[name], rng) for street in streets] for name in CLASSES]
    assert sum(len(scene.truth) for scenes in classes for scene in scenes) > 10
    ours = np.array(
        [
            average_precision(
                [match_masks(truth=s.truth, found=s.found, confidence=s.confidence) for s in scenes]
            )
            for scenes in classes
        ]
    )
    np.testing.assert_allclose(ours, coco(classes), atol=1e-9, rtol=0)
    assert 0.1 < np.nanmean(ours[:, 0]) < 0.9, "an easy or hopeless task would tell nothing"


def test_what_is_found_exactly_is_found_at_every_threshold() -> None:
    """And what shares no pixel at none; masks without pixels match nothing."""
    mask = np.zeros((4, 6), np.bool_)
    mask[1:3, 1:4] = True
    both = match_masks(truth=[mask], found=[~mask, mask], confidence=np.array([0.2, 0.9]))
    assert both.hit[:, 0].all()
    assert not both.hit[:, 1].any()
    empty = np.zeros_like(mask)
    nothing = match_masks(truth=[empty], found=[empty], confidence=np.array([0.5]))
    assert not nothing.hit.any()
    assert match_masks(truth=[], found=[mask], confidence=np.array([0.5])).truths == 0


def test_masks_of_other_sizes_are_refused() -> None:
    """They cannot be laid over each other."""
    with pytest.raises(ValueError, match=r"wanted masks of one size .* got sizes \[\(2, 3\), \(4, 6\)\]"):
        match_masks(
            truth=[np.ones((4, 6), np.bool_)], found=[np.ones((2, 3), np.bool_)], confidence=np.ones(1)
        )
