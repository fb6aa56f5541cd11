"""``streamfuse evaluate detection``: what a detector finds on renderings of the same scenes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from streamfuse.cli.evaluate.judging import (
    Backend,
    Classes,
    Compare,
    Csv,
    Groups,
    Json,
    Names,
    Plots,
    Reports,
    Resamples,
    Seed,
    Trust,
    read_judging,
    tell_unknown,
)
from streamfuse.cli.show import progress_bar

if TYPE_CHECKING:
    from streamfuse.config.tasks import TaskBackend
    from streamfuse.engine.tasks.training import EpochReport
    from streamfuse.jobs.evaluating.detection import DetectionEvaluation, Detector

__all__ = ["detection"]


def detection(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    images: Annotated[
        list[Path], typer.Option(help="Folder of images; repeat it to compare several side by side.")
    ],
    labels: Annotated[
        list[Path], typer.Option(help="Folder of YOLO label files; of several, their union is the truth.")
    ],
    weights: Annotated[
        str, typer.Option(help="Detector: default, a name, or a .safetensors or Ultralytics .pt file.")
    ] = "default",
    retrain: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG", help="In place of --weights, fine-tune a detector for each set first."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of what --retrain makes.")] = Path("runs/retrained"),
    classes: Classes = "person,bicycle,car",
    masks: Annotated[
        bool,
        typer.Option(
            "--masks", help="Score masks, too; then the labels are outlines (class x y x y x y ...)."
        ),
    ] = False,
    names: Names = None,
    group: Groups = None,
    compare: Compare = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    backend: Backend = "auto",
    trust: Trust = False,
    json_file: Json = None,
    csv_file: Csv = None,
    plots: Plots = None,
) -> None:
    """Score one detector on any number of renderings of the same scenes, as COCO does.

    Images and labels are matched by stem. AP50_95 is the mean of the average precisions at IoU .50, .55,
    …, .95; `all` is the mean over the classes that the labels hold. The intervals hold 95 % of the scores of
    images drawn again and again (paired bootstrap); neighbouring frames of a video make them too narrow.
    With --retrain each set has its own detector, trained on its own images with the same labels and steps.

    Example: streamfuse evaluate detection --images day/visible --images day/fused --labels day/labels
    --compare fused:visible
    """
    from streamfuse.jobs.evaluating.detection import (  # noqa: PLC0415 - slow imports wait for --help
        DetectionEvaluation,
        evaluate_detection,
    )
    from streamfuse.jobs.evaluating.matching import read_stems  # noqa: PLC0415

    job = DetectionEvaluation(
        images=tuple(images),
        labels=tuple(labels),
        masks=masks,
        classes=tuple(name.strip() for name in classes.split(",")),
        stems=None if names is None else read_stems(names),
        judging=read_judging(group, compare, resamples=resamples, seed=seed),
    )
    reports = Reports(json=json_file, csv=csv_file, plots=plots)
    reports.check(images=images)
    used = weights if retrain is None else _retrained(retrain, job, out)
    detectors = _load(used, backend=backend, trust=trust, masks=masks)
    with progress_bar(Console(stderr=True), "detecting") as progress:
        report = evaluate_detection(job, detectors, on_progress=progress)
    if plots is not None:
        from streamfuse.jobs.evaluating.taskplots import write_curves  # noqa: PLC0415 - only who plots waits

        write_curves(plots / "precision-recall.png", report)
    reports.write(report, title="average precision", more={"weights": used})
    if report.whole.empty:
        sys.stderr.write(
            f"streamfuse: {report.whole.empty} images hold no labelled object; what is found there is false\n"
        )
    tell_unknown(report, whose="the detector")


def _load(
    weights: str | dict[str, str], *, backend: TaskBackend, trust: bool, masks: bool
) -> Detector | dict[str, Detector]:
    """One detector, or one for each set."""
    from streamfuse.jobs.evaluating.detectors import load_detector  # noqa: PLC0415 - slow, as all

    if isinstance(weights, str):
        return load_detector(weights, backend=backend, trust=trust, masks=masks)
    return {name: load_detector(path, backend=backend, masks=masks) for name, path in weights.items()}


def _retrained(config: Path, job: DetectionEvaluation, out: Path) -> dict[str, str]:
    """Detectors fine-tuned for each set, by its name."""
    from streamfuse.config.retraining import load_retraining  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.evaluating.retraining import retrain  # noqa: PLC0415

    budget = load_retraining(config)
    done = 0
    with progress_bar(Console(stderr=True), "training") as progress:

        def on_epoch(name: str, report: EpochReport) -> None:
            nonlocal done
            done += 1
            progress(done, report.epochs * len(job.images), name)

        trained = retrain(budget, job, out_dir=out, on_epoch=on_epoch)
    return {name: str(path) for name, path in trained.items()}
