"""A run with everything on: YOLO, overlay, web page, events and metrics."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import av
import httpx
import numpy as np
import pytest

STREET = "synthetic://street?seed=7&size=160x120&fps=10"


@pytest.fixture(scope="module")
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real YOLOv8n weights with random values: they find something everywhere at confidence 0."""
    from streamfuse.engine.tasks import _yolo  # noqa: PLC0415 - loads Ultralytics the way we do, offline

    path = tmp_path_factory.mktemp("weights") / "random.pt"
    _yolo()("yolov8n.yaml").save(path)
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_detections_reach_every_sink(world, wait_until, yolo) -> None:
    """The index, the events, the page and the metrics all tell of the same run."""
    web, metrics = free_port(), free_port()
    world.write_pipeline(
        "realtime",
        STREET,
        STREET,
        f'tasks: {{detect: {{weights: "{yolo}", confidence: 0.0}}}}\n'
        f'viewer: {{web: "127.0.0.1:{web}"}}\nmetrics: {{prometheus: "127.0.0.1:{metrics}"}}\n'
        "publish: [{kind: jsonl, path: events.jsonl}]\n",
    )
    process = world.start()

    def page_is_live() -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{web}/status.json").json()
        except httpx.TransportError:
            return False
        return bool(answer["frame"] > 2)

    wait_until(page_is_live)
    jpeg = httpx.get(f"http://127.0.0.1:{web}/snapshot.jpg").content
    assert jpeg.startswith(b"\xff\xd8")
    numbers = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
    assert 'streamfuse_pairs_total{state="matched"}' in numbers
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert world.summary["detections"] > 0, words
    events = [json.loads(line) for line in (world.folder / "events.jsonl").read_text().splitlines()]
    assert sum(len(event["detections"]) for event in events) > 0
    assert {"recorder", "viewer", "publisher"} == set(world.summary["sinks"])


def test_the_overlay_is_drawn_into_the_video_when_asked_for(world, yolo) -> None:
    """The same run with and without overlay gives different pictures of the same frames."""
    street = f"{STREET}&duration=0.3"
    pictures = {}
    for overlay in ("false", "true"):
        world.write_pipeline(
            "every_frame", street, street, f'tasks: {{detect: {{weights: "{yolo}", confidence: 0.0}}}}\n'
        )
        folder = world.folder / overlay
        code, words = world.run("--set", f"record.overlay={overlay}", "--set", f"record.dir={folder}")
        assert code == 0, words
        (path,) = folder.glob("*.mp4")
        with av.open(str(path)) as container:
            pictures[overlay] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures["true"]) == len(pictures["false"]) == 3
    change = np.abs(pictures["true"][0].astype(int) - pictures["false"][0].astype(int))
    assert np.mean(change.max(axis=2) > 60) > 0.01
