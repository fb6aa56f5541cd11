"""YOLO networks on fused images, with weights set by hand in the architectures Ultralytics ships."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from streamfuse.config.pipeline import Detect, Task, Tasks
from streamfuse.core.masks import decode_mask
from streamfuse.engine.tasks import TaskRunner, _yolo
from streamfuse.errors import WeightsError

WIDTH, HEIGHT = 960, 720
SCALE = 1.5  # the network looks at 640x480: boxes must be scaled back
STRIDE = 16  # of the one level that sees something


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ultralytics keeps its settings here, not in the home folder."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        _yolo()
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of networks that see the same everywhere, by architecture."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    return {name: _save(name, folder) for name in ("yolov8n", "yolov8n-seg", "yolov5n")}


def _save(name: str, folder: Path) -> str:
    """Save a network whose every middle anchor sees class 3 with confidence 0.5, 15 by 15 strides large."""
    model = _yolo()(f"{name}.yaml")
    head = model.model.model[-1]
    with torch.no_grad():
        for box, score in zip(head.cv2, head.cv3, strict=True):
            for layer in (box[-1], score[-1]):
                layer.weight.zero_()
                layer.bias.zero_()
            score[-1].bias.fill_(-20.0)
        head.cv3[1][-1].bias[3] = 0.0
    path = folder / f"{name}.pt"
    model.save(path)
    return str(path)


@pytest.fixture(scope="module")
def detector(weights: dict[str, str]) -> TaskRunner:
    """A loaded detector."""
    return _runner(detect=Detect(weights=weights["yolov8n"]))


def _with(runner: TaskRunner, **settings: Any) -> TaskRunner:
    """The same network with other settings; loading one takes seconds."""
    return TaskRunner([dataclasses.replace(network, **settings) for network in runner._networks])


def _runner(**tasks: Any) -> TaskRunner:
    return TaskRunner.load(Tasks(**tasks))


def _picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("name", ["yolov8n", "yolov5n"])
def test_boxes_are_in_pixels_of_the_image(weights: dict[str, str], name: str) -> None:
    """Boxes found at half size come back at full size, around the anchors they belong to."""
    (found,) = _runner(detect=Detect(weights=weights[name])).run([_picture()], pair_ids=[0])
    assert found
    inner = 0
    for detection in found:
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


def test_masks_have_the_size_of_the_image(weights: dict[str, str]) -> None:
    """A mask covers the image in run lengths and lies inside its box."""
    (found,) = _runner(segment=Task(weights=weights["yolov8n-seg"])).run([_picture()], pair_ids=[0])
    assert found
    for detection in found:
        assert detection.mask_rle is not None
        rows, columns = np.nonzero(decode_mask(detection.mask_rle, (WIDTH, HEIGHT)))
        left, top, right, bottom = detection.box_xyxy
        assert rows.size
        assert left - 2 <= columns.min()
        assert columns.max() <= right + 2
        assert top - 2 <= rows.min()
        assert rows.max() <= bottom + 2


def test_the_networks_name_what_they_can_find(weights: dict[str, str], detector: TaskRunner) -> None:
    """The names of all tasks together, and none without a task."""
    assert detector.class_names == {str(number) for number in range(80)}
    assert _runner(segment=Task(weights=weights["yolov8n-seg"])).class_names == detector.class_names
    assert TaskRunner([]).class_names == frozenset()


def test_confidence_is_the_threshold(detector: TaskRunner) -> None:
    """Objects below the threshold are left out."""
    assert _with(detector, confidence=0.51).run([_picture()], pair_ids=[0]) == [()]


def test_the_confidence_can_change_between_calls(weights: dict[str, str]) -> None:
    """A threshold set anew holds from the next call on; a task that is not named keeps its own."""
    path = weights["yolov8n"]
    runner = _runner(detect=Detect(weights=path))
    assert runner.run([_picture()], pair_ids=[0]) != [()]
    runner.set_confidence(Tasks(detect=Detect(weights=path, confidence=0.51)))
    assert runner.run([_picture()], pair_ids=[0]) == [()]
    runner.set_confidence(Tasks())
    assert runner.run([_picture()], pair_ids=[0]) == [()]


def test_a_pair_that_no_network_looks_at_is_known(detector: TaskRunner) -> None:
    """Whoever asks what is missing from a picture has to know whether anybody looked."""
    runner = TaskRunner([*_with(detector, every=2)._networks, *_with(detector, every=3)._networks])
    assert [runner.looks_at(pair_id) for pair_id in range(6)] == [True, False, True, True, True, False]


def test_every_looks_at_multiples_of_its_number(detector: TaskRunner) -> None:
    """The pairs between carry no objects, wherever the batches are cut."""
    runner = _with(detector, every=3)
    found = runner.run([_picture()] * 3, pair_ids=[2, 3, 4]) + runner.run([_picture()] * 2, pair_ids=[5, 6])
    assert [bool(detections) for detections in found] == [False, True, False, False, True]


def test_both_tasks_report_together(weights: dict[str, str]) -> None:
    """With detection and segmentation on, an image carries the objects of both."""
    detect, segment = Detect(weights=weights["yolov8n"], every=2), Task(weights=weights["yolov8n-seg"])
    both, only = _runner(detect=detect, segment=segment).run([_picture()] * 2, pair_ids=[0, 1])
    assert {detection.mask_rle is None for detection in both} == {True, False}
    assert {detection.mask_rle is None for detection in only} == {False}


def test_objects_go_with_their_image(tmp_path: Path) -> None:
    """In a batch every image gets its own objects, whatever its place in the batch."""
    model = _yolo()("yolov8n.yaml")
    for score in model.model.model[-1].cv3:
        torch.nn.init.normal_(score[-1].weight, std=0.5)
        torch.nn.init.zeros_(score[-1].bias)
    model.save(tmp_path / "a.pt")
    runner = _runner(detect=Detect(weights=str(tmp_path / "a.pt"), confidence=0.1))
    noise, black = _picture(), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    one, other = runner.run([noise, black], pair_ids=[0, 1])
    assert runner.run([black, noise], pair_ids=[2, 3]) == [other, one]
    assert one != other, "the network looks at the picture"


def test_colours_reach_the_network_in_their_order(detector: TaskRunner) -> None:
    """What the network sees is red where the picture is red."""
    model = detector._networks[0].model.predictor.model.model
    seen = []
    handle = model.model[0].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    detector.run([red], pair_ids=[0])
    handle.remove()
    assert seen[0].amax(dim=(0, 2, 3)).tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_no_images_no_objects(detector: TaskRunner) -> None:
    """An empty batch is answered by an empty list."""
    assert detector.run([], pair_ids=[]) == []


def test_missing_weights_are_not_searched_for(tmp_path: Path) -> None:
    """A name Ultralytics would download is refused like any other missing file."""
    path = tmp_path / "yolov8n.pt"
    with pytest.raises(
        WeightsError, match=r"^tasks.detect.weights: .*yolov8n.pt: no such file; nothing is downl"
    ):
        _runner(detect=Detect(weights=str(path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["empty", "text", "tensor", "dict", "cut"])
def test_what_is_no_yolo_network_is_one_sentence(kind: str, tmp_path: Path, weights: dict[str, str]) -> None:
    """Files of every other kind give the same clear error."""
    path = tmp_path / "other.pt"
    if kind in {"tensor", "dict"}:
        torch.save(torch.zeros(3) if kind == "tensor" else {"model": {"a": torch.zeros(3)}}, path)
    else:
        whole = Path(weights["yolov8n"]).read_bytes()
        path.write_bytes({"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2]}[kind])
    with pytest.raises(
        WeightsError, match=r"^tasks.segment.weights: .*other.pt: not a YOLO network; expected"
    ) as error:
        _runner(segment=Task(weights=str(path)))
    assert len(str(error.value).splitlines()) == 1


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_weights_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would run a command when unpickled is refused before it does."""
    monkeypatch.chdir(tmp_path)
    torch.save({"model": _Evil()}, "evil.pt")
    with pytest.raises(WeightsError, match="not a YOLO network"):
        _runner(detect=Detect(weights=str(tmp_path / "evil.pt")))
    assert not Path("pwned").exists()


@pytest.mark.parametrize(("kind", "name"), [("detect", "yolov8n-seg"), ("segment", "yolov8n")])
def test_weights_of_another_task_are_refused(weights: dict[str, str], kind: str, name: str) -> None:
    """Detection weights do not segment, and the other way round; the message names both."""
    other = {"detect": "segment", "segment": "detect"}[kind]
    task = Detect(weights=weights[name]) if kind == "detect" else Task(weights=weights[name])
    with pytest.raises(WeightsError, match=f"made for the task {other}; expected weights for {kind}$"):
        _runner(**{kind: task})


@pytest.mark.slow
def test_nothing_leaves_the_machine_and_the_home_folder_stays_clean(
    weights: dict[str, str], tmp_path: Path
) -> None:
    """From import to objects: no socket, no process, no file but the settings; libraries as before."""
    script = textwrap.dedent("""
        import json, os, sys
        import cv2, numpy as np, torch
        from streamfuse.config.pipeline import Detect, Tasks
        from streamfuse.engine.tasks import TaskRunner
        seen = []
        def watch(event, args):
            if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork")):
                seen.append(event)
        sys.addaudithook(watch)
        before = cv2.getNumThreads(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
        found = TaskRunner.load(Tasks(detect=Detect(weights=sys.argv[1]))).run(
            [np.zeros((64, 64, 3), np.uint8)], pair_ids=[0])
        after = cv2.getNumThreads(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
        print(json.dumps({"seen": seen, "found": len(found[0]), "same": before == after}))
    """)
    odd = tmp_path / "it's yolov5n.pt"  # Ultralytics would rename this, not find it and download
    odd.write_bytes(Path(weights["yolov5n"]).read_bytes())
    for name in ("home", "cache", "tmp", "work"):
        (tmp_path / name).mkdir()
    places = {"HOME": "home", "XDG_CACHE_HOME": "cache", "TMPDIR": "tmp", "XDG_CONFIG_HOME": "home/.config"}
    keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    run = subprocess.run(
        [sys.executable, "-c", script, str(odd)],
        env=keep | {name: str(tmp_path / place) for name, place in places.items()},
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        check=True,
    )
    facts = json.loads(run.stdout)
    assert facts == {"seen": [], "found": facts["found"], "same": True}
    assert facts["found"] > 0
    assert not any((tmp_path / "home").iterdir())
    assert not any((tmp_path / "work").iterdir())
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["settings.json"]
