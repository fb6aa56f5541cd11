"""Fine-tunes a detector on each set of images under equal budgets, so that each is judged at its best.

One detector for all sets favours the kind of image it grew up with. Here each set gets its own: the same
start, labels, pictures, steps and seed, but the pixels of the set. Source of the protocol: Tang et al.,
"Image fusion in the loop of high-level vision tasks", Information Fusion 82 (2022), there for segmentation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from streamfuse.config.retraining import Retraining
from streamfuse.engine.tasks.training import EpochReport, YoloTraining, train_yolo
from streamfuse.errors import UsageError
from streamfuse.io.files import check_writable, write_text
from streamfuse.io.images import by_stem, list_images
from streamfuse.io.labels import read_box_union
from streamfuse.jobs.detecting.dataset import write_dataset
from streamfuse.jobs.detecting.scene import Scene, Thing
from streamfuse.jobs.evaluating.detection import DetectionEvaluation
from streamfuse.jobs.evaluating.matching import read_stems
from streamfuse.jobs.evaluating.pictures import match_images, read_rgb

__all__ = ["retrain"]


def retrain(
    config: Retraining,
    job: DetectionEvaluation,
    *,
    out_dir: Path,
    on_epoch: Callable[[str, EpochReport], None] = lambda _name, _report: None,
) -> dict[str, Path]:
    """Train a detector on each set of images, or go on where a run in ``out_dir`` stopped.

    Args:
        config: the budget.
        job: what the detectors will be judged on; its folders hold the images to learn from, too.
        out_dir: gets a folder for each set; made when missing.
        on_epoch: called in this thread with the name of the set, after each epoch.

    Returns:
        By name of the set its weights, a .pt file.

    Raises:
        UsageError: images to learn from are also to be judged, ``out_dir`` holds another run, or nobody
            knows the architecture.
        SourceError: an image or a label is missing or cannot be read.
        OutputError: ``out_dir`` cannot be written.
        WeightsError: the start cannot be used.
        MachineError: the device is missing.
    """
    learnt = read_stems(config.names)
    _check_unseen(learnt, job, config.names)
    folders = dict(zip(job.set_names, match_images(job.images, learnt), strict=True))
    check_writable(out_dir)
    _same_run(config, job, out_dir / "retraining.json")
    trained: dict[str, Path] = {}
    for name, paths in folders.items():
        training = _prepare(config, job, paths, out_dir / name)
        trained[name] = train_yolo(training, out_dir / name, on_epoch=partial(on_epoch, name))
    return trained


def _check_unseen(learnt: tuple[str, ...], job: DetectionEvaluation, names: Path) -> None:
    judged = by_stem(list_images(job.images[0])) if job.stems is None else job.stems
    seen = [stem for stem in learnt if stem in judged]
    if seen:
        raise UsageError(
            f"{names}: {seen[0]} is also to be judged ({len(seen)} are); a detector knows what it learnt "
            "from, so name other images to judge with --names"
        )


def _same_run(config: Retraining, job: DetectionEvaluation, path: Path) -> None:
    """Whoever goes on must want the same."""
    wanted = {
        "config": config.model_dump(mode="json"),
        "images": {
            name: str(folder.resolve()) for name, folder in zip(job.set_names, job.images, strict=True)
        },
        "labels": [str(folder.resolve()) for folder in job.labels],
        "classes": list(job.classes),
    }
    text = json.dumps(wanted, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise UsageError(f"{path.parent}: holds another retraining (see {path.name}); take another folder")
    write_text(path, text)


def _prepare(
    config: Retraining, job: DetectionEvaluation, paths: Mapping[str, Path], out: Path
) -> YoloTraining:
    """Write the pictures and labels of a set, if they are not there."""
    dataset = out / "data" / "dataset.yaml"
    if not dataset.exists():
        write_dataset(_scenes(job, paths), out / "data", classes=job.classes, side_px=config.side_px)
    return YoloTraining(
        dataset=dataset,
        architecture=config.architecture,
        learning=config.learning,
        start=None if config.start_from is None else Path(config.start_from),
        side_px=config.side_px,
        precision=config.precision,
        device=config.device,
        threads=config.threads,
    )


def _scenes(job: DetectionEvaluation, paths: Mapping[str, Path]) -> Iterator[Scene]:
    """The images of a set with the labels of all sets."""
    for stem, path in paths.items():
        rgb = read_rgb(path)
        height, width = rgb.shape[:2]
        nothing = np.zeros((height, width), np.bool_)  # an outline that nobody knows becomes an ellipse
        boxes = read_box_union(job.labels, stem, classes=len(job.classes))
        things = tuple(
            Thing(class_id=box.class_id, box_xyxy=box.to_pixels((width, height)), mask=nothing)
            for box in boxes
        )
        yield Scene(name=stem, renderings={"set": rgb}, things=things)
