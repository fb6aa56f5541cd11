"""A pipeline as the supervisor sees it, with real shared memory and workers that never lived."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from streamfuse.config.pipeline import load_pipeline
from streamfuse.errors import PromiseError
from streamfuse.runtime.counters import ENGINE
from streamfuse.runtime.pipeline import open_pipeline
from streamfuse.runtime.supervisor import WorkerState

STREET = "synthetic://street?size=160x120&duration=1"


@pytest.mark.parametrize(
    ("restarts", "killed", "interrupted", "often"),
    [(0, False, False, None), (0, True, False, "once"), (2, True, False, "3 times"), (0, True, True, None)],
)
def test_an_engine_that_dies_before_the_first_pair_breaks_a_promise(
    tmp_path: Path, restarts: int, killed: bool, interrupted: bool, often: str | None
) -> None:
    """Also one that hung until it was killed at the end of the run; not one that was only cut short."""
    (path := tmp_path / "p.yaml").write_text(
        f'sources: {{visible: {{uri: "{STREET}"}}, infrared: {{uri: "{STREET}"}}}}\n'
    )
    with ExitStack() as stack:
        pipeline = open_pipeline(
            load_pipeline(path), stack, prefix="", max_frames=None, wait_s=None, say=lambda _: None
        )
        workers = {name: WorkerState(order={}) for name in pipeline.workers.values()}
        workers[ENGINE].restarts, workers[ENGINE].killed = restarts, killed
        found = pipeline.problems(pipeline.summary(workers), workers, interrupted=interrupted)
    assert [(type(each), str(each)) for each in found] == (
        []
        if often is None
        else [
            (PromiseError, f"not one pair was fused: the engine died {often}; see the messages above"),
        ]
    )
