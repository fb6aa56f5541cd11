"""``streamfuse bench pipeline``: the real run beside its stages alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.bench.showing import show, table_of, targets_table
from streamfuse.cli.show import progress_bar

__all__ = ["pipeline"]


def pipeline(
    pipeline: Annotated[
        Path | None, typer.Argument(help="Pipeline file; otherwise the one that `streamfuse init` writes.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `run`; repeatable.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Pairs of each turn.")] = 200,
    rounds: Annotated[int, typer.Option(help="How often every stage and the whole have their turn.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of a live run.")] = 15.0,
    fps: Annotated[int, typer.Option(help="Rate of the cameras in a live run.")] = 25,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers here.")
    ] = None,
) -> None:
    """Compare a whole pipeline with the slowest of its stages, and measure its latency.

    Its sources are replaced by videos of the synthetic street in the sizes of its rig; it records to a
    temporary folder and has no other outputs. Each stage alone and the real `run` take turns on the same
    frames, then the run has the cameras' rate.

    Example: streamfuse bench pipeline pipelines/vehicle.yaml --json pipeline.json
    """
    from streamfuse.io.files import check_file, write_text  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.benching.pipeline import PipelineBench, bench_pipeline  # noqa: PLC0415

    bench = PipelineBench(
        pipeline=pipeline,
        overrides=tuple(overrides or ()),
        frames=frames,
        rounds=rounds,
        seconds=seconds,
        fps=fps,
    )
    if json_file is not None:
        check_file(json_file.absolute())
    with progress_bar(Console(stderr=True), "pipeline") as advance:
        values = bench_pipeline(bench, on_progress=advance).as_dict()
    if json_file is not None:
        write_text(json_file, json.dumps(values, indent=2) + "\n")
    show(_rates(values), _processes(values), _live(values), targets_table(values["targets"]))


def _rates(values: Mapping[str, Any]) -> Table:
    machine, whole = values["machine"], values["end_to_end"]
    width, height = values["pipeline"]["size_wh"]
    title = (
        f"{values['pipeline']['name']}, {width}x{height}; {machine['processor']}, {machine['cores']} cores, "
        f"load {machine['load_before']} before"
    )
    table = table_of(title, words=("", ""), numbers=("pairs/s", "ms/pair", "CPU ms/pair"))
    for name, stage in values["stages"].items():
        numbers = (f"{stage[key]:.2f}" for key in ("pairs_per_s", "ms_per_pair", "cpu_ms_per_pair"))
        steps = ", ".join(f"{step} {ms:.1f} ms" for step, ms in stage["steps_ms"].items())
        table.add_row(Text(f"{name} alone"), Text(steps), *map(Text, numbers))
    cpu_ms = sum(process["cpu_ms_per_pair"] for process in whole["processes"].values())
    rate = whole["pairs_per_s"]
    table.add_row("end to end", "", *(Text(f"{value:.2f}") for value in (rate, 1e3 / rate, cpu_ms)))
    return table


def _processes(values: Mapping[str, Any]) -> Table:
    table = table_of(
        "processor time of a pair, ms", words=("process",), numbers=("end to end", "its stage alone")
    )
    for name, process in values["end_to_end"]["processes"].items():
        numbers = (f"{process[key]:.2f}" for key in ("cpu_ms_per_pair", "alone_cpu_ms_per_pair"))
        table.add_row(Text(name), *map(Text, numbers))
    return table


def _live(values: Mapping[str, Any]) -> Table:
    numbers = ("pairs", "dropped", "pairs/s", "p50 ms", "p95 ms", "p99 ms", "limit ms", "CPU ms/pair")
    table = table_of("live", words=("cameras",), numbers=numbers)
    for live in values["live"]:
        latency = (f"{live['latency_ms'][name]:.1f}" for name in ("p50", "p95", "p99"))
        counts = (str(live["pairs"]), str(live["dropped"]), f"{live['pairs_per_s']:.2f}")
        cpu_ms = 1e3 * sum(live["cpu_s_per_pair"].values())
        cells = (
            f"{live['camera_fps']} fps",
            *counts,
            *latency,
            f"{live['limit_p99_ms']:.1f}",
            f"{cpu_ms:.1f}",
        )
        table.add_row(*map(Text, cells))
    return table
