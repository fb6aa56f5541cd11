"""Whole runs with task networks that are not what they should be, or find far too much, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

STREET = "synthetic://street?seed=7&size=64x64&fps=10"
CROWD = 10_000
"""The most that a task may report of one image."""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Converted networks stay out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for pictures of 704 pixels: 10,164 places, and something at each of them."""
    from streamfuse.engine.tasks.library import ultralytics  # noqa: PLC0415 - quietly, as we load it

    path = tmp_path_factory.mktemp("weights") / "crowded.pt"
    model = ultralytics().YOLO("yolov8n.yaml")
    model.model.args["imgsz"] = 704
    model.save(path)
    return path


def wrong_weights(folder: Path, kind: str, sound: Path) -> Path:
    """A file that is no use: missing, cut in the middle, or a page that somebody saved instead."""
    path = folder / f"{kind}.pt"
    if kind == "truncated":
        whole = sound.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "page":
        path.write_text("<!doctype html><title>404</title>")
    return path


def refused(world, tasks: str, *parts: str) -> int:
    """Run with tasks that cannot be; its exit code, once it said why in one line and left nothing behind."""
    world.write_pipeline(
        "every_frame",
        STREET,
        STREET,
        f"{tasks}publish: [{{kind: jsonl, path: recordings/more/events.jsonl}}]\n",
    )
    code, words = world.run("--max-frames", "2")
    (line,) = words.strip().splitlines()
    assert all(part in line for part in parts), words
    assert not (world.folder / "recordings").exists()
    return int(code)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["missing", "truncated", "page"])
def test_weights_that_cannot_be_read_end_a_run_at_its_start(world, yolo: Path, kind: str) -> None:
    """One sentence with the key and the file; a restart would not help, so there is none."""
    path = wrong_weights(world.folder, kind, yolo)
    assert (
        refused(world, f'tasks: {{detect: {{weights: "{path}"}}}}\n', "tasks.detect.weights", path.name) == 3
    )


@pytest.mark.slow
def test_a_detector_makes_no_masks(world, yolo: Path) -> None:
    """Weights of another task are refused with both tasks."""
    tasks = f'tasks: {{segment: {{weights: "{yolo}"}}}}\n'
    assert refused(world, tasks, "tasks.segment.weights", "detect", "segment") == 3


@pytest.mark.slow
def test_a_rule_for_objects_that_no_network_finds(world, yolo: Path) -> None:
    """The name that nothing finds, the rule, and what could be counted instead."""
    tasks = (
        f'tasks:\n  detect: {{weights: "{yolo}", track: true}}\n'
        "  rules: [{name: gate, line: [[0, 0.5], [1, 0.5]], classes: [persn]}]\n"
    )
    assert refused(world, tasks, "tasks.rules.gate", "persn", "they find") == 2


@pytest.mark.slow
def test_ten_thousand_objects_in_every_frame(world, crowded: Path) -> None:
    """All of them are reported, and no frame is lost over it."""
    world.write_pipeline(
        "every_frame",
        STREET,
        STREET,
        f"tasks: {{detect: {{weights: {crowded}, confidence: 0.0, overlap: 1.0, most: {CROWD}}}}}\n"
        "publish: [{kind: jsonl, path: events.jsonl}]\n",
    )
    code, words = world.run("--max-frames", "2")
    assert code == 0, words
    messages = [json.loads(line) for line in (world.folder / "events.jsonl").read_text().splitlines()]
    assert [len(message["detections"]) for message in messages] == [CROWD, CROWD]
    assert world.summary["detections"] == 2 * CROWD
    assert world.recorded_frames() == 2


@pytest.mark.slow
def test_nothing_is_found_in_any_frame(world, yolo: Path) -> None:
    """Empty lists and counts of 0, not messages that are left out."""
    world.write_pipeline(
        "every_frame",
        STREET,
        STREET,
        f'tasks:\n  detect: {{weights: "{yolo}", confidence: 1.0, track: true}}\n'
        "  rules: [{name: yard, zone: [[0, 0], [1, 0], [1, 1]]}]\n"
        "publish: [{kind: jsonl, path: events.jsonl}]\n",
    )
    code, words = world.run("--max-frames", "3")
    assert code == 0, words
    messages = [json.loads(line) for line in (world.folder / "events.jsonl").read_text().splitlines()]
    assert [message["detections"] for message in messages] == [[], [], []]
    assert all(message["counts"][0]["inside"] == message["counts"][0]["entered"] == 0 for message in messages)
    assert world.summary["detections"] == 0
