"""``streamfuse bench fusion``: the engine's backends beside the published network in plain torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.bench.showing import numbers_of, show, size_of, table_of, targets_table
from streamfuse.cli.show import progress_bar

__all__ = ["fusion"]


def fusion(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    model: Annotated[list[str] | None, typer.Option(help="Network or family; may be repeated.")] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="default, a name or a file; may be repeated. Otherwise every network that ships."),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="As in a pipeline, or all; may be repeated. Otherwise the engine's own choice."),
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="As in a pipeline; may be repeated. Otherwise the fastest.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Pairs in one call; several with commas.")] = "1",
    size: Annotated[
        list[str] | None, typer.Option(help="Of the images, in pixels; may be repeated. Otherwise 640x480.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often everyone has a turn.")] = 7,
    growth: Annotated[
        bool, typer.Option("--growth", help="Sizes from 320x240 to 1920x1080, and memory over many calls.")
    ] = False,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Also what the networks ask of this machine, and its peak.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers here.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them: .png, .svg or .pdf.")] = None,
) -> None:
    """Compare the fusion engine with the published network in plain torch, float32.

    On pictures of the synthetic street, in turns, each in a process of its own: time of a pair, its ratio to
    the reference, processor time, memory, and how exact the images are. What does not work here is listed
    with the reason.

    Example: streamfuse bench fusion --backend all --json fusion.json --plot fusion.png
    """
    from streamfuse.io.files import check_file, write_text  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.benching.fusion import GROWTH, HOME, FusionBench, bench_fusion  # noqa: PLC0415

    sizes = tuple(size_of(text) for text in size or ())
    bench = FusionBench(
        models=tuple(model or ("grdb",)),
        weights=tuple(weights or ()),
        backends=tuple(backend or ("auto",)),
        precisions=tuple(precision or ("auto",)),
        batches=numbers_of(batch, ",", "--batch must be numbers such as 1,4,8"),
        sizes=sizes or (GROWTH if growth else (HOME,)),
        rounds=rounds,
        growth=growth,
        roofline=roofline,
    )
    if plot is not None:
        from streamfuse.jobs.evaluating.plot import check_plot  # noqa: PLC0415 - only who plots waits

        check_plot(plot)
    for path in (json_file, plot):
        if path is not None:
            check_file(path.absolute())
    with progress_bar(Console(stderr=True), "fusion") as advance:
        values = bench_fusion(bench, on_progress=advance).as_dict()
    if json_file is not None:
        write_text(json_file, json.dumps(values, indent=2) + "\n")
    if plot is not None:
        from streamfuse.jobs.benching.fusion_plot import write_fusion_plot  # noqa: PLC0415 - as above

        write_fusion_plot(plot, values)
    tables = [_results(values), _missing(values), _growth(values), _memory(values)]
    if values["roofline"] is not None:
        tables += [_demands(values["roofline"]), _peaks(values["roofline"])]
    show(*tables, targets_table(values["targets"]))


def _results(values: Mapping[str, Any]) -> Table:
    machine = values["machine"]
    has_roofline = values["roofline"] is not None
    numbers = [
        "batch",
        "size",
        "ms/pair",
        "p95 ms",
        "CPU ms",
        "pairs/s",
        "times ref.",
        "PSNR dB",
        "memory MB",
    ]
    table = table_of(
        f"{machine['processor']}, {values['threads']} threads, load {machine['load_before']} before",
        words=("network", "weights", "backend", "precision"),
        numbers=[*numbers, *(["of the peak"] if has_roofline else [])],
    )
    reference = values["reference"]
    for row in reference["all"]:
        cells = [str(row["batch"]), _size(row), *(f"{row[name]:.2f}" for name in _TIMES)]
        cells += [f"{1e3 / row['ms_per_pair']:.2f}", "1.0", "", f"{row['peak_memory_mb']:.0f}"]
        words = [reference[name] for name in ("model", "weights", "backend", "precision")]
        table.add_row(*map(Text, [*words, *cells]))
    for row in values["results"]:
        words = [
            row["model"],
            row["weights"],
            row["backend"] + (" *" if row["default"] else ""),
            row["precision"],
        ]
        cells = [
            str(row["batch"]),
            _size(row),
            *(f"{row[name]:.2f}" for name in _TIMES),
            f"{row['pairs_per_s']:.1f}",
        ]
        cells += [f"{row['ratio_vs_reference']:.1f}", f"{row['psnr_db']:.1f}", f"{row['memory_mb']:.0f}"]
        if has_roofline:
            cells.append("" if row["of_peak"] is None else f"{row['of_peak']:.0%}")
        table.add_row(*map(Text, [*words, *cells]))
    if any(row["default"] for row in values["results"]):
        table.caption = "* what the engine chooses by itself here"
        table.caption_justify = "left"
    return table


_TIMES = ("ms_per_pair", "p95_ms", "cpu_ms_per_pair")


def _missing(values: Mapping[str, Any]) -> Table:
    table = table_of("not measured", words=("weights", "backend", "precision", "batch", "why"), numbers=())
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    for row in values["missing"]:
        batch = "any" if row["batch"] is None else str(row["batch"])
        table.add_row(*map(Text, (row["weights"], row["backend"], row["precision"], batch, row["why"])))
    return table


def _growth(values: Mapping[str, Any]) -> Table:
    words = ("model", "weights", "backend", "precision")
    table = table_of("growth: time goes as pixels to the power of", words=words, numbers=("exponent",))
    for row in values["growth"]:
        table.add_row(*(Text(row[name]) for name in words), Text(f"{row['exponent']:.3f}"))
    return table


def _memory(values: Mapping[str, Any]) -> Table:
    words = ("model", "weights", "backend")
    table = table_of("memory of a process, MB", words=words, numbers=("after 5 calls", "after 50"))
    for row in values["memory"]:
        numbers = (f"{row[name]:.0f}" for name in ("after_5_calls_mb", "after_50_calls_mb"))
        table.add_row(*(Text(row[name]) for name in words), *map(Text, numbers))
    return table


def _demands(roofline: Mapping[str, Any]) -> Table:
    numbers = ("size", "GMAC", "activations MB, float32", "parameters")
    table = table_of("what one pair asks for", words=("network",), numbers=numbers)
    for row in roofline["networks"]:
        cells = (f"{row['gmac']:.1f}", f"{row['activation_mb_float32']:.0f}", str(row["parameters"]))
        table.add_row(Text(row["architecture"]), Text(_size(row)), *map(Text, cells))
    return table


def _peaks(roofline: Mapping[str, Any]) -> Table:
    table = table_of(
        "what this machine gives at best", words=("device", "precision"), numbers=("GMAC/s", "GB/s")
    )
    for device, peak in roofline["peaks"].items():
        for precision, rate in peak["gmac_per_s"].items():
            table.add_row(Text(device), Text(precision), Text(f"{rate:.0f}"), Text(f"{peak['gb_per_s']:.1f}"))
    return table


def _size(row: Mapping[str, Any]) -> str:
    width, height = row["size_wh"]
    return f"{width}x{height}"
