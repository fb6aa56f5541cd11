"""A whole run with a raw thermal V4L2 camera, from the fake driver to the account."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from v4l2_camera import build_driver, camera_environment, plug_in

FRAMES_IN_A_LIFE = 60
LIFE_S = FRAMES_IN_A_LIFE / 50
RETRY_S = 0.2


@pytest.fixture
def node() -> Iterator[Path]:
    """A device below /dev, where everybody may write."""
    folder = Path(tempfile.mkdtemp(prefix="v4l2-", dir="/dev/shm"))
    yield plug_in(folder / "camera")
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.fault
def test_a_thermal_camera_that_is_unplugged_again_and_again(
    node: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Pulled out every 1.2 s, the camera comes back; the visible one goes on; the account is right."""
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(
        "name: thermal\nsources:\n"
        '  visible: {uri: "synthetic://street?seed=7&size=64x64&fps=25"}\n'
        f"  infrared: {{uri: {node}, format: gray16, retry: {{first_s: {RETRY_S}, max_s: {RETRY_S}}}}}\n"
    )
    summary = tmp_path / "summary.json"
    command = [sys.executable, "-m", "streamfuse", "run", str(pipeline), "--duration", "8"]
    done = subprocess.run(
        [*command, "--summary", str(summary)],
        env=camera_environment(build_driver(tmp_path), node, fault=f"unplug:{FRAMES_IN_A_LIFE}"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(summary.read_text())
    for account in found["streams"].values():
        held = account["emitted"] + sum(account["dropped"].values()) + account["in_flight"]
        assert account["captured"] == held
    lives = found["streams"]["infrared"]["captured"] / FRAMES_IN_A_LIFE
    record_property("fault", "V4L2: the thermal camera is unplugged every 1.2 s")
    record_property("promise", "back within 1 s each time, account right")
    record_property("recovery_s", 8 / lives - LIFE_S)
    assert lives >= 8 / (LIFE_S + 1.0) - 1
    assert found["states"]["matched"] > 0
    assert found["cameras"]["infrared"]["clock"]["source"] == "driver"
    assert set(found["restarts"].values()) == {0}
