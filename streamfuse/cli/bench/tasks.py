"""``streamfuse bench tasks``: the task stage beside its network and beside Ultralytics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.bench.showing import numbers_of, show, size_of, targets_table
from streamfuse.cli.show import progress_bar

if TYPE_CHECKING:
    from streamfuse.jobs.benching.tasks_report import TasksReport

__all__ = ["tasks"]


def tasks(
    weights: Annotated[
        str, typer.Option(help="As in a pipeline: default, a .pt or .safetensors file, or a name.")
    ] = "default",
    batch: Annotated[str, typer.Option(help="Images in one call; several with commas.")] = "1,8",
    size: Annotated[str, typer.Option(help="Of the images, in pixels.")] = "640x480",
    backend: Annotated[str, typer.Option(help="auto, openvino, torch or torch-cuda.")] = "auto",
    rounds: Annotated[int, typer.Option(help="How often every way has its turn.")] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write all numbers here.")] = None,
) -> None:
    """Compare the task stage with its network alone and with YOLO.predict of Ultralytics.

    On pictures of the synthetic street, in turns, each in a process of its own: time of an image, rate,
    processor time and memory. Weights with masks are measured with masks.

    Example: streamfuse bench tasks --batch 1,8 --json tasks.json
    """
    from streamfuse.io.files import check_file, write_text  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.benching.tasks import TasksBench, bench_tasks  # noqa: PLC0415

    bench = TasksBench(
        weights=weights,
        batches=numbers_of(batch, ",", "--batch must be numbers such as 1,8"),
        size_wh=size_of(size),
        backend=backend,
        rounds=rounds,
    )
    if json_file is not None:
        check_file(json_file.absolute())
    with progress_bar(Console(stderr=True), "tasks") as advance:
        report = bench_tasks(bench, on_progress=advance)
    if json_file is not None:
        write_text(json_file, json.dumps(report.as_dict(), indent=2) + "\n")
    show(_contestants(report), targets_table([target.as_dict() for target in report.targets()]))


def _contestants(report: TasksReport) -> Table:
    values = report.as_dict()
    machine = values["machine"]
    table = Table(
        title=f"{values['task']} with {values['weights']}; {machine['processor']}, "
        f"{values['threads']} threads, load {machine['load_before']} before",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for word in ("", "backend", "precision"):
        table.add_column(Text(word), no_wrap=True)
    for number in ("batch", "ms/image", "p95 ms", "CPU ms", "images/s", "times bare", "objects", "memory MB"):
        table.add_column(Text(number), justify="right", no_wrap=True)
    for result in values["results"]:
        numbers = [f"{result[name]:.2f}" for name in ("ms_per_image", "p95_ms", "cpu_ms_per_image")]
        numbers += [f"{result['images_per_s']:.1f}", f"{result['ratio_vs_bare']:.2f}"]
        numbers += [f"{result['objects_per_image']:.1f}", f"{result['memory_mb']:.0f}"]
        words = [result["what"], result["backend"], result["precision"], str(result["batch"])]
        table.add_row(*(Text(cell) for cell in (*words, *numbers)))
    return table
