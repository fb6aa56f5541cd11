"""``streamfuse train``: make weights of one's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from streamfuse.clock import NS_PER_S, Clock, SystemClock

if TYPE_CHECKING:
    from streamfuse.engine.tasks.training import EpochReport
    from streamfuse.jobs.training.pace import Pace
    from streamfuse.jobs.training.run import TrainProgress

__all__ = ["app"]

_LINE_EVERY_NS = 30 * NS_PER_S
"""Where there is no terminal, a line of progress is printed this often."""

_SCENES_A_LINE = 25

app = typer.Typer(no_args_is_help=True, help="Train networks on data of your own.")


@app.command("fusion")
def fusion(
    config: Annotated[Path, typer.Argument(help="Training file (YAML), as in configs/train/.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights.")] = Path("runs/fusion"),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `streamfuse run`.")
    ] = None,
) -> None:
    """Train a fusion network: by its content loss from registered pairs, or jointly with a segmentation.

    A run that was stopped or killed goes on from its last checkpoint, with the same result.

    Example: streamfuse train fusion configs/train/content.yaml --out runs/mine
    """
    from streamfuse.config.training import load_training  # noqa: PLC0415
    from streamfuse.jobs.train import train_fusion  # noqa: PLC0415 - slow imports wait for --help

    checked = load_training(config, overrides or ())
    made_by = " ".join(["streamfuse train fusion", str(config), *(f"--set {x}" for x in overrides or ())])
    with _progress(Console(stderr=True), SystemClock()) as (on_progress, on_label):
        result = train_fusion(
            checked, out_dir=out, made_by=made_by, on_progress=on_progress, on_label=on_label
        )
    for weights in (result.weights, result.segmentation):
        if weights is not None:
            typer.echo(weights.path)
    for name, value in result.validation.items():
        typer.echo(f"{name.replace('_', ', ')} loss: {value:.4f}")


@app.command("detector")
def detector(
    config: Annotated[Path, typer.Argument(help="Training file (YAML), as configs/train/detector.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for pictures, checkpoint and weights.")] = Path(
        "runs/detector"
    ),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for `streamfuse run`.")
    ] = None,
) -> None:
    """Train a detector on visible, infrared and fused pictures of the same scenes.

    A run that was stopped or killed goes on from its last whole epoch.

    Example: streamfuse train detector configs/train/detector.yaml --out runs/detector
    """
    from streamfuse.config.training_detector import load_detector_training  # noqa: PLC0415
    from streamfuse.jobs.train_detector import Watcher, train_detector  # noqa: PLC0415 - slow imports

    checked = load_detector_training(config, overrides or ())
    made_by = " ".join(["streamfuse train detector", str(config), *(f"--set {x}" for x in overrides or ())])
    console = Console(stderr=True)

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def on_scene(count: int) -> None:
        if count % _SCENES_A_LINE == 0:
            say(f"{count} scenes rendered")

    def on_epoch(report: EpochReport) -> None:
        losses = "  ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
        left = dt.timedelta(seconds=round((report.epochs - report.epoch) * report.seconds))
        say(f"epoch {report.epoch}/{report.epochs}  {losses}  {left} left")

    watcher = Watcher(on_scene=on_scene, on_epoch=on_epoch)
    typer.echo(train_detector(checked, out_dir=out, made_by=made_by, watcher=watcher).path)


@contextmanager
def _progress(
    console: Console, clock: Clock
) -> Iterator[tuple[Callable[[TrainProgress], None], Callable[[str], None]]]:
    """A bar on a terminal, a line now and then elsewhere; what to tell of steps and of labels."""
    from streamfuse.jobs.training.pace import Pace  # noqa: PLC0415 - needs pydantic, which --help does not

    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    pace: Pace | None = None
    said_ns = clock.now_ns() - _LINE_EVERY_NS
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=None, note="reading the pairs")

        def say(note: str, *, line: str) -> None:
            nonlocal said_ns
            bar.update(task, note=note)
            if not console.is_terminal and clock.now_ns() - said_ns >= _LINE_EVERY_NS:
                said_ns = clock.now_ns()
                console.print(line, highlight=False, markup=False, soft_wrap=True)

        def on_label(stem: str) -> None:
            say(f"making the labels of {stem}", line=f"making the labels of {stem}")

        def on_progress(step: TrainProgress) -> None:
            nonlocal pace
            if pace is None:  # the first step pays for warming up: its time is not told
                pace = Pace(clock.now_ns())
            else:
                pace.step_done(step.stage.kind, clock.now_ns())
            note = _note(step, pace)
            bar.update(task, completed=step.step, total=step.steps)
            say(note, line=f"{step.step}/{step.steps} {note}")

        yield on_progress, on_label


def _note(step: TrainProgress, pace: Pace) -> str:
    """Round, stage, loss, speed and time left."""
    seconds = pace.seconds_per_step(step.stage.kind)
    left = dt.timedelta(seconds=round(pace.seconds_left(step.left)))
    return "  ".join(
        [
            f"round {step.stage.round}/{step.rounds}",
            step.stage.kind,
            f"loss {step.losses['total']:.4f}",
            f"{1 / seconds:.2f} steps/s  {left} left" if seconds else "",
        ]
    )
