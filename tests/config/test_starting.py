"""The starter files."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.config.pipeline import load_pipeline
from streamfuse.config.rig import load_rig
from streamfuse.config.starting import starter_text, write_starter
from streamfuse.errors import OutputError

ROOT = Path(__file__).parents[2]


def test_the_starter_is_a_valid_pipeline_with_its_rig(tmp_path: Path) -> None:
    """What `init` writes can be run as it is."""
    write_starter(tmp_path / "new")
    config = load_pipeline(tmp_path / "new" / "pipeline.yaml")
    assert config.rig == str(tmp_path / "new" / "rig.yaml")
    assert load_rig(config.rig).visible_size_wh == (640, 480)


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    """Nobody's pipeline is overwritten unless asked for."""
    (tmp_path / "rig.yaml").write_text("mine")
    with pytest.raises(OutputError, match=r"rig\.yaml exists"):
        write_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["rig.yaml"]
    write_starter(tmp_path, force=True)
    assert (tmp_path / "rig.yaml").read_text() != "mine"


def test_the_starter_is_the_vehicle_pipeline_under_other_names() -> None:
    """One text in two places, held together here."""
    vehicle = (ROOT / "pipelines" / "vehicle.yaml").read_text(encoding="utf-8")
    changes = {
        "run pipelines/vehicle.yaml": "run pipeline.yaml",
        "name: vehicle": "name: mine",
        "rig: ../calibration/synthetic.yaml   #": "rig: rig.yaml                        #",
    }
    for old, new in changes.items():
        assert vehicle.count(old) == 1
        vehicle = vehicle.replace(old, new)
    assert starter_text("pipeline.yaml") == vehicle
    assert starter_text("rig.yaml") == (ROOT / "calibration" / "synthetic.yaml").read_text(encoding="utf-8")
