"""``streamfuse bench``: how fast this machine is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.show import progress_bar
from streamfuse.errors import UsageError

if TYPE_CHECKING:
    from streamfuse.jobs.benching.bus_report import BusReport
    from streamfuse.jobs.benching.machine import Target
    from streamfuse.jobs.benching.tasks_report import TasksReport

__all__ = ["app"]

_WIDTH = 110

app = typer.Typer(no_args_is_help=True, help="Measure what this machine can do.")


@app.command("bus")
def bus(
    seconds: Annotated[float, typer.Option(help="Length of each single measurement.")] = 3.0,
    rounds: Annotated[int, typer.Option(help="How often every transport has its turn.")] = 3,
    colour: Annotated[str, typer.Option(help="Visible frames: yuv420p or rgb24.")] = "yuv420p",
    transport: Annotated[
        list[str] | None,
        typer.Option(help="Only this one; may be repeated. Default: all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
) -> None:
    """Compare the bus between our processes with other ways to move frames.

    1080p colour and 640x512 thermal frames of 16 bits, 60 per second each, between real processes: latency,
    highest rate, processor time and memory of every transport that is installed.

    Example: streamfuse bench bus --seconds 5
    """
    from streamfuse.frames import PixelFormat  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.io.files import check_writable, write_text  # noqa: PLC0415
    from streamfuse.jobs.benching.bus import BusBench, bench_bus  # noqa: PLC0415
    from streamfuse.jobs.benching.bus_transports import TRANSPORTS  # noqa: PLC0415

    if colour not in set(PixelFormat):
        raise UsageError(f"--colour must be yuv420p or rgb24, got {colour!r}")
    bench = BusBench(
        seconds=seconds,
        rounds=rounds,
        colour=PixelFormat(colour),
        transports=tuple(transport or TRANSPORTS),
    )
    if out is not None:
        check_writable(out.absolute().parent)
    with progress_bar(Console(stderr=True), "bus") as advance:
        report = bench_bus(bench, on_progress=advance)
    text = json.dumps(report.as_dict(), indent=2) + "\n"
    if out is not None:
        write_text(out, text)
    if as_json:
        sys.stdout.write(text)
    else:
        _show(_results(report), _targets(report.targets()))


@app.command("tasks")
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
    from streamfuse.io.files import check_writable, write_text  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.benching.tasks import TasksBench, bench_tasks  # noqa: PLC0415

    bench = TasksBench(
        weights=weights,
        batches=_numbers_of(batch, ",", "--batch must be numbers such as 1,8"),
        size_wh=_size_of(size),
        backend=backend,
        rounds=rounds,
    )
    if json_file is not None:
        check_writable(json_file.absolute().parent)
    with progress_bar(Console(stderr=True), "tasks") as advance:
        report = bench_tasks(bench, on_progress=advance)
    if json_file is not None:
        write_text(json_file, json.dumps(report.as_dict(), indent=2) + "\n")
    _show(_contestants(report), _targets(report.targets()))


def _size_of(text: str) -> tuple[int, int]:
    numbers = _numbers_of(text, "x", wanted := "--size must be WIDTHxHEIGHT such as 640x480")
    if len(numbers) != 2:
        raise UsageError(f"{wanted}, got {text!r}")
    return numbers[0], numbers[1]


def _numbers_of(text: str, separator: str, wanted: str) -> tuple[int, ...]:
    words = text.split(separator)
    if not all(word.isascii() and word.isdecimal() for word in words):
        raise UsageError(f"{wanted}, got {text!r}")
    return tuple(int(word) for word in words)


def _show(*tables: Table) -> None:
    width = max(Console().width, _WIDTH)  # better broken by the terminal than cut
    for table in tables:
        if table.row_count:
            Console(width=width).print(table, crop=False)


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


def _results(report: BusReport) -> Table:
    values = report.as_dict()
    machine = values["machine"]
    table = Table(
        title=f"{machine['processor']}, {machine['cores']} cores, load {machine['load_before']} before; "
        f"medians of rounds of {report.seconds:g} s",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for word in ("transport", "stream"):
        table.add_column(Text(word), no_wrap=True)
    for number in ("p50 ms", "p95 ms", "p99 ms", "flat-out fps", "CPU µs", "memory MB"):
        table.add_column(Text(number), justify="right", no_wrap=True)
    for result in values["results"]:
        if not result["installed"]:
            table.add_row(Text(result["transport"]), Text(result["why"], overflow="fold"))
            continue
        for index, (name, stream) in enumerate(result["streams"].items()):
            table.add_row(Text(result["transport"] if not index else ""), Text(name), *_numbers(stream))
    return table


def _numbers(stream: dict[str, Any]) -> list[Text]:
    cells = [f"{stream['hop_ms'][quantile]:.2f}" for quantile in ("p50", "p95", "p99")]
    cells += [f"{stream[name]:.0f}" for name in ("flat_out_fps", "producer_cpu_us")]
    return [Text(cell) for cell in [*cells, f"{stream['memory_used_mb']:.1f}"]]


def _targets(targets: Sequence[Target]) -> Table:
    table = Table(title="targets", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for column in ("limit", "got", ""):
        table.add_column(column, justify="right")
    for target in targets:
        sign = "≥" if target.at_least else "≤"
        got, met = f"{target.got:.2f}", "met" if target.met else "missed"
        table.add_row(Text(target.what), Text(f"{sign} {target.limit:g}"), Text(got), Text(met))
    return table
