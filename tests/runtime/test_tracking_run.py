"""A whole run that tracks and counts on the synthetic street."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from constant_network import save_constant_network

STREET = "synthetic://street?seed=7&size=64x64&fps=10"


@pytest.mark.slow
def test_a_run_tells_who_is_who_and_who_was_counted(world) -> None:
    """With ``every: 2`` each second message has where the tracks will be; ids and counts stay."""
    weights: Path = save_constant_network(world.folder / "constant.pt", names={0: "person"})
    world.write_pipeline(
        "every_frame",
        STREET,
        STREET,
        f"tasks:\n  detect: {{weights: {weights}, track: true, every: 2, overlap: 0.1}}\n"
        "  rules:\n"
        "    - {name: all, zone: [[0, 0], [1, 0], [1, 1], [0, 1]], classes: [person]}\n"
        "    - {name: gate, line: [[0, 0.02], [1, 0.02]]}\n"
        "  backend: torch\n"
        "publish: [{kind: jsonl, path: events.jsonl}]\n",
    )
    code, words = world.run("--max-frames", "8")
    assert code == 0, words
    messages = [json.loads(line) for line in (world.folder / "events.jsonl").read_text().splitlines()]
    people = [len(message["detections"]) for message in messages]
    assert people == people[:1] * 8
    assert people[0] > 0
    for message in messages:
        assert sorted(found["track_id"] for found in message["detections"]) == list(range(1, people[0] + 1))
        assert {found["predicted"] for found in message["detections"]} == {message["pair_id"] % 2 == 1}
        zone, line = message["counts"]
        assert (zone["rule"], zone["inside"], zone["entered"], zone["left"]) == (
            "all",
            people[0],
            people[0],
            0,
        )
        assert (line["rule"], line["forward"], line["backward"]) == ("gate", 0, 0)
        assert line["points"] == [[0.0, 0.02], [1.0, 0.02]]
    assert world.summary["detections"] == 4 * people[0], "what is only predicted is not counted as found"
