"""Whole runs with a bracket that is bumped, or cameras that see different parts of the scene."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfuse.io.synthetic.cameras import homography_visible_from_infrared

SIZE_WH = (320, 240)
BUMP_S, BUMP_PX = 20.0, 7.0
ASIDE_PX = 60.0
"""So far is the infrared camera turned away in the run that is cropped; its rig knows."""
STREETS = {
    "bumped": f"fps=2&duration=40&bump_at={BUMP_S}&bump_px={BUMP_PX}",
    "wrong": f"fps=1&duration=115&bump_px={BUMP_PX}",
    "aside": f"fps=2&duration=6&bump_px={ASIDE_PX}",
}

Outcome = tuple[Path, list[dict[str, Any]], dict[str, Any], str]


@pytest.fixture(scope="module")
def outcomes(new_world: Any, yolo: Path) -> dict[str, Outcome]:
    """Folders, messages, summaries and words of three runs side by side, as fast as the machine can."""
    tasks = f"tasks: {{detect: {{weights: {yolo}, confidence: 0.0, most: 3}}}}\n"
    more = {
        "bumped": "",
        "wrong": "registration: {correct: true}\n",
        "aside": f"registration: {{crop: true}}\n{tasks}",
    }
    with ExitStack() as stack:
        worlds = {name: stack.enter_context(new_world()) for name in STREETS}
        started = {name: start(world, name, more[name]) for name, world in worlds.items()}
        return {name: outcome(worlds[name], process) for name, process in started.items()}


def start(world: Any, name: str, more: str) -> Any:
    """A street with the rig of its cameras as they were mounted."""
    matrix = homography_visible_from_infrared(SIZE_WH, SIZE_WH)
    if name == "aside":
        matrix = np.array([[1.0, 0.0, ASIDE_PX], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
    (world.folder / "rig.yaml").write_text(
        f"visible: {{size_wh: {list(SIZE_WH)}}}\ninfrared: {{size_wh: {list(SIZE_WH)}}}\n"
        f"planes: [{{distance_m: inf, H_visible_from_infrared: {matrix.tolist()}}}]\n"
    )
    street = f"synthetic://street?seed=9&size=320x240&{STREETS[name]}"
    publish = "publish: [{kind: jsonl, path: events.jsonl, what: all}]\n"
    world.write_pipeline("every_frame", street, street, f"rig: rig.yaml\n{publish}{more}")
    return world.start()


def outcome(world: Any, process: Any) -> Outcome:
    """What came of a run that went to its end."""
    words, _ = process.communicate(timeout=240)
    assert process.returncode == 0, words
    lines = (world.folder / "events.jsonl").read_text().splitlines()
    return world.folder, [json.loads(line) for line in lines], world.summary, words


def events(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of the bracket."""
    return [told for told in messages if told["kind"] == "event" and told["rule"] == "registration"]


@pytest.mark.slow
def test_a_bump_in_the_middle_is_told_within_seconds(outcomes: dict[str, Outcome]) -> None:
    """Nothing before it; then an event with the shift, in messages, summary and log."""
    _, messages, summary, words = outcomes["bumped"]
    begun, ended = events(messages)
    assert (begun["phase"], ended["phase"]) == ("begun", "ended")
    assert BUMP_S <= begun["pair_id"] / 2 <= BUMP_S + 8
    assert begun["shift_px"] == pytest.approx([BUMP_PX, 0.0], abs=1.0)
    assert ended["pair_id"] == 79  # it is not mended before the end
    told = summary["registration"]
    assert told["bumped"]
    assert told["shift_px"] == pytest.approx([BUMP_PX, 0.0], abs=1.0)
    assert summary["events"] == 1
    assert words.count("the cameras do not sit as the rig says") == 1


@pytest.mark.slow
def test_a_rig_that_is_wrong_is_told_and_corrected(outcomes: dict[str, Outcome]) -> None:
    """Off from the start: an event at once, less than 2 pixels left in the end, and how to keep that."""
    _, messages, summary, words = outcomes["wrong"]
    assert events(messages)[0]["pair_id"] <= 8
    told = summary["registration"]
    assert told["shift_px"] == pytest.approx([BUMP_PX, 0.0], abs=1.5)
    assert abs(told["corrected_px"][0] - BUMP_PX) < 2.0
    assert told["apart_px"] is None
    assert "to keep that, measure anew: `streamfuse calibrate align" in words


@pytest.mark.slow
def test_cropped_pictures_and_their_boxes(outcomes: dict[str, Outcome]) -> None:
    """Messages, index and video have the size of what both cameras see; boxes are told in both."""
    folder, messages, summary, _ = outcomes["aside"]
    assert not events(messages)
    assert not summary["registration"]["bumped"]
    width, height = messages[0]["size"]
    assert SIZE_WH[0] - ASIDE_PX - 10 <= width < SIZE_WH[0] - 30
    assert (width % 2, height % 2) == (0, 0)
    (video,) = (folder / "recordings").glob("*.mp4")
    with av.open(str(video)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (width, height)
    found = [found for told in messages for found in told["detections"]]
    assert len(found) > 0
    offsets = {
        tuple(round(a - b, 1) for a, b in zip(each["box_visible"], each["box"], strict=True))
        for each in found
    }
    ((left, top, right, bottom),) = offsets
    assert (left, top) == (right, bottom)
    assert left >= 30
    assert all(each["box_infrared"] is not None for each in found)
