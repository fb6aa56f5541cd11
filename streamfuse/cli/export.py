"""``streamfuse export``: a network for another runtime."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from streamfuse.cli.bench.showing import size_of

__all__ = ["export"]


def export(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    out: Annotated[Path, typer.Option(help="Folder to write; a new or empty one.")],
    to: Annotated[Literal["onnx", "openvino"], typer.Option(help="The form of the file.")] = "onnx",
    model: Annotated[str, typer.Option(help="Fusion network, or `detector`.")] = "grdb",
    weights: Annotated[str, typer.Option(help="`default`, a name of `weights list`, or a path.")] = "default",
    recipe: Annotated[
        Literal["rgb", "luma", "reference"],
        typer.Option(
            help="Of a fusion network. rgb: RGB in and out; luma: the luma plane of a video in and out; "
            "reference: RGB, stretched as published."
        ),
    ] = "rgb",
    size: Annotated[
        str | None,
        typer.Option(help="Of the images, such as 640x480. Otherwise any; of a detector, its own."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images at once. Otherwise any; of a detector, 1.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another export in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the account as JSON.")] = False,
) -> None:
    """Write a network as a file for another runtime.

    With its pre- and post-processing, in float32: a fusion network takes and gives bytes, a detector gives
    what it sees before overlaps are removed. The file is run and compared with torch before it is kept.
    Beside it lie a card and a page with inputs, outputs, licence and code that runs it.

    Example: streamfuse export --to onnx --recipe luma --size 640x480 --out exported
    """
    from streamfuse.engine.backends.recipe import Recipe  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.exporting.card import agreement  # noqa: PLC0415
    from streamfuse.jobs.exporting.export import ExportJob  # noqa: PLC0415
    from streamfuse.jobs.exporting.export import export as run_job  # noqa: PLC0415
    from streamfuse.jobs.exporting.formats import ExportFormat  # noqa: PLC0415

    job = ExportJob(
        out=out,
        form=ExportFormat(to),
        model=model,
        weights=weights,
        recipe=Recipe(recipe),
        batch=batch,
        size_wh=None if size is None else size_of(size),
        force=force,
    )
    report = run_job(job)
    if as_json:
        account = {"file": str(report.file), "psnr_db": report.psnr_db, "written": not report.was_there}
        sys.stdout.write(json.dumps(account, indent=2) + "\n")
        return
    state = "was there already, the same" if report.was_there else "written"
    typer.echo(f"{report.file}: {state}; {agreement(report.psnr_db)}")
