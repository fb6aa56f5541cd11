"""``streamfuse init`` and ``streamfuse check``: begin a pipeline, and check one before it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["check", "init"]


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; created if need be.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write a starter pipeline and rig, commented, that run as they are.

    Example: streamfuse init mycar && streamfuse run mycar/pipeline.yaml --duration 5
    """
    from streamfuse.config.starting import write_starter  # noqa: PLC0415

    for path in write_starter(folder, force=force):
        typer.echo(path)
    typer.echo(f"next: streamfuse run {folder / 'pipeline.yaml'} --duration 10")


def check(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (YAML).")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `streamfuse run`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a pipeline's file, sources, rig, weights, device, shared memory and disk, without running it.

    Example: streamfuse check pipelines/vehicle.yaml
    """
    from streamfuse.config.pipeline import load_pipeline  # noqa: PLC0415
    from streamfuse.runtime.preflight import check_pipeline  # noqa: PLC0415

    findings = check_pipeline(load_pipeline(pipeline, overrides or ()))
    if as_json:
        sys.stdout.write(
            json.dumps([{"what": f.what, "ok": f.ok, "text": f.text} for f in findings], indent=2) + "\n"
        )
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what:<14} {finding.text}")
    raise typer.Exit(max((finding.exit_code for finding in findings), default=0))
