"""A run that publishes: every way out says the same, and none of them can stop it."""

from __future__ import annotations

import json
import re
import signal
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from broker import Listener, StartBroker, broker  # noqa: F401 - a fixture
from hook import Hook, hook  # noqa: F401 - a fixture
from servers import free_port

STREET = "synthetic://street?seed=7&size=160x120&fps=10"
SCHEMA = json.loads((resources.files("streamfuse") / "schema" / "message.schema.json").read_text("utf-8"))


def write_pipeline(folder: Path, mode: str, street: str, more: str) -> Path:
    """A pipeline that publishes and does nothing else."""
    path = folder / "pipeline.yaml"
    path.write_text(
        f"name: gate\nmode: {mode}\n"
        f'sources:\n  visible: {{uri: "{street}"}}\n  infrared: {{uri: "{street}"}}\n{more}'
    )
    return path


def told(lines: list[bytes]) -> list[dict[str, Any]]:
    """The messages, each of which has to fit the schema."""
    messages = [json.loads(line) for line in lines]
    for message in messages:
        jsonschema.validate(message, SCHEMA)
    return messages


def test_every_way_out_tells_of_the_same_run(
    world: Any,
    yolo: Path,
    broker: StartBroker,  # noqa: F811 - the fixture
    hook: Hook,  # noqa: F811 - the fixture
) -> None:
    """A file gets every pair, the broker pairs and events, the webhook an event's beginning and its end."""
    server = broker()
    write_pipeline(
        world.folder,
        "every_frame",
        f"{STREET}&duration=1.5",
        f'tasks: {{detect: {{weights: "{yolo}", confidence: 0.0}}}}\n'
        "events: [{name: anything, confidence: 0.0, min_time_s: 0.3}]\n"
        "publish:\n  - {kind: jsonl, path: all.jsonl, what: all}\n"
        f'  - {{kind: mqtt, broker: "{server.address}", topic: gate, what: all}}\n'
        f'  - {{kind: webhook, url: "{hook.url}"}}\n',
    )
    with closing(Listener(server, "gate/#")) as listener:
        code, words = world.run()
        assert code == 0, words
        listener.wait_until(lambda: len(listener.bodies("gate/status")) == 2)
        by_mqtt = told([*listener.bodies("gate/events"), *listener.bodies("gate/pairs")])
        told(listener.bodies("gate/status"))
    by_file = told((world.folder / "all.jsonl").read_bytes().splitlines())
    pairs = [message for message in by_file if message["kind"] == "pair"]
    events = [message for message in by_file if message["kind"] == "event"]
    assert [pair["pair_id"] for pair in pairs] == list(range(15))
    assert [(event["rule"], event["phase"]) for event in events] == [
        ("anything", "begun"),
        ("anything", "ended"),
    ]
    assert {event["id"] for event in events} == {pairs[-1]["events"][0]["id"]}
    assert by_mqtt == [*events, *pairs]
    assert told([post.body for post in hook.posts]) == events
    assert world.summary["sinks"]["publisher"]["failed"] == 0


@pytest.mark.fault
def test_receivers_that_are_not_there_stop_nothing(world: Any, wait_until: Any, record_property: Any) -> None:
    """Without broker and webhook server pairs still go to the file, people are told, and Ctrl-C ends it."""
    record_property("room", "operations")
    record_property("fault", "neither MQTT broker nor webhook server is there")
    path = world.folder / "pairs.jsonl"
    write_pipeline(
        world.folder,
        "realtime",
        STREET,
        "publish:\n  - {kind: jsonl, path: pairs.jsonl}\n"
        f'  - {{kind: mqtt, broker: "127.0.0.1:{free_port()}"}}\n'
        f'  - {{kind: webhook, url: "http://127.0.0.1:{free_port()}/", what: pairs}}\n',
    )
    process = world.start("--log", "json")
    wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") > 20)
    process.send_signal(signal.SIGINT)
    words, _ = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert "the broker cannot be reached (Connection refused); trying on" in words
    assert len(re.findall(r"/streamfuse: \d+ messages were not delivered", words)) == 1
    assert len(re.findall(r"/: \d+ messages were not delivered", words)) == 1
    assert "/: cannot be reached" in words
    lines = [json.loads(line) for line in words.splitlines() if line.startswith("{")]
    levels = [line["level"] for line in lines if re.search("trying on|not delivered", line["message"])]
    assert levels == ["warning"] * 4
    assert world.summary["restarts"].get("publisher", 0) == 0
    record_property("promise", "the other sinks go on")
