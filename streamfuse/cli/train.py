"""``streamfuse train``: make weights of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from streamfuse.cli.show import progress_bar

if TYPE_CHECKING:
    from streamfuse.jobs.train import TrainProgress

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Train networks on data of your own.")


@app.callback()
def _group() -> None:
    """Makes `train` a group of commands, though there is only one yet."""


@app.command("fusion")
def fusion(
    config: Annotated[Path, typer.Argument(help="Training file (YAML), as in configs/train/.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights.")] = Path("runs/fusion"),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `streamfuse run`.")
    ] = None,
) -> None:
    """Train a fusion network by its content loss: registered pairs, no labels.

    A run that was stopped or killed goes on from its last checkpoint, with the same result.

    Example: streamfuse train fusion configs/train/content.yaml --out runs/mine
    """
    from streamfuse.config.training import load_training  # noqa: PLC0415
    from streamfuse.jobs.train import train_fusion  # noqa: PLC0415 - slow imports wait for --help

    checked = load_training(config, overrides or ())
    with progress_bar(Console(stderr=True), "training") as progress:

        def show(step: TrainProgress) -> None:
            progress(step.step, step.steps, f"loss {step.losses['total']:.4f}")

        made_by = " ".join(["streamfuse train fusion", str(config), *(f"--set {x}" for x in overrides or ())])
        result = train_fusion(checked, out_dir=out, made_by=made_by, on_progress=show)
    typer.echo(result.weights.path)
    if result.validation is not None:
        typer.echo(f"loss on validation crops: {result.validation:.4f}")
