"""``streamfuse evaluate segmentation``: label maps against true ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from streamfuse.cli.evaluate.judging import (
    Backend,
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
from streamfuse.errors import UsageError

if TYPE_CHECKING:
    from streamfuse.jobs.evaluating.scores import TaskReport

__all__ = ["segmentation"]


def segmentation(  # noqa: PLR0913, PLR0917 - one parameter for each option of the command
    labels: Annotated[Path, typer.Option(help="Folder of true label maps; 255 is not judged.")],
    predicted: Annotated[
        list[Path] | None, typer.Option(help="Folder of predicted label maps; repeat it to compare several.")
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="In their place, folder of images to look at with --weights.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Network with masks: default, a name, a .safetensors or .pt file.")
    ] = None,
    classes: Annotated[
        str, typer.Option(metavar="N|A,B,…", help="How many classes, or their names; background first.")
    ] = "9",
    confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Objects that --weights finds less likely are left out.")
    ] = 0.25,
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
    """Score label maps (PNG files of class ids) against true ones: IoU of each class, and mIoU.

    The maps are files, or what a network makes of images: one that segments objects, or the segmentation
    network of a joint training. The intervals hold 95 % of the scores of maps drawn again and again.

    Example: streamfuse evaluate segmentation --predicted maps --labels msrs/Segmentation_labels
    """
    from streamfuse.jobs.evaluating.matching import read_stems  # noqa: PLC0415 - slow imports wait for --help
    from streamfuse.jobs.evaluating.segmentation import (  # noqa: PLC0415
        SegmentationEvaluation,
        class_names,
        evaluate_segmentation,
    )

    if bool(predicted) == bool(images):
        raise UsageError("give either --predicted, folders of label maps, or --images with --weights")
    if bool(images) != (weights is not None):
        raise UsageError("--images and --weights go together: the network looks at the images")
    job = SegmentationEvaluation(
        predicted=tuple(predicted or images or ()),
        labels=labels,
        classes=class_names(classes),
        stems=None if names is None else read_stems(names),
        judging=read_judging(group, compare, resamples=resamples, seed=seed),
    )
    reports = Reports(json=json_file, csv=csv_file, plots=plots)
    reports.check(images=(*job.predicted, labels))
    segmenter = None
    if weights is not None:
        from streamfuse.jobs.evaluating.segmenters import load_segmenter  # noqa: PLC0415 - slower still

        segmenter = load_segmenter(weights, confidence=confidence, trust=trust, backend=backend)
    with progress_bar(Console(stderr=True), "comparing") as progress:
        report = evaluate_segmentation(job, segmenter, on_progress=progress)
    reports.write(report, title="IoU", more={} if weights is None else {"weights": weights})
    _tell_absent(report)
    tell_unknown(report, whose="the network")


def _tell_absent(report: TaskReport) -> None:
    """Classes that neither the labels nor the predictions of a set hold."""
    for name in report.set_names:
        scores = report.by_class(name)
        if absent := [class_name for class_name, named in scores.items() if named["IoU"] is None]:
            sys.stderr.write(
                f"streamfuse: {name}: no pixel of the classes {', '.join(absent)}; they are not in the mean\n"
            )
