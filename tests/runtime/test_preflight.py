"""`check` looks at what a run needs and leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

from streamfuse.config.pipeline import load_pipeline
from streamfuse.runtime.preflight import Finding, check_pipeline

STREET = "synthetic://street?size=64x64"


def findings(folder: Path, more: str = "") -> dict[str, Finding]:
    """What check says of a small pipeline, by subject."""
    path = folder / "pipeline.yaml"
    path.write_text(f'sources:\n  visible: {{uri: "{STREET}"}}\n  infrared: {{uri: "{STREET}"}}\n{more}')
    return {finding.what: finding for finding in check_pipeline(load_pipeline(path))}


def test_a_sound_pipeline_passes_and_nothing_is_made(tmp_path: Path) -> None:
    """Every need has its line, and the recordings folder is left to the run."""
    found = findings(tmp_path, "record: {dir: recordings}\n")
    assert set(found) == {"visible", "infrared", "shared memory", "rig", "engine", "record"}
    assert all(finding.ok for finding in found.values())
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


def test_the_rig_is_told_with_what_it_lacks(tmp_path: Path) -> None:
    """Where it registers, how much both cameras see, and the commands that would make it better."""
    assert "registered already" in findings(tmp_path)["rig"].text
    (tmp_path / "rig.yaml").write_text(
        "visible: {size_wh: [64, 64]}\ninfrared: {size_wh: [64, 64]}\n"
        "planes:\n- distance_m: 12\n  H_visible_from_infrared: [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]\n"
        "  made_by: {uncertainty: {registration_px: 8.2}}\n"
    )
    rig = findings(tmp_path, "rig: rig.yaml\n")["rig"]
    assert rig.ok
    for words in (
        "registered at 12 m (known to ± 8 px)",
        "infrared sees 97%",
        "lacks",
        "calibrate stereo",
        "calibrate align",
    ):
        assert words in rig.text
    elsewhere = findings(tmp_path, "rig: rig.yaml\nregistration: {distance_m: 3}\n")
    assert not elsewhere["rig"].ok
    assert "the rig knows one plane only, at 12 m" in elsewhere["rig"].text


def test_a_port_that_is_taken_is_found(tmp_path: Path) -> None:
    """A run would fail there with exit code 3, and check says so beforehand."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = findings(tmp_path, f'viewer: {{web: "127.0.0.1:{port}"}}\n')["viewer"]
    assert not found.ok
    assert found.exit_code == 3
    assert str(port) in found.text


def test_weights_that_do_not_exist_are_found(tmp_path: Path) -> None:
    """One bad thing does not hide the others."""
    found = findings(tmp_path, "fusion: {weights: nonesuch}\n")
    assert not found["engine"].ok
    assert found["visible"].ok


def test_a_detector_and_its_rules_are_looked_at(tmp_path: Path, yolo: Path) -> None:
    """Weights that are not there and objects that they do not know would end a run at its start."""
    tasks = f'tasks: {{detect: {{weights: "{yolo}"}}}}\n'
    assert findings(tmp_path, tasks)["tasks"].ok
    wrong = findings(tmp_path, f"{tasks}events: [{{name: gate, classes: [persn]}}]\n")["tasks"]
    assert (wrong.ok, wrong.exit_code) == (False, 2)
    assert "persn" in wrong.text
    absent = findings(tmp_path, "tasks: {detect: {weights: nope.pt}}\n")["tasks"]
    assert (absent.ok, absent.exit_code) == (False, 3)
