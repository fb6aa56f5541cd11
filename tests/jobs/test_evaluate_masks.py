"""Scoring the masks of a detector against labelled outlines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bright_network import save_bright_network

from streamfuse.core.masks import decode_mask, encode_mask
from streamfuse.errors import SourceError, UsageError, WeightsError
from streamfuse.frames import Detection, Image
from streamfuse.geometry.outlines import outlines
from streamfuse.io.images import write_png
from streamfuse.jobs.evaluating.detection import DetectionEvaluation, evaluate_detection
from streamfuse.jobs.evaluating.detectors import load_detector

SIZE_WH = (80, 60)
Mask = npt.NDArray[np.bool_]


class BrightShapes:
    """Finds one car: whatever is bright, with its mask."""

    class_names = frozenset({"person", "car"})

    def look(self, image: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
        """The bright pixels as an object."""
        mask = image[..., 0] > 127
        rows, columns = np.nonzero(mask)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return (
            Detection(
                box_xyxy=tuple(map(float, box)),  # type: ignore[arg-type]
                class_id=0,
                class_name="car",
                confidence=0.9,
                mask_rle=encode_mask(mask),
            ),
        )


class BrightBoxes(BrightShapes):
    """The same without masks."""

    def look(self, image: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
        """The bright pixels as a box."""
        return tuple(replace(found, mask_rle=None) for found in super().look(image))


def disc() -> Mask:
    """A round car."""
    rows, columns = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    return np.asarray((rows - 30) ** 2 + (columns - 40) ** 2 < 20**2)


def write_scene(folder: Path, mask: Mask) -> None:
    """A picture in which the mask is bright."""
    folder.mkdir(exist_ok=True)
    write_png(folder / "1.png", Image.from_rgb(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)))


@pytest.fixture
def job(tmp_path: Path) -> DetectionEvaluation:
    """A disc with its outline as label: as it is in `whole`, with a large hole in `ring`."""
    ring = disc()
    ring[19:42, 29:52] = False
    write_scene(tmp_path / "whole", disc())
    write_scene(tmp_path / "ring", ring)
    (outline,) = outlines(disc(), tolerance_px=0)
    (tmp_path / "labels").mkdir()
    shares = " ".join(f"{x / SIZE_WH[0]:.6f} {y / SIZE_WH[1]:.6f}" for x, y in outline)
    (tmp_path / "labels" / "1.txt").write_text(f"2 {shares}\n")
    return DetectionEvaluation(
        images=(tmp_path / "whole", tmp_path / "ring"), labels=(tmp_path / "labels",), masks=True
    )


def test_masks_are_scored_beside_boxes(job: DetectionEvaluation) -> None:
    """A ring has the box of the disc, and half of its mask."""
    report = evaluate_detection(job, BrightShapes())
    perfect = dict.fromkeys(("mAP50", "mAP70", "mAP90", "mAP50_95"), 1.0)
    assert report.mean("whole") == pytest.approx(perfect | {"mask_mAP50": 1.0, "mask_mAP50_95": 1.0})
    assert report.mean("ring") == pytest.approx(perfect | {"mask_mAP50": 1.0, "mask_mAP50_95": 0.2})
    assert report.by_class("ring")["car"]["mask_AP50"] == pytest.approx(1)
    assert report.by_class("ring")["person"]["mask_AP50"] is None
    assert set(report.curves["ring"]) == {"person", "bicycle", "car"}


def test_outlines_are_labels_for_boxes_too(job: DetectionEvaluation) -> None:
    """Without masks the same files give the same scores of boxes, and only these."""
    report = evaluate_detection(replace(job, masks=False), BrightBoxes())
    assert report.mean("ring") == pytest.approx({"mAP50": 1, "mAP70": 1, "mAP90": 1, "mAP50_95": 1})


def test_an_object_with_an_empty_mask_has_the_shape_of_no_label(job: DetectionEvaluation) -> None:
    """It counts by its box; its mask is a false one, and the others are judged on."""
    report = evaluate_detection(job, BrightBoxes())
    assert report.mean("whole")["mAP50"] == pytest.approx(1)
    assert report.mean("whole")["mask_mAP50"] == 0


def test_what_masks_cannot_be_judged_by_is_refused(job: DetectionEvaluation) -> None:
    """Labels that are boxes, and two annotators."""
    with pytest.raises(UsageError, match="one folder of outlines, got 2 folders of labels"):
        replace(job, labels=(job.labels[0], job.images[0]))
    (job.labels[0] / "1.txt").write_text("2 0.5 0.5 0.5 0.5\n")
    with pytest.raises(SourceError, match=r"1\.txt:1: wanted 'class x y x y x y \.\.\.', got '2 0\.5 0\.5"):
        evaluate_detection(job, BrightShapes())


def test_a_segmentation_network_is_a_detector_with_masks(tmp_path: Path) -> None:
    """Of real weights; those of a network that makes none are refused by name."""
    shapes = save_bright_network(tmp_path / "shapes.pt", side=96, masks=True)
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[24:48, 32:56] = 255
    detector = load_detector(str(shapes), backend="torch", masks=True)
    surest = max(detector.look(picture), key=lambda found: found.confidence)
    detector.close()
    assert surest.mask_rle is not None
    mask, square = decode_mask(surest.mask_rle, (96, 64)), picture[..., 0] > 0
    assert (mask & square).sum() / (mask | square).sum() > 0.6
    boxes = save_bright_network(tmp_path / "boxes.pt", side=96)
    with pytest.raises(WeightsError, match=r"boxes\.pt.*detect"):
        load_detector(str(boxes), backend="torch", masks=True)
