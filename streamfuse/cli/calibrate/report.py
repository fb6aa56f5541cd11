"""``streamfuse calibrate report``: how good a rig file is, as a page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["report"]


def report(
    rig: Annotated[Path, typer.Argument(help="Rig file.")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Page to write.")],
    visible: Annotated[
        str | None, typer.Option(metavar="P", help="Visible pictures, to be registered and measured.")
    ] = None,
    infrared: Annotated[str | None, typer.Option(metavar="P", help="Infrared pictures.")] = None,
    distance: Annotated[
        float | None,
        typer.Option(metavar="M|inf", help="Distance of what they show; otherwise that of the first plane."),
    ] = None,
    baseline_m: Annotated[
        float | None, typer.Option(help="Distance between the cameras, where the rig has no pose.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Judge a rig file: what is in it, what is missing, and for which distances it will do.

    The page is one file and needs no network. With pictures it shows them before and after registration, and
    measures how far they still lie from each other.

    Example: streamfuse calibrate report rig.yaml --visible day/visible --infrared day/infrared --out rig.html
    """
    from streamfuse.cli.calibrate.showing import listed  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.calibrating.report import Report, write_report  # noqa: PLC0415

    job = Report(
        rig=rig, out=out, visible=visible, infrared=infrared, distance_m=distance, baseline_m=baseline_m
    )
    facts = write_report(job)
    if as_json:
        sys.stdout.write(json.dumps(facts.as_dict(), indent=2) + "\n")
        return
    missing = (f"Missing: {each}" for each in facts.missing)
    Console().print(listed((*facts.verdict, *missing, f"Next: {facts.next_step}", f"Page: {out}.")))
