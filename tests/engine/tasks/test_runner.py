"""Task networks on fused images: what they find, when they look, and that they agree with Ultralytics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from streamfuse.config.tasks import Detect, More, Segment, Tasks
from streamfuse.core.convert import image_to_rgb
from streamfuse.core.masks import decode_mask
from streamfuse.engine.tasks.library import libraries_unchanged, ultralytics
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.runner import Looked, TaskRunner
from streamfuse.errors import UsageError
from streamfuse.frames import Detection, StreamName
from streamfuse.io.sources import open_source

bbox_iou = ultralytics("utils.metrics").bbox_iou
WIDTH, HEIGHT = 960, 720
SCALE = 1.5  # the network looks at 640x480: boxes must be scaled back
STRIDE = 16  # of the one level that sees something


@pytest.fixture(scope="module")
def detector(weights: dict[str, str]) -> Iterator[TaskRunner]:
    """A loaded detector."""
    runner = _runner(detect=Detect(weights=weights["yolov8n"]))
    yield runner
    runner.close()


def _runner(backend: Any = "torch", **tasks: Any) -> TaskRunner:
    return TaskRunner.load(Tasks(backend=backend, **tasks))


def _picture(size_wh: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def _objects(runner: TaskRunner, *pair_ids: int) -> list[tuple[Detection, ...]]:
    looked = runner.run([_picture((320, 256))] * len(pair_ids), pair_ids=pair_ids)
    return [one.detections for one in looked]


@pytest.mark.parametrize(("name", "backend"), [("yolov8n", "openvino"), ("yolov5n", "torch")])
def test_boxes_are_in_pixels_of_the_image(weights: dict[str, str], name: str, backend: str) -> None:
    """Boxes found at two thirds of the size come back at full size, around the anchors they belong to."""
    (looked,) = _runner(backend, detect=Detect(weights=weights[name])).run([_picture()], pair_ids=[0])
    assert looked.looked
    assert looked.detections
    inner = 0
    for detection in looked.detections:
        left, top, right, bottom = detection.box_xyxy
        assert 0 <= left <= right <= WIDTH
        assert 0 <= top <= bottom <= HEIGHT
        assert (detection.class_id, detection.class_name) == (3, "3")
        assert detection.confidence == pytest.approx(0.5, abs=1e-3)
        assert detection.mask_rle is None
        if left > 0 and top > 0 and right < WIDTH and bottom < HEIGHT:
            inner += 1
            side = right - left
            assert side == pytest.approx(bottom - top, abs=0.5)
            assert side == pytest.approx(15 * STRIDE * SCALE, abs=0.5)
            centre = (left + right) / 2 / SCALE / STRIDE
            assert centre % 1 == pytest.approx(0.5, abs=0.05), "where an anchor is"
    assert inner, "some boxes lie wholly inside"


SIZES = [(640, 480), (600, 450), (1000, 333)]  # as it is, scaled, scaled and padded


@pytest.mark.parametrize("size_wh", SIZES, ids=str)
def test_results_are_those_of_ultralytics(
    seeing_weights: dict[str, str], scene: np.ndarray, size_wh: tuple[int, int]
) -> None:
    """The same objects as ``YOLO.predict``: boxes within a pixel, same classes, masks alike."""
    path = seeing_weights["yolov8n-seg"]
    image = np.asarray(cv2.resize(scene, size_wh), np.uint8)
    theirs = _predicted(path, image)
    (ours,) = _runner(segment=Segment(weights=path, overlap=0.7)).run([image], pair_ids=[0])
    _assert_alike(ours.detections, theirs, size_wh=size_wh)


@pytest.mark.slow
def test_the_shipped_detector_agrees_with_ultralytics_on_a_street(tmp_path: Path) -> None:
    """On OpenVINO, at this machine's precision, sure objects are those of ``YOLO.predict`` in float32.

    Of neighbouring boxes of one object whose scores are nearly equal, bfloat16 may prefer another one.
    """
    network = load_task_network("default", kind="segment", where="test")
    torch.save({"model": network.module}, tmp_path / "default.pt")
    image = _street()
    theirs = _predicted(str(tmp_path / "default.pt"), image)
    (ours,) = _runner("openvino", segment=Segment(overlap=0.7)).run([image], pair_ids=[0])
    sure = theirs[theirs.boxes.conf > 0.4]
    assert len(sure) > 2, "there is something to compare"
    for box, class_id in zip(sure.boxes.xyxy.tolist(), sure.boxes.cls.tolist(), strict=True):
        alike = [one.box_xyxy for one in ours.detections if one.class_id == int(class_id)]
        assert bbox_iou(torch.tensor([box]), torch.tensor(alike), xywh=False).max() > 0.75


def _assert_alike(ours: Sequence[Detection], theirs: Any, *, size_wh: tuple[int, int]) -> None:
    assert len(theirs.boxes) > 2, "there is something to compare"
    common = either = 0
    for row, mask in zip(theirs.boxes.data.tolist(), theirs.masks.data.bool().numpy(), strict=True):
        box, class_id = row[:4], int(row[5])
        own = min(ours, key=lambda one: (one.class_id != class_id, _distance(one.box_xyxy, box)))
        assert own.class_id == class_id
        assert _distance(own.box_xyxy, box) < 1.0
        decoded = np.zeros_like(mask) if own.mask_rle is None else decode_mask(own.mask_rle, size_wh)
        common += int((decoded & mask).sum())
        either += int((decoded | mask).sum())
    assert common / either > 0.95


def _street() -> np.ndarray:
    source = open_source("synthetic://street?seed=7", stream=StreamName.VISIBLE)
    try:
        frame = source.read()
    finally:
        source.close()
    assert frame is not None
    return image_to_rgb(frame.image)


def _predicted(path: str, image: np.ndarray) -> Any:
    with libraries_unchanged():
        (result,) = (
            ultralytics()
            .YOLO(path)
            .predict(np.ascontiguousarray(image[..., ::-1]), retina_masks=True, verbose=False, device="cpu")
        )
    return result


def _distance(box: Any, other: Any) -> float:
    return float(np.abs(np.subtract(box, other)).max())


def test_objects_go_with_their_image(seeing_weights: dict[str, str], scene: np.ndarray) -> None:
    """In a batch every image gets its own objects, whatever its place and size."""
    black, wide = np.zeros_like(scene), np.ascontiguousarray(scene[:200])
    runner = _runner(detect=Detect(weights=seeing_weights["yolov8n"], most=20))
    one, other, third = runner.run([scene, black, wide], pair_ids=[0, 1, 2])
    again = runner.run([wide, black, scene], pair_ids=[3, 4, 5])
    assert [_boxes(looked) for looked in again] == [_boxes(looked) for looked in (third, other, one)]
    assert len({str(_boxes(looked)) for looked in (one, other, third)}) == 3, "it looks at the picture"


def _boxes(looked: Looked) -> list[tuple[int, ...]]:
    return [tuple(round(edge) for edge in one.box_xyxy) for one in looked.detections]


def test_networks_name_what_they_can_find(weights: dict[str, str], detector: TaskRunner) -> None:
    """The names of all tasks together, only those asked for, and none without a task."""
    assert detector.class_names == {str(number) for number in range(80)}
    path = weights["yolov8n-seg"]
    both = _runner(
        detect=Detect(weights=path, classes=("3", "5")), segment=Segment(weights=path, classes=("7",))
    )
    assert both.class_names == {"3", "5", "7"}
    assert TaskRunner([]).class_names == frozenset()
    assert TaskRunner([]).run([_picture()], pair_ids=[0]) == [Looked()]
    assert TaskRunner([]).backend == TaskRunner([]).device == ""


def test_only_the_classes_asked_for_are_reported(weights: dict[str, str]) -> None:
    """Objects of other classes are left out; a class that the network lacks is refused by name."""
    path = weights["yolov8n"]
    assert _objects(_runner(detect=Detect(weights=path, classes=("3",))), 0) != [()]
    assert _objects(_runner(detect=Detect(weights=path, classes=("4",))), 0) == [()]
    with pytest.raises(
        UsageError, match=r"^tasks.detect.classes: the network does not find lorry; it finds 0, 1"
    ):
        _runner(detect=Detect(weights=path, classes=("3", "lorry")))


def test_confidence_is_the_threshold_and_can_change(weights: dict[str, str]) -> None:
    """A threshold set anew holds from the next call on; a task that is not named keeps its own."""
    path = weights["yolov8n"]
    runner = _runner(detect=Detect(weights=path))
    assert _objects(runner, 0) != [()]
    runner.set_confidence(Tasks(detect=Detect(weights=path, confidence=0.51)))
    assert _objects(runner, 0) == [()]
    runner.set_confidence(Tasks())
    assert _objects(runner, 0) == [()]


def test_overlap_decides_what_is_one_object(weights: dict[str, str]) -> None:
    """The less two boxes may overlap, the fewer of them are left."""
    counts = [
        len(_objects(_runner(detect=Detect(weights=weights["yolov8n"], overlap=overlap)), 0)[0])
        for overlap in (0.1, 0.9)
    ]
    assert 0 < counts[0] < counts[1]


def test_no_more_objects_than_asked_for(weights: dict[str, str]) -> None:
    """Beyond ``most`` the surest stay, and how many are left out is said."""
    path = weights["yolov8n"]
    everything, few = (
        _runner(detect=Detect(weights=path, overlap=1.0, most=most)).run([_picture()], pair_ids=[0])[0]
        for most in (10_000, 7)
    )
    assert (everything.left_out, len(few.detections)) == (0, 7)
    assert few.left_out == len(everything.detections) - 7
    assert few.detections == everything.detections[:7]


def test_a_pair_that_no_network_looks_at_is_known(weights: dict[str, str]) -> None:
    """Tasks look at the multiples of their ``every``, wherever the batches are cut; who asks is told."""
    detect = Detect(weights=weights["yolov8n"], every=2)
    runner = _runner(detect=detect, segment=Segment(weights=weights["yolov8n-seg"], every=3))
    due = [True, False, True, True, True, False]
    assert [runner.looks_at(pair_id) for pair_id in range(6)] == due
    looked = [
        *runner.run([_picture()] * 2, pair_ids=[0, 1]),
        *runner.run([_picture()] * 4, pair_ids=range(2, 6)),
    ]
    assert [one.looked for one in looked] == due
    assert [bool(one.detections) for one in looked] == due


def test_two_networks_report_together(weights: dict[str, str]) -> None:
    """With networks of their own, an image carries the objects of each task that looks at it."""
    detect = Detect(weights=weights["yolov8n"], every=2)
    both, only = _objects(_runner(detect=detect, segment=Segment(weights=weights["yolov8n-seg"])), 0, 1)
    assert both[-len(only) :] == only, "what the segmentation finds"
    plain = both[: -len(only)]
    assert plain
    assert not any(detection.mask_rle for detection in plain)
    assert any(detection.mask_rle for detection in only)


def test_tasks_with_the_same_weights_share_a_network(weights: dict[str, str]) -> None:
    """Detection and segmentation by one network report each object once, with its mask if asked for."""
    path = weights["yolov8n-seg"]
    runner = _runner(detect=Detect(weights=path), segment=Segment(weights=path, every=2))
    assert len(runner._lookers) == 1
    masked, plain = _objects(runner, 0, 1)
    assert [one.box_xyxy for one in masked] == [one.box_xyxy for one in plain]
    assert any(one.mask_rle for one in masked)
    assert not any(one.mask_rle for one in plain)


def test_further_networks_report_in_the_same_pass(weights: dict[str, str]) -> None:
    """Each of ``more`` adds what it finds."""
    more = (
        More(kind="detect", weights=weights["yolov5n"]),
        More(kind="segment", weights=weights["yolov8n-seg"]),
    )
    (found,) = _objects(_runner(detect=Detect(weights=weights["yolov8n"]), more=more), 0)
    alone = [_objects(_runner(detect=Detect(weights=weights[name])), 0)[0] for name in weights]
    assert len(found) == sum(map(len, alone))


def test_no_images_no_results(detector: TaskRunner) -> None:
    """An empty batch is answered by an empty list."""
    assert detector.run([], pair_ids=[]) == []


def test_closing_twice_is_allowed(weights: dict[str, str]) -> None:
    """And the words for what runs are there all the time."""
    runner = _runner(detect=Detect(weights=weights["yolov8n"]))
    assert (runner.backend, bool(runner.device)) == ("torch", True)
    runner.close()
    runner.close()


def test_with_tracks_what_is_less_sure_is_given_apart(weights: dict[str, str]) -> None:
    """Objects at 0.5 where 0.8 is asked for: none, but faint ones for the tracker, with their masks."""
    for track in (False, True):
        runner = _runner(
            detect=Detect(weights=weights["yolov8n-seg"], confidence=0.8, track=track),
            segment=Segment(weights=weights["yolov8n-seg"], confidence=0.8),
        )
        (looked,) = runner.run([_picture((320, 256))], pair_ids=[0])
        assert (looked.detections, looked.left_out) == ((), 0)
        assert bool(looked.faint) == track
        assert all(one.confidence < 0.8 for one in looked.faint)
        assert any(one.mask_rle is not None for one in looked.faint) == track
