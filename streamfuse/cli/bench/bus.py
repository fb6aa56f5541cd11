"""``streamfuse bench bus``: our bus beside other ways to move frames."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.bench.showing import show, targets_table
from streamfuse.cli.show import progress_bar
from streamfuse.errors import UsageError

if TYPE_CHECKING:
    from streamfuse.jobs.benching.bus_report import BusReport

__all__ = ["bus"]


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
    from streamfuse.io.files import check_file, write_text  # noqa: PLC0415
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
        check_file(out.absolute())
    with progress_bar(Console(stderr=True), "bus") as advance:
        report = bench_bus(bench, on_progress=advance)
    text = json.dumps(report.as_dict(), indent=2) + "\n"
    if out is not None:
        write_text(out, text)
    if as_json:
        sys.stdout.write(text)
    else:
        show(_results(report), targets_table([target.as_dict() for target in report.targets()]))


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
