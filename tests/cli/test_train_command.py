"""``streamfuse train fusion`` as a person sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np


def test_a_run_tells_where_it_stands_and_what_it_made(tmp_path: Path) -> None:
    """Without a terminal a line of progress goes to stderr; the files made are on stdout."""
    rng = np.random.default_rng(0)
    for stream in ("visible", "infrared"):
        (tmp_path / "scenes" / stream).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / f"scenes/{stream}/a.png"), rng.integers(0, 256, (24, 24), dtype=np.uint8))
    (tmp_path / "train.yaml").write_text(
        "name: tiny\nlicence: none\ntrain: [{path: scenes}]\nvalidate_on: [{path: scenes}]\n"
        "crop: 16\nbatch: 2\nsteps: 3\nthreads: 1\n"
    )
    command = [sys.executable, "-m", "streamfuse", "train", "fusion", str(tmp_path / "train.yaml")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--set", "steps=2"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "1/2 round 1/1  fusion  loss " in done.stderr
    made, validation = done.stdout.splitlines()
    assert made == str(tmp_path / "out/tiny.safetensors")
    assert validation.startswith("validation loss: ")
    assert (tmp_path / "out/losses.png").is_file()
