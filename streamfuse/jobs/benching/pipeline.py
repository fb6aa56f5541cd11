"""`streamfuse bench pipeline`: the real run beside its stages alone.

*End to end*: ``streamfuse run`` on two video files in ``every_frame`` mode, where nothing is dropped and the
slowest stage sets the pace. *Alone*: each stage in a process of its own, with frames from the same files.
Both take turns; what is compared are ratios within a round. *Live*: the same files at the rate of cameras,
where latency counts; a machine that does not keep up is also measured at a rate that it should keep up with.

*Orchestration* is what a process of the run takes beyond the work of its stage alone: the bus, pairing,
clocks, accounting, rules, the supervisor.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamfuse.config.pipeline import PipelineConfig, load_pipeline
from streamfuse.config.starting import STARTER, write_starter
from streamfuse.errors import UsageError
from streamfuse.frames import StreamName
from streamfuse.jobs.benching.child import Child, answers
from streamfuse.jobs.benching.pipeline_report import Live, PipelineReport, Round
from streamfuse.jobs.benching.pipeline_run import Run, run_once
from streamfuse.jobs.benching.pipeline_stages import Order, StageTurn, stage_names, work
from streamfuse.jobs.benching.pipeline_street import StreetFiles, street_files

__all__ = ["Desk", "PipelineBench", "bench_pipeline"]

_PATIENCE_S: Final = 600
"""For one turn, or for a stage to get ready."""
_SPARE: Final = 0.7
"""Of the rate from files: what a machine should keep up with when frames come at their own times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineBench:
    """What to measure.

    Raises:
        UsageError: a number that makes no sense.
    """

    pipeline: Path | None = None
    """Its file; None: the one that ``streamfuse init`` writes."""
    overrides: tuple[str, ...] = ()
    """As ``--set`` of ``run``; sources, recordings and outputs are the benchmark's own."""
    frames: int = 200
    """Of each turn."""
    rounds: int = 3
    seconds: float = 15.0
    """Of each live run."""
    fps: int = 25
    """Of the cameras in a live run."""

    def __post_init__(self) -> None:
        if not 10 <= self.frames <= 10_000:
            raise UsageError(f"frames must be within 10..10000, got {self.frames}")
        if not 1 <= self.rounds <= 100:
            raise UsageError(f"rounds must be within 1..100, got {self.rounds}")
        if not 1 <= self.seconds <= 600:
            raise UsageError(f"seconds must be within 1..600, got {self.seconds:g}")
        if not 1 <= self.fps <= 240:
            raise UsageError(f"fps must be within 1..240, got {self.fps}")


def bench_pipeline(bench: PipelineBench, *, on_progress: Callable[[int, int, str], None]) -> PipelineReport:
    """Measure everything; ``on_progress`` is told how many turns are done, of how many, and whose is next.

    Raises:
        ConfigError: the pipeline file has mistakes.
        StreamfuseError: a stage cannot work here.
        PromiseError: a run or a process failed.
    """
    load_before = os.getloadavg()[0]
    rounds: list[Round] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="streamfuse-bench-"))
        desk = Desk(bench, Path(folder))
        total = 0

        def say(note: str, turned: int = 0) -> None:
            on_progress(len(rounds) * (len(stages) + 1) + turned, total, note)

        stages: dict[str, Child] = {}
        files = desk.street(bench.fps, say=say)
        config = desk.config(files)
        stages |= _open(desk, config, stack, say=say)
        total = bench.rounds * (len(stages) + 1) + 1
        while len(rounds) < bench.rounds:
            rounds.append(_round(desk, files, stages, first=len(rounds), say=say))
        for child in stages.values():
            child.tell(None)
        say("live")
        live = [_live(desk, files, bench.fps)]
        if not live[0].keeps_up and (fps := _easier(rounds)) < bench.fps:
            say(f"live at {fps} fps", 1)
            live.append(_live(desk, desk.street(fps, say=say), fps))
        on_progress(total, total, "")
    return PipelineReport(
        config=config,
        files=files,
        frames=bench.frames,
        rounds=tuple(rounds),
        live=tuple(live),
        load_before=load_before,
    )


class Desk:
    """The files of a benchmark, and the options that all its runs have in common.

    Args:
        bench: what to measure.
        folder: for everything that is written.

    Raises:
        ConfigError: the pipeline file has mistakes.
    """

    def __init__(self, bench: PipelineBench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.pipeline = bench.pipeline or write_starter(folder / "starter")[STARTER.index("pipeline.yaml")]
        self._rig = load_pipeline(self.pipeline, bench.overrides).rig

    def street(self, fps: int, *, say: Callable[[str], None]) -> StreetFiles:
        """The sources, as long as the longest turn."""
        frames = max(self.bench.frames, round(self.bench.seconds * fps))
        return street_files(self._rig, frames=frames, fps=fps, say=say)

    def config(self, files: StreetFiles) -> PipelineConfig:
        """What a run in ``every_frame`` mode is configured to do."""
        return load_pipeline(self.pipeline, self.overrides(files, mode="every_frame"))

    def overrides(self, files: StreetFiles, *, mode: str) -> list[str]:
        """The user's, then ours: files in, recordings to a place of their own, no other outputs."""
        ours = {
            "mode": mode,
            **{f"sources.{stream}": f'{{uri: "{files.path(stream)}"}}' for stream in StreamName},
            "viewer": "null",
            "publish": "[]",
            "metrics": "null",
        }
        if load_pipeline(self.pipeline, self.bench.overrides).record is not None:
            ours["record.dir"] = str(self.folder / "recordings")
        return [*self.bench.overrides, *(f"{key}={value}" for key, value in ours.items())]

    def run(self, files: StreetFiles, *words: str, mode: str) -> Run:
        """Run the pipeline on the street."""
        sets = [word for override in self.overrides(files, mode=mode) for word in ("--set", override)]
        return run_once(self.pipeline, [*sets, *words], folder=self.folder)


def _open(
    desk: Desk, config: PipelineConfig, stack: ExitStack, *, say: Callable[[str], None]
) -> dict[str, Child]:
    """Start the stages, one after the other: some choose by measuring, and want quiet."""
    context = mp.get_context("spawn")
    children = {}
    for stage in stage_names(config):
        say(f"opening {stage}")
        order = Order(
            stage=stage,
            config=config.model_dump_json(),
            folder=desk.folder / "alone",
            frames=desk.bench.frames,
        )
        children[stage] = stack.enter_context(closing(Child(context, stage, work, (order,))))
        answers([children[stage]], timeout_s=_PATIENCE_S)
    return children


def _round(
    desk: Desk, files: StreetFiles, stages: dict[str, Child], *, first: int, say: Callable[[str, int], None]
) -> Round:
    """Every stage alone and the whole, beginning with another one each time."""
    whole = "end to end"
    names = [*stages, whole]
    first %= len(names)
    alone: dict[str, StageTurn] = {}
    runs: list[Run] = []
    for turned, name in enumerate(names[first:] + names[:first]):
        say(name, turned)
        if name == whole:
            runs.append(desk.run(files, "--max-frames", str(desk.bench.frames), mode="every_frame"))
            continue
        stages[name].tell("go")
        (turn,) = answers([stages[name]], timeout_s=_PATIENCE_S)
        if not isinstance(turn, StageTurn):
            raise TypeError(f"expected a turn, got {turn!r}")
        alone[name] = turn
    return Round(alone={name: alone[name] for name in stages}, whole=runs[0])


def _live(desk: Desk, files: StreetFiles, fps: int) -> Live:
    run = desk.run(files, "--duration", f"{desk.bench.seconds:g}", mode="realtime")
    return Live(fps=fps, run=run)


def _easier(rounds: list[Round]) -> int:
    """Frames a second that the machine should keep up with."""
    rate = min(float(each.whole.summary["fps"]) for each in rounds)
    return max(1, int(_SPARE * rate))
