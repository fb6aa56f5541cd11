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
    pipelines: Annotated[
        list[Path],
        typer.Argument(metavar="PIPELINE", help="Pipeline file (YAML); several: whether they run together."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `streamfuse run`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a pipeline's file, sources, rig, weights, device, shared memory and disk, without running it.

    Example: streamfuse check pipelines/vehicle.yaml
    """
    from streamfuse.config.several import check_together, pipeline_files  # noqa: PLC0415
    from streamfuse.runtime.preflight import check_pipeline  # noqa: PLC0415

    configs = [file.load() for file in pipeline_files(pipelines, overrides or ())]
    check_together(configs)
    found = [(config.name, finding) for config in configs for finding in check_pipeline(config)]
    if as_json:
        plain = [
            {"pipeline": name, "what": finding.what, "ok": finding.ok, "text": finding.text}
            for name, finding in found
        ]
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    else:
        for name, finding in found:
            whose = f"{name}: " if len(configs) > 1 else ""
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {whose}{finding.what:<14} {finding.text}")
    raise typer.Exit(max((finding.exit_code for _, finding in found), default=0))
