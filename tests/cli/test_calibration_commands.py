"""The commands of docs/calibration.md, as a reader would paste them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_commands_of_the_page_run_on_the_shared_data(data_dir: Path, tmp_path: Path) -> None:
    """All end with 0, and what they write is a rig with what the page says."""
    (block,) = re.findall(r"<!-- run -->\n```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    program = f'streamfuse() {{ {sys.executable} -m streamfuse "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-euc", program + block],
        cwd=tmp_path,
        env={**os.environ, "STREAMFUSE_DATA": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heated, yard = (yaml.safe_load((tmp_path / name).read_text()) for name in ("heated.yaml", "yard.yaml"))
    lens = yaml.safe_load((tmp_path / "lens.yaml").read_text())["infrared"]
    assert lens["made_by"]["residuals"]["rms_px"] < 0.6
    assert heated["T_visible_from_infrared"]["made_by"]["residuals"]["rms_px"] < 1.0
    assert len(heated["T_visible_from_infrared"]["made_by"]["images_used"]) >= 6
    assert yard["confidence"] > 0.8
    assert abs(yard["time_offset_ms"]) < 30
    assert (tmp_path / "yard.png").stat().st_size > 10_000
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
