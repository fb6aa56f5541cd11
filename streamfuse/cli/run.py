"""``streamfuse run``: the main job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streamfuse.cli.show import StatusLine

__all__ = ["run"]


def run(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (YAML); `streamfuse init` writes one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key, as in `--set fusion.batch=8`; repeatable. "
            "Relative paths start in the current folder.",
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many fused pairs.")] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary there, as JSON.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON in place of the table.")
    ] = False,
) -> None:
    """Capture two streams, pair, register and fuse them, detect, record and report.

    Example: streamfuse run pipelines/vehicle.yaml --duration 10 --summary summary.json
    """
    from streamfuse.config.pipeline import load_pipeline  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.io.files import check_writable, write_text  # noqa: PLC0415
    from streamfuse.runtime.run import RunOptions, run_pipeline  # noqa: PLC0415

    config = load_pipeline(pipeline, overrides or ())
    if summary is not None:
        check_writable(summary.parent)
    console = Console(stderr=True)
    with StatusLine(console) as status:
        result = run_pipeline(
            config,
            RunOptions(duration_s=duration, max_frames=max_frames),
            on_status=status.show,
            on_message=status.say,
        )
    plain = result.summary.as_dict()
    if summary is not None:
        write_text(summary, json.dumps(plain, indent=2) + "\n")
    if as_json:
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    elif result.began:
        Console().print(_table(plain))
    for problem in result.problems:
        sys.stderr.write(f"streamfuse: {problem}\n")
    raise typer.Exit(result.exit_code)


def _table(plain: dict[str, Any]) -> Table:
    """The summary for a person."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    states = ", ".join(f"{count} {state}" for state, count in plain["states"].items() if count)
    table.add_row("pairs", f"{plain['pairs']} ({states})" if states else "0")
    table.add_row("fused", f"{plain['fused']} at {plain['fps']:.1f} fps")
    for name, stream in plain["streams"].items():
        dropped = ", ".join(f"{count} {cause}" for cause, count in stream["dropped"].items()) or "0"
        table.add_row(
            name,
            f"captured {stream['captured']} = emitted {stream['emitted']} + dropped {dropped}"
            f" + in flight {stream['in_flight']}",
        )
    for name, camera in plain["cameras"].items():
        table.add_row(f"  {name} camera", _camera(camera))
    for key, title, unit in (("latency_ms", "latency", "ms"), ("skew_ms", "skew", "ms")):
        values = "  ".join(f"{name} {value:.1f}" for name, value in plain[key].items() if value is not None)
        table.add_row(title, f"{values} {unit}" if values else "-")
    if plain["offset"]:
        table.add_row("offset", _offset(plain["offset"]))
    for name, stage in plain["stages"].items():
        table.add_row(f"  {name}", f"p50 {stage['p50_ms']:.1f}  p95 {stage['p95_ms']:.1f} ms")
    for name, sink in plain["sinks"].items():
        table.add_row(
            name, f"offered {sink['offered']}, written {sink['written']}, dropped {sink['dropped']}"
        )
    restarts = ", ".join(f"{name} {count}" for name, count in plain["restarts"].items() if count)
    table.add_row("restarts", restarts or "none")
    table.add_row("engine", f"{plain['backend']} on {plain['device']}" if plain["backend"] else "-")
    for path in plain["recordings"]:
        table.add_row("recording", str(path))
    return table


def _offset(plain: dict[str, float | None]) -> str:
    estimate_ms, applied_ms = plain["estimate_ms"], plain["applied_ms"]
    if estimate_ms is None:
        return "unknown: too little moves in both pictures, or for too short a time"
    return f"infrared times seem {-estimate_ms:.0f} ms off, {applied_ms:.0f} ms were added to them"


def _camera(plain: dict[str, Any]) -> str:
    words = f"{plain['state']}, {plain['reconnects']} reconnects"
    clock = plain["clock"]
    if clock is None:
        return words
    return (
        f"{words}, time from {clock['source']}, drift {clock['drift_ppm']:.1f} ppm, "
        f"jitter {clock['jitter_ms']:.1f} ms"
    )
