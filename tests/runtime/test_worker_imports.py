"""What a worker loads before it knows its role: each library costs every start its time, in every process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "ultralytics", "openvino", "numba", "cv2", "av", "matplotlib", "typer", "prometheus_client"}
REPORT = "import json, sys; print(json.dumps(sorted({heavy!r} & set(sys.modules))))"


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("streamfuse", set()),
        ("streamfuse.runtime.worker", set()),
        ("streamfuse.runtime.stages.capture", {"av", "cv2"}),
        ("streamfuse.runtime.stages.recorder", {"av"}),
        ("streamfuse.runtime.stages.engine", {"cv2", "numba"}),
        ("streamfuse.engine.tasks.runner", {"cv2"}),
        ("streamfuse.io.synthetic.source", {"cv2"}),
    ],
)
def test_a_module_loads_what_it_needs_and_no_more(module: str, needed: set[str]) -> None:
    """torch, for one, takes seconds: no process loads it that does not build a network."""
    program = f"import {module}\n{REPORT.format(heavy=HEAVY)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) <= needed
