"""A detector learns from synthetic streets, is stopped in the midst of it, and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from streamfuse.config.training_detector import (
    DetectorConfig,
    DetectorStreets,
    Learning,
    load_detector_training,
)
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.errors import UsageError
from streamfuse.jobs.train_detector import train_detector

ROOT = Path(__file__).parents[2]
CONFIG = """
name: tiny
licence: AGPL-3.0-or-later
streets: {seeds: [3, 1], lights: [day], moments: 1}
renderings: [visible]
side_px: 320
learning: {epochs: 2, batch: 2, mosaic: 0, close_mosaic: 0}
threads: 1
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_and_leaves_weights_with_a_card(tmp_path: Path) -> None:
    """Killed after its first epoch, it renders nothing again and does the epochs that are left."""
    config, out = tmp_path / "tiny.yaml", tmp_path / "out"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "streamfuse", "train", "detector", str(config), "--out", str(out)]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline_s = time.monotonic() + 200
        while not (out / "checkpoint.pt").exists():
            assert first.poll() is None, first.stderr.read() if first.stderr else ""
            assert time.monotonic() < deadline_s, "no epoch ended in 200 s"
            time.sleep(0.05)  # polls what offers no event: a file of another program
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=30)
    rendered_ns = (out / "data" / "dataset.yaml").stat().st_mtime_ns
    second = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    assert (out / "data" / "dataset.yaml").stat().st_mtime_ns == rendered_ns
    assert "epoch 1/2" not in second.stderr
    assert second.stderr.count("epoch 2/2") == 1
    assert "epoch 3/2" not in second.stderr
    assert second.stdout.strip() == str(out / "tiny.safetensors")
    network = load_task_network(second.stdout.strip(), kind="segment", where="test")
    assert dict(network.names) == {0: "person", 1: "bicycle", 2: "car"}
    assert "1 synthetic streets" in (out / "tiny.json").read_text()
    _goes_on_from(out / "tiny.safetensors", config, out=tmp_path / "on")


def _goes_on_from(start: Path, config: Path, *, out: Path) -> None:
    """With a rate of next to nothing, what comes out is what was begun with."""
    settings = (f"start_from={start}", "learning.epochs=1", "learning.learning_rate=1.0e-9")
    job = load_detector_training(config, settings)
    made = train_detector(job, out_dir=out)
    before, after = load_file(start), load_file(made.path)
    kernels = [name for name in before if name.endswith("conv.weight")]
    assert len(kernels) > 50
    for name in kernels:
        np.testing.assert_allclose(after[name].float(), before[name].float(), atol=2e-3)


def test_the_shipped_training_file_is_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names its data by environment, its labels are here, and what will be tested on is left out."""
    monkeypatch.setenv("STREAMFUSE_DATA", str(tmp_path))
    config = load_detector_training(ROOT / "configs" / "train" / "detector.yaml")
    assert all(scenes.path.is_relative_to(tmp_path) for scenes in config.scenes)
    (smoke,) = [scenes for scenes in config.scenes if scenes.leave_out]
    (labels,) = smoke.boxes
    first, last = smoke.leave_out["0117_1605"]
    frames = [int(path.stem.rpartition("-")[2]) for path in labels.glob("0117_1605-*.txt")]
    assert len(frames) > 20
    assert not any(first <= frame <= last for frame in frames)
    assert first <= 100
    assert last >= 200


def test_a_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    """What was made with other settings must not pass for this run's."""
    (tmp_path / "config.json").write_text("{}")
    config = DetectorConfig(name="a", licence="b", streets=DetectorStreets(seeds=(0, 1)), learning=Learning())
    with pytest.raises(UsageError, match="another configuration"):
        train_detector(config, out_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
