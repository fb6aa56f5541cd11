"""``streamfuse calibrate align``: register both cameras by what they see, without a board."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from streamfuse.cli.calibrate.working import working

if TYPE_CHECKING:
    from streamfuse.jobs.calibrating.align import AlignResult

__all__ = ["align"]

_SURE = 0.5
"""Confidence below which a person should look closely."""


def _metres(text: str) -> float:
    try:
        distance_m = float(text)
    except ValueError:
        distance_m = math.nan
    if not distance_m > 0:
        raise typer.BadParameter(f"metres above 0, or inf for far away, got {text!r}")
    return distance_m


def align(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    visible: Annotated[
        str, typer.Option(metavar="P", help="Image, folder, video or live camera; or a pipeline file.")
    ],
    infrared: Annotated[str, typer.Option(metavar="P", help="The same of the infrared camera.")],
    out: Annotated[Path, typer.Option(metavar="RIG", help="Rig file to make, or to add the plane to.")],
    model: Annotated[
        Literal["homography", "affine"], typer.Option(help="affine: steadier where few edges are seen.")
    ] = "homography",
    dense: Annotated[
        bool, typer.Option("--dense", help="Look for a smooth correction on top, as lenses need it.")
    ] = False,
    distance: Annotated[
        float | None,
        typer.Option(
            parser=_metres,
            metavar="M|inf",
            help="Distance of the scene; a plane is added, or that of this distance replaced. Otherwise the "
            "first plane of the file is (in a new one: inf).",
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="Use these points: visible_x,visible_y,infrared_x,infrared_y in pixels."
        ),
    ] = None,
    click: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Click the points on a page served there, as 127.0.0.1:8091."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write chessboards before and after to look at.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Register both cameras by a scene that both see, without a board, and write the plane into a rig file.

    Any scene with edges that are warm and cold will do: houses, cars, people, trees; several moments are
    better than one. Objects nearer or farther than the scene are off by the parallax: align at several
    distances, each with --distance. Planes are kept farthest first, and the first is the one that is used
    where a pipeline names no distance. Pictures that cannot be aligned are refused (exit code 4), and
    nothing is written; then --click or --points helps.

    The confidence, 0 to 1, tells whether this is the right solution rather than another one: it is near 1 in
    every good result, and says nothing of pixels. How far off it may be is the residual, in visible pixels.

    Example: streamfuse calibrate align --visible day/visible --infrared day/infrared --out rig.yaml
    --picture look.png
    """
    from streamfuse.jobs.calibrating.align import Align, calibrate_align  # noqa: PLC0415 - slow imports wait

    job = Align(
        visible=visible,
        infrared=infrared,
        out=out,
        model=model,
        dense=dense,
        distance_m=distance,
        points=points,
        click=click,
        picture=picture,
    )
    with working(Console(stderr=True), "reading pairs") as progress:
        result = calibrate_align(job, on_progress=progress, tell=_tell)
    if as_json:
        sys.stdout.write(json.dumps(result.as_dict(), indent=2) + "\n")
        return
    from streamfuse.cli.calibrate.showing import listed  # noqa: PLC0415 - slow imports wait for --help

    Console().print(listed((*result.notes, f"Written to {out}. {_next(result, picture)}")))


def _tell(line: str) -> None:
    sys.stderr.write(f"streamfuse: {line}\n")


def _next(result: AlignResult, picture: Path | None) -> str:
    if result.confidence < _SURE:
        return "Not very sure: give more pairs, or points (--click), and look at the --picture."
    if picture is None:
        return "Next: look at it with --picture FILE.png, then name the file in a pipeline (`rig: …`)."
    return f"Next: look at {picture} (edges must go on from field to field), then name the rig in a pipeline."
