"""The people whom smoke hides from the visible camera, and what the shipped detector finds of them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from streamfuse.config.tasks import Detect, Tasks
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.frames import Detection

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CLIP = "m3svd/video/*/0117_1605.mp4"
LEAST_SHARE = 0.7


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, imported as when it runs: its folder is on the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("smoke_people")


def person(*box_xyxy: float, confidence: float = 0.9, name: str = "person") -> Detection:
    """A detection of a person, or of something else."""
    return Detection(class_id=0, class_name=name, confidence=confidence, box_xyxy=box_xyxy)  # type: ignore[arg-type]


def test_the_labels_are_boxes_within_the_twenty_frames(smoke: ModuleType) -> None:
    """Each frame has people, their boxes lie in the picture, and at least one of them is hidden."""
    labels = json.loads(smoke.LABELS.read_text(encoding="utf-8"))
    width, height = labels["size_wh"]
    assert list(labels["frames"]) == [str(number) for number in range(100, 200, 5)]
    for people in labels["frames"].values():
        assert {one["state"] for one in people} <= {"hidden", "seen", "doubtful"}
        for left, top, right, bottom in (one["box_xyxy"] for one in people):
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
    assert all(len(boxes) for boxes in smoke.read_hidden().values())


def test_one_box_finds_one_hidden_person(smoke: ModuleType) -> None:
    """A second box on the same person, a car and a loose box find nobody."""
    hidden = {number: smoke.read_hidden()[number][:2] for number in (110, 115)}
    first, second = (tuple(box) for box in hidden[110])
    own = tuple(hidden[115][0])
    others = [person(0, 0, 640, 480), person(*hidden[115][1], name="car")]
    found = {
        110: [person(*first), person(*second)],
        115: [person(*own), person(*own, confidence=0.5), *others],
    }
    score = smoke.score(hidden, found)
    assert (score.hidden, score.found) == (4, 3)
    assert (score.frames, score.frames_any, score.frames_all) == (2, 2, 1)


@pytest.mark.slow
def test_the_shipped_detector_finds_the_people_that_smoke_hides(smoke: ModuleType, data_dir: Path) -> None:
    """In fused frames it finds at least 70 % of them, and more than in the visible ones."""
    runner = TaskRunner.load(Tasks(detect=Detect()))
    try:
        with FusionEngine.load() as engine:
            scores = smoke.score_clip(data_dir / CLIP, runner, engine)
    finally:
        runner.close()
    shares = {kind: score.shares() for kind, score in scores.items()}
    assert shares["fused"]["people"] >= LEAST_SHARE, shares
    assert shares["fused"]["frames_any"] >= LEAST_SHARE, shares
    assert scores["fused"].found > scores["visible"].found, shares
