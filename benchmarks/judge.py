"""Trains the judge: a small detector that says how much a fused image helps to find things.

    python benchmarks/judge.py --out runs/judge --minutes 60

A detector that learnt on one kind of image prefers that kind. This one is neutral: YOLOv8n from fresh
weights, trained on the MSRS training pairs, each rendered three ways with the same labels: as visible image,
as infrared image and as their plain average. It has seen no fused image of any method, nothing of the
validation pairs, and no other data, so its absolute scores are low; what counts is how they compare.

A run that was killed goes on from its last whole epoch. With ``--epochs`` the result follows from the seed if
nothing interrupts; with ``--minutes`` the machine decides how many epochs there are.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
import yaml
from _common import MSRS_LABELS, data_folder, run

from streamfuse.core.boxes import Box
from streamfuse.frames import Image
from streamfuse.io.files import check_writable, write_text
from streamfuse.io.images import match_stems, read_gray, read_image, write_png
from streamfuse.io.labels import read_box_union
from streamfuse.jobs.evaluating.matching import read_stems

CLASSES = ("person", "bicycle", "car")
RENDERINGS = ("visible", "infrared", "average")

SIDE_PX = 320
"""Of the images as the detector sees them: a quarter of the pixels of MSRS, and of the time."""

PLAIN: dict[str, Any] = {"pretrained": False, "amp": False, "plots": False, "val": False, "cache": True}
"""Fresh weights, float32, no pictures, no validation until the end, and the images in memory."""

LEARNING: dict[str, Any] = {
    # Some thousand steps are all there is. Adam needs fewer of them than SGD; every batch is a step (nbs
    # would gather 64 images first); cosine, because the end of a short schedule gains the most.
    "batch": 16,
    "nbs": 16,
    "optimizer": "AdamW",
    "lr0": 1.5e-3,
    "lrf": 0.01,
    "momentum": 0.9,
    "cos_lr": True,
    "warmup_epochs": 2.0,
    "warmup_bias_lr": 0.0,
    # 191 scenes in contiguous blocks are few: mosaics of four make the most of them, until near the end.
    "mosaic": 1.0,
    "close_mosaic": 5,
    "scale": 0.5,
    "fliplr": 0.5,
    # As much change of brightness as between the renderings, and little of hue, which one of them lacks.
    "hsv_h": 0.01,
    "hsv_s": 0.5,
    "hsv_v": 0.4,
}
"""Settings of Ultralytics for training from fresh weights on few scenes."""


def main() -> None:
    """Train, and write ``judge.pt``."""
    args = arguments()
    judge = args.out / "judge.pt"
    if not judge.exists():
        check_writable(args.out)
        dataset = render(data_folder(), args.out / "data")
        last = train(dataset, args)
        part = judge.with_suffix(".part")
        shutil.copyfile(last, part)
        part.replace(judge)
    print(judge)  # noqa: T201 - the output of a script


def render(data: Path, out: Path) -> Path:
    """Make the training set in the layout of Ultralytics: ``images/KIND/STEM.png``, ``labels/KIND/STEM.txt``.

    Returns:
        Its description, a YAML file, which is written last: where it is, all is there.
    """
    description = out / "dataset.yaml"
    if description.exists():
        return description
    match = match_stems(data / "msrs/visible", data / "msrs/infrared")
    pairs = dict(zip(match.stems, match.pairs, strict=True))
    stems = read_stems(data / "msrs/train.txt")
    folders = [data / labels for labels in MSRS_LABELS]
    for kind in RENDERINGS:
        (out / "images" / kind).mkdir(parents=True, exist_ok=True)
        (out / "labels" / kind).mkdir(parents=True, exist_ok=True)
    for stem in stems:
        text = yolo_text(read_box_union(folders, stem, classes=len(CLASSES)))
        visible, infrared = read_image(pairs[stem][0]), read_gray(pairs[stem][1])
        for kind, image in zip(RENDERINGS, (visible, infrared, average(visible, infrared)), strict=True):
            write_png(out / "images" / kind / f"{stem}.png", image)
            write_text(out / "labels" / kind / f"{stem}.txt", text)
    # Ultralytics wants something to validate on. Nothing is chosen by it, so a few training images do.
    write_text(out / "few.txt", "".join(f"./images/average/{stem}.png\n" for stem in stems[::16]))
    content = {
        "path": str(out.resolve()),
        "train": "images",
        "val": "few.txt",
        "names": dict(enumerate(CLASSES)),
    }
    write_text(description, yaml.safe_dump(content, sort_keys=False))
    return description


def average(visible: Image, infrared: Image) -> Image:
    """Half visible, half infrared, in each of R, G and B; rounded half up."""
    levels = visible.planes[0].astype(np.uint16) + infrared.planes[0][..., None] + 1
    mixed: npt.NDArray[np.uint8] = (levels // 2).astype(np.uint8)
    return Image.from_rgb(mixed)


def yolo_text(boxes: tuple[Box, ...]) -> str:
    """Lines of ``class x_centre y_centre width height``."""
    lines = (
        f"{box.class_id} {(box.x1 + box.x2) / 2:.6f} {(box.y1 + box.y2) / 2:.6f} "
        f"{box.x2 - box.x1:.6f} {box.y2 - box.y1:.6f}\n"
        for box in boxes
    )
    return "".join(lines)


def train(dataset: Path, args: argparse.Namespace) -> Path:
    """Train, or go on where a run stopped.

    Returns:
        The weights of the last epoch.
    """
    yolo = import_yolo(args.out / "settings")
    checkpoint = args.out / "checkpoint.pt"
    begun = checkpoint.exists()
    model = yolo(checkpoint if begun else "yolov8n.yaml")
    model.add_callback("on_train_start", lambda _trainer: torch.set_num_threads(args.threads))
    model.add_callback("on_model_save", keep(checkpoint))
    if begun:
        model.train(resume=True)
    else:
        budget = {"time": args.minutes / 60} if args.minutes else {"epochs": args.epochs}
        run_folder = {"project": str(args.out.resolve()), "name": "run", "exist_ok": True}
        here = {"data": str(dataset), "imgsz": SIDE_PX, "device": args.device, "seed": args.seed}
        model.train(**budget, **run_folder, **here, **PLAIN, **LEARNING)
    last: Path = model.trainer.last
    return last


def import_yolo(settings: Path) -> Any:
    """Import Ultralytics so that it asks nobody and tells nobody, with its settings in a folder of ours."""
    settings.mkdir(parents=True, exist_ok=True)
    font = settings / "Arial.ttf"
    if not font.exists():  # it would fetch one, though nothing is drawn
        font.symlink_to(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    quiet = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    os.environ.update(quiet, YOLO_CONFIG_DIR=str(settings.resolve()))
    from ultralytics import YOLO  # type: ignore[attr-defined]  # noqa: PLC0415 - reads the environment above

    return YOLO


def keep(checkpoint: Path) -> Callable[[Any], None]:
    """A callback that copies each whole checkpoint in one step: Ultralytics writes over its last one."""

    def copy(trainer: Any) -> None:
        if trainer.epoch + 1 < trainer.epochs:  # of the last epoch it could not go on
            part = checkpoint.with_suffix(".part")
            shutil.copyfile(trainer.last, part)
            part.replace(checkpoint)

    return copy


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/judge"), help="folder for all that is made")
    parser.add_argument("--epochs", type=int, default=60, help="passes over 573 images")
    parser.add_argument("--minutes", type=float, help="as many epochs as fit, in place of --epochs")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--device", default="cpu", help="cpu, or the number of a CUDA device")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
