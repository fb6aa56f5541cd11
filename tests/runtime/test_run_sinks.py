"""A run with everything on: YOLO, overlay, web page, events and metrics."""

from __future__ import annotations

import json
import signal
import socket

import av
import httpx
import numpy as np

STREET = "synthetic://street?seed=7&size=160x120&fps=10"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_is_found_reaches_every_sink(world, wait_until, yolo) -> None:
    """The index, the messages, the page, the metrics and a clip all tell of the same run and its event."""
    web, metrics = free_port(), free_port()
    world.write_pipeline(
        "realtime",
        STREET,
        STREET,
        f'tasks: {{detect: {{weights: "{yolo}", confidence: 0.0}}}}\n'
        "events: [{name: anything, confidence: 0, min_time_s: 0.2}]\n"
        f'viewer: {{web: "127.0.0.1:{web}"}}\nmetrics: {{prometheus: "127.0.0.1:{metrics}"}}\n'
        "publish: [{kind: jsonl, path: messages.jsonl, what: all}]\n",
    )
    process = world.start()

    def page_tells_of_the_event() -> bool:
        try:
            return bool(httpx.get(f"http://127.0.0.1:{web}/api/events").json())
        except httpx.TransportError:
            return False

    wait_until(page_tells_of_the_event)
    jpeg = httpx.get(f"http://127.0.0.1:{web}/snapshot.jpg").content
    assert jpeg.startswith(b"\xff\xd8")
    numbers = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
    assert 'streamfuse_pairs_total{state="matched"}' in numbers
    assert "streamfuse_events_total 1.0" in numbers
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert world.summary["detections"] > 0, words
    messages = [json.loads(line) for line in (world.folder / "messages.jsonl").read_text().splitlines()]
    assert sum(len(message["detections"]) for message in messages if message["kind"] == "pair") > 0
    event, *_ = [message for message in messages if message["kind"] == "event"]
    assert (event["rule"], event["phase"], world.summary["events"]) == ("anything", "begun", 1)
    (clip,) = (world.folder / "recordings" / "events").glob("*.mp4")
    assert clip.stem == event["id"]
    with av.open(str(clip)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 2
    (index,) = (world.folder / "recordings").glob("*.jsonl")
    assert f'"id":"{event["id"]}"' in index.read_text()
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
