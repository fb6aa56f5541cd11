"""What is known of a task network without building it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamfuse.engine.backends.driver import has_cuda_driver
from streamfuse.engine.store import card_path, shipped_dir
from streamfuse.engine.tasks.facts import TaskFacts
from streamfuse.engine.tasks.known import KnownNetwork
from streamfuse.engine.tasks.places import DEFAULT_DETECTOR
from streamfuse.errors import WeightsError

FACTS = TaskFacts(kind="detect", names=("person", "car"), side_px=640, stride=32, is_end_to_end=False)
START = """
import json, sys
import numpy as np
from streamfuse.config.tasks import Detect, Segment, Tasks
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.engine.tracking import Tracker

runner = TaskRunner.load(Tasks(detect=Detect(confidence=0.01), segment=Segment(), backend="openvino"))
image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
(looked,) = runner.run([image], pair_ids=[0])
Tracker().update(looked.detections, capture_ns=0, looked=True)
heavy = sorted({"torch", "torchvision", "ultralytics"} & set(sys.modules))
print(json.dumps({"heavy": heavy, "names": sorted(runner.class_names), "found": repr(looked)}))
"""


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder; gives where notes and exports lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "streamfuse" / "exports"


def known(weights: str | Path, kind: str = "detect") -> KnownNetwork:
    """A network that is asked for."""
    return KnownNetwork(str(weights), kind=kind, trust=False, where="test")


@pytest.mark.slow
@pytest.mark.skipif(has_cuda_driver(), reason="with a GPU torch is what runs the networks")
def test_a_second_start_sees_the_same_without_torch() -> None:
    """Networks, suppression, masks and tracks come from what the first start has left on disk."""
    first, second = (
        json.loads(subprocess.run([sys.executable, "-c", START], capture_output=True, check=True).stdout)
        for _ in range(2)
    )
    assert first["heavy"]
    assert second == {**first, "heavy": []}


def test_facts_come_back_from_text() -> None:
    """As they were written; what is something else is refused."""
    assert TaskFacts.from_json(FACTS.to_json()) == FACTS
    for text in ("", "{}", '{"names": []}', json.dumps({**json.loads(FACTS.to_json()), "names": []})):
        with pytest.raises(ValueError, match=r"expect|Expecting|facts"):
            TaskFacts.from_json(text)


def test_notes_are_made_once_and_again_when_damaged(notes: Path, weights: dict[str, str]) -> None:
    """A network that is known is not built; a note that cannot be read costs that time."""
    first = known(weights["yolov8n"])
    (note,) = notes.glob("*/facts.json")
    again = known(weights["yolov8n"])
    assert again.facts == first.facts
    assert again._built is None
    note.write_text("{}")
    assert known(weights["yolov8n"]).facts == first.facts


def test_names_on_an_edited_card_are_believed(tmp_path: Path) -> None:
    """The digest is of the file beside it, the names are not in it."""
    path = tmp_path / "own.safetensors"
    shipped = shipped_dir() / f"{DEFAULT_DETECTOR}.safetensors"
    shutil.copy(shipped, path)
    card = json.loads(card_path(shipped).read_text(encoding="utf-8"))
    card_path(path).write_text(json.dumps(card), encoding="utf-8")
    assert known(path).facts.names == tuple(card["classes"])
    renamed = ["who", *card["classes"][1:]]
    card_path(path).write_text(json.dumps({**card, "classes": renamed}), encoding="utf-8")
    assert known(path).facts.names == tuple(renamed)


def test_masks_of_a_known_network_without_them_are_refused(weights: dict[str, str]) -> None:
    """Also when it is known from an earlier start."""
    known(weights["yolov8n"])
    with pytest.raises(WeightsError, match=r"test: .*has no masks; expected weights for segment"):
        known(weights["yolov8n"], kind="segment")
