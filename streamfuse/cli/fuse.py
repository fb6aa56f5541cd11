"""``streamfuse fuse``: files in, fused files out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from streamfuse.cli.show import progress_bar

if TYPE_CHECKING:
    from streamfuse.engine.fusion import FusionEngine

__all__ = ["fuse"]


def fuse(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    visible: Annotated[Path, typer.Option(help="Folder of images, an image, or a video: the visible side.")],
    infrared: Annotated[Path, typer.Option(help="The infrared side, of the same kind.")],
    out: Annotated[Path, typer.Option(help="Folder, .png or .mp4 to write, after the inputs' kind.")],
    mode: Annotated[
        Literal["stream", "steady", "reference"],
        typer.Option(
            help="stream: the fused levels as they are; steady: stretched to full contrast, videos without "
            "flicker; reference: exactly as published."
        ),
    ] = "stream",
    model: Annotated[str, typer.Option(help="Fusion network.")] = "grdb",
    weights: Annotated[str, typer.Option(help="`default`, a name of `weights list`, or a path.")] = "default",
    backend: Annotated[
        Literal["auto", "openvino", "openvino-gpu", "torch", "torch-cuda", "onnx", "tensorrt"],
        typer.Option(help="What computes it."),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="In which numbers; auto: what the device computes fastest."),
    ] = "auto",
    batch: Annotated[int, typer.Option(min=1, max=64, help="Pairs fused in one go.")] = 4,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the account as JSON.")] = False,
) -> None:
    """Fuse two folders of images (matched by stem), two images, or two videos (matched by time).

    A folder that was begun is finished where it stopped. The images of a pair must have one size.

    Example: streamfuse fuse --visible day/visible --infrared day/infrared --out day/fused
    """
    from streamfuse.engine.fusion import FusionEngine, Mode  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.fuse import FuseJob  # noqa: PLC0415
    from streamfuse.jobs.fuse import fuse as run_job  # noqa: PLC0415

    job = FuseJob(
        visible=visible, infrared=infrared, out=out, mode=Mode(mode), batch=batch, overwrite=overwrite
    )
    with (
        FusionEngine.load(model, weights=weights, backend=backend, precision=precision) as engine,
        progress_bar(Console(stderr=True), "fusing") as progress,
    ):
        report = run_job(job, engine, on_progress=progress)
        used = _as_dict(engine)
    if as_json:
        account = {
            **used,
            "out": str(report.out),
            "written": report.written,
            "skipped": report.skipped,
            "unmatched": list(report.unmatched),
            "failed": dict(report.failed),
            "truncated": None if report.truncated is None else str(report.truncated),
        }
        sys.stdout.write(json.dumps(account, indent=2) + "\n")
    else:
        skipped = f", {report.skipped} were there already" if report.skipped else ""
        typer.echo(f"{report.out}: {report.written} written{skipped}")
        typer.echo("fused by {network} ({weights}) on {backend} ({device}) in {precision}".format_map(used))
    if report.unmatched:
        some = ", ".join(report.unmatched[:3]) + (", …" if len(report.unmatched) > 3 else "")
        sys.stderr.write(f"streamfuse: {len(report.unmatched)} without a partner, not written: {some}\n")
    report.check()


def _as_dict(engine: FusionEngine) -> dict[str, str]:
    """What has fused, and why it was chosen."""
    assert engine.weights is not None  # it was loaded
    card = engine.weights.card
    return {
        "network": card.architecture,
        "weights": card.name,
        "backend": engine.backend,
        "device": engine.device,
        "precision": str(engine.precision),
        "why": engine.why,
    }
