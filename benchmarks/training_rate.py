"""Steps per second of a training, against the bare forward and backward pass of its network.

    python benchmarks/training_rate.py configs/train/content.yaml --set crop=128 --set threads=1

Whole steps of the real loop (batch, losses, optimizer, the check that the loss is finite) take turns with
bare passes and with each part alone, so that whatever else the machine does falls on all of them. Medians of
the time on the wall and of the processor time of all threads; on a CPU that others use too, trust the latter.
Of a joint training, the steps of two rounds are measured: without and with the semantic loss.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch

from streamfuse.config.training import TrainConfig, load_training
from streamfuse.jobs.training.learners import Views, views_of
from streamfuse.jobs.training.plan import Kind, Stage
from streamfuse.jobs.training.run import TrainingRun
from streamfuse.nets.losses import LossWeights, fusion_loss

_BARE = "bare forward+backward"
_WARM_UP = 2
"""First steps of each stage, which are not counted."""

Times = dict[str, list[tuple[float, float]]]
"""Wall and processor milliseconds of each thing."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--steps", type=int, default=15, help="of each kind")
    arguments = parser.parse_args()
    config = _shortened(arguments.config, arguments.overrides, _WARM_UP + arguments.steps)
    if config.threads:
        torch.set_num_threads(config.threads)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(config, Path(folder), on_label=lambda _: None)
        with run.batches:
            times = _measured(run)
    _print(times)


def _shortened(path: Path, overrides: list[str], steps: int) -> TrainConfig:
    """The run with as few steps as are measured."""
    short = [f"steps={steps}", "checkpoint_every=1000000", "validate_on=[]"]
    if load_training(path, overrides).semantic is not None:
        short += [f"semantic.segmentation.steps={steps}", "semantic.rounds=2"]
    return load_training(path, [*overrides, *short])


def _measured(run: TrainingRun) -> Times:
    """Milliseconds of each thing, interleaved."""
    times: Times = defaultdict(list)
    parts = _parts(run)
    while run.done < run.plan.steps:
        stage = run.plan.stage_of(run.done)
        counted = run.done - stage.first >= _WARM_UP
        for name, thing in {_named(stage): run.step, **parts}.items():
            start = time.perf_counter_ns(), time.process_time_ns()
            thing()
            if run.config.device == "cuda":
                torch.cuda.synchronize()
            if counted:
                wall_ns, cpu_ns = time.perf_counter_ns() - start[0], time.process_time_ns() - start[1]
                times[name].append((wall_ns / 1e6, cpu_ns / 1e6))
    return times


def _named(stage: Stage) -> str:
    if stage.kind is Kind.SEGMENTATION:
        return "segmentation step"
    return "fusion step, semantic loss" if stage.beta else "fusion step"


def _parts(run: TrainingRun) -> dict[str, Callable[[], object]]:
    """What a fusion step consists of, each alone, by name."""
    batch = run.material.batch(0)
    views = views_of(batch, run.config.device)
    weights = LossWeights(**run.config.loss.model_dump())

    def losses() -> None:
        fused = torch.rand_like(views.visible, requires_grad=True)
        fusion_loss(fused, views.visible, views.infrared, weights=weights).total.backward()  # type: ignore[no-untyped-call]

    return {
        _BARE: lambda: _bare(run, views),
        "  drawing a batch, in a thread of its own": lambda: run.material.batch(0),
        "  bringing it to the device": lambda: views_of(batch, run.config.device),
        "  content losses, forward+backward": losses,
        "  optimizer": run.fusion.optimizer.step,
    }


def _bare(run: TrainingRun, views: Views) -> None:
    """The network alone: no data, no loss, no optimizer."""
    fused = run.fusion.fuse(views, precision=run.config.precision)
    fused.backward(torch.full_like(fused, 1e-9))  # type: ignore[no-untyped-call]


def _print(times: Times) -> None:
    medians = {name: tuple(map(statistics.median, zip(*taken, strict=True))) for name, taken in times.items()}
    bare = medians[_BARE]
    for name in sorted(medians, key=lambda name: (name.startswith(" "), name)):
        wall, cpu = medians[name]
        line = f"{name:44s}{wall:9.1f} ms wall {cpu:9.1f} ms cpu"
        if not name.startswith(" "):
            line += (
                f"   {1000 / wall:7.2f} /s   {bare[0] / wall:.2f} (cpu {bare[1] / cpu:.2f}) of the bare rate"
            )
        print(line)  # noqa: T201 - the output of a benchmark


if __name__ == "__main__":
    main()
