"""``streamfuse evaluate detection`` and ``segmentation``: what a task makes of images, against labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfuse.cli.evaluate.output import cell, check_json, score_table, show, some
from streamfuse.cli.show import progress_bar

if TYPE_CHECKING:
    from streamfuse.jobs.evaluating.detection import DetectionReport
    from streamfuse.jobs.evaluating.segmentation import SegmentationReport

__all__ = ["detection", "segmentation"]

_Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write all values as JSON; - for standard output."),
]


def detection(
    images: Annotated[
        list[Path], typer.Option(help="Folder of images; repeat it to compare several side by side.")
    ],
    labels: Annotated[
        list[Path], typer.Option(help="Folder of YOLO label files; of several, their union is the truth.")
    ],
    weights: Annotated[Path, typer.Option(help="Detector: an Ultralytics .pt file, YOLOv5 or later.")],
    classes: Annotated[
        str, typer.Option(metavar="A,B,…", help="Names of the label ids 0, 1, …, as the detector has them.")
    ] = "person,bicycle,car",
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only the images named there, one a line.")
    ] = None,
    json_file: _Json = None,
) -> None:
    """Score one detector on any number of renderings of the same scenes, as COCO does.

    Images and labels are matched by stem. AP50_95 is the mean of the average precisions at IoU .50, .55,
    …, .95; `all` is the mean over the classes that the labels hold.

    Example: streamfuse evaluate detection --images day/fused --labels day/labels --weights yolov8n.pt
    """
    from streamfuse.jobs.evaluating.detection import (  # noqa: PLC0415 - slow imports wait for --help
        DetectionEvaluation,
        evaluate_detection,
        load_detector,
    )
    from streamfuse.jobs.evaluating.matching import read_stems  # noqa: PLC0415

    job = DetectionEvaluation(
        images=tuple(images),
        labels=tuple(labels),
        classes=tuple(name.strip() for name in classes.split(",")),
        stems=None if names is None else read_stems(names),
    )
    check_json(json_file, images=images)
    detector = load_detector(weights)
    with progress_bar(Console(stderr=True), "detecting") as progress:
        report = evaluate_detection(job, detector, on_progress=progress)
    show(_detection_table(report), {"weights": str(weights), **report.as_dict()}, json_file=json_file)
    if report.empty:
        sys.stderr.write(
            f"streamfuse: {report.empty} images hold no labelled object; what is found there is false\n"
        )
    if report.unknown:
        sys.stderr.write(
            f"streamfuse: the detector has no class {some(report.unknown)}, and finds none of it\n"
        )


def segmentation(
    predicted: Annotated[
        list[Path], typer.Option(help="Folder of predicted label maps; repeat it to compare several.")
    ],
    labels: Annotated[Path, typer.Option(help="Folder of true label maps; 255 is not judged.")],
    classes: Annotated[int, typer.Option(help="Number of classes, background included.")] = 9,
    json_file: _Json = None,
) -> None:
    """Score predicted label maps (PNG files of class ids) against true ones: IoU of each class, and mIoU.

    Example: streamfuse evaluate segmentation --predicted maps --labels msrs/Segmentation_labels
    """
    from streamfuse.jobs.evaluating.segmentation import (  # noqa: PLC0415 - slow imports wait for --help
        SegmentationEvaluation,
        evaluate_segmentation,
    )

    job = SegmentationEvaluation(predicted=tuple(predicted), labels=labels, classes=classes)
    check_json(json_file, images=(*predicted, labels))
    with progress_bar(Console(stderr=True), "comparing") as progress:
        report = evaluate_segmentation(job, on_progress=progress)
    show(_segmentation_table(report), report.as_dict(), json_file=json_file)
    for name, matrix in report.sets.items():
        if matrix.absent():
            absent = ", ".join(map(str, matrix.absent()))
            sys.stderr.write(
                f"streamfuse: {name}: no pixel of the classes {absent}; they are not in the mean\n"
            )


def _detection_table(report: DetectionReport) -> Table:
    """For each set a row of means and a row for each class."""
    table = score_table(
        f"average precision on {report.images} images",
        words=2,
        scores=["AP50", "AP70", "AP90", "AP50_95", "objects"],
    )
    for name in report.precisions:
        table.add_row(Text(name), "all", *map(cell, report.mean(name).values()), str(sum(report.truths)))
        for (class_name, scores), truths in zip(report.by_class(name).items(), report.truths, strict=True):
            table.add_row("", Text(class_name), *map(cell, scores.values()), str(truths))
    return table


def _segmentation_table(report: SegmentationReport) -> Table:
    """A row of means and a row for each class, a column for each set."""
    table = score_table(f"IoU of {report.images} maps", words=1, scores=list(report.sets))
    sets = [(matrix, matrix.iou().tolist()) for matrix in report.sets.values()]
    table.add_row("mIoU", *(cell(matrix.mean_iou()) for matrix, _ in sets))
    table.add_row("accuracy", *(cell(matrix.accuracy()) for matrix, _ in sets))
    for class_id in range(len(sets[0][1])):
        table.add_row(f"class {class_id}", *(cell(iou[class_id]) for _, iou in sets))
    return table
