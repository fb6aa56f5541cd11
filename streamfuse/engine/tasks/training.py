"""Trains a YOLO network with Ultralytics, from its labels on disk to weights; a killed run goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import torch

from streamfuse.config.training_detector import Learning
from streamfuse.engine.tasks.library import libraries_unchanged, ultralytics
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.errors import MachineError, UsageError, WeightsError

__all__ = ["EpochReport", "YoloTraining", "train_yolo"]

_FIXED: Final[Mapping[str, Any]] = {
    "amp": False,  # on CUDA only, where it wants to fetch a network to try it; see `_in_bfloat16`
    "plots": False,
    "val": False,  # validation images are no business of the learner
    "cache": True,  # a few thousand pictures of 320 px are a gigabyte
    "exist_ok": True,
    "verbose": False,
    "optimizer": "AdamW",
    "lrf": 0.01,
    "momentum": 0.9,
    "cos_lr": True,  # the end of a short schedule gains the most
    "warmup_bias_lr": 0.0,
    "fliplr": 0.5,
    # As much change of brightness as between the renderings, and little of hue, which infrared lacks.
    "hsv_h": 0.01,
    "hsv_s": 0.5,
    "hsv_v": 0.4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloTraining:
    """What to train, on what."""

    dataset: Path
    """The ``dataset.yaml`` of a folder in the layout of Ultralytics."""
    architecture: str
    """Such as ``yolov8n-seg``."""
    learning: Learning
    start: Path | None = None
    """Weights to go on from; None: fresh ones."""
    side_px: int = 320
    precision: str = "bfloat16"
    device: str = "cpu"
    threads: int = 0
    """CPU threads; 0: as many as there are cores."""
    loaders: int = 0
    """Processes that read and mix pictures beside the training; 0: it does so itself, between the steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """Told after every epoch."""

    epoch: int
    """Epochs done."""
    epochs: int
    losses: Mapping[str, float]
    """Means over the epoch, by name: ``box``, ``seg``, ``cls``, ``dfl``."""
    seconds: float
    """That this epoch took."""


def train_yolo(
    training: YoloTraining, out: Path, *, on_epoch: Callable[[EpochReport], None] = lambda _: None
) -> Path:
    """Train, or go on where a run in ``out`` was stopped.

    Args:
        training: what to do.
        out: a folder; gets ``last.pt`` when all is done, and ``checkpoint.pt`` on the way.
        on_epoch: called in this thread.

    Returns:
        ``last.pt``: the averaged weights after the last epoch.

    Raises:
        UsageError: Ultralytics has no such architecture.
        WeightsError: ``start`` or the checkpoint is no network for this.
        MachineError: the device is missing.
    """
    done, checkpoint = out / "last.pt", out / "checkpoint.pt"
    if done.exists():
        return done
    if training.device.startswith("cuda") and not torch.cuda.is_available():
        raise MachineError("`device` is cuda, but torch finds no CUDA device; set `device: cpu`")
    out.mkdir(parents=True, exist_ok=True)
    yolo = ultralytics().YOLO
    _font()
    with libraries_unchanged():
        begun = checkpoint.exists()
        model = yolo(checkpoint if begun else _start(training, out))
        _follow(model, training, checkpoint, on_epoch)
        # Ultralytics draws bars; `on_epoch` is what our users read.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            model.train(resume=True) if begun else model.train(**_settings(training, out))
        last: Path = model.trainer.last
        _replace(last, done)
    checkpoint.unlink(missing_ok=True)
    return done


def _settings(training: YoloTraining, out: Path) -> dict[str, Any]:
    """For Ultralytics, in its words."""
    learning = training.learning
    return {
        **_FIXED,
        "data": str(training.dataset),
        "pretrained": training.start is not None,  # else it would not take over the weights it is given
        "project": str(out.resolve()),
        "name": "run",
        "imgsz": training.side_px,
        "device": training.device,
        "epochs": learning.epochs,
        "batch": learning.batch,
        "nbs": learning.batch,  # every batch is a step
        "lr0": learning.learning_rate,
        "warmup_epochs": learning.warm_up_epochs,
        "mosaic": learning.mosaic,
        "close_mosaic": learning.close_mosaic,
        "scale": learning.scale,
        "seed": learning.seed,
    }


def _start(training: YoloTraining, out: Path) -> str | Path:
    """What Ultralytics begins with: the name of an architecture, or a file of its own kind."""
    name = f"{training.architecture}.yaml"
    if training.start is None:
        _check_architecture(name)
        return name
    kind = "segment" if training.architecture.endswith("-seg") else "detect"
    network = load_task_network(str(training.start), kind=kind, where="start_from")
    if network.kind != kind:
        raise WeightsError(
            f"start_from: {training.start}: made for the task {network.kind}; expected weights for {kind}"
        )
    model = ultralytics().YOLO(name)
    model.model = network.module.requires_grad_(True)
    path = out / "start.pt"
    model.save(path)
    return path


def _check_architecture(name: str) -> None:
    try:
        ultralytics().YOLO(name)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise UsageError(
            f"architecture: Ultralytics knows no {name.removesuffix('.yaml')!r}; "
            "expected one such as yolov8n-seg or yolov8s-seg"
        ) from error


def _follow(
    model: Any, training: YoloTraining, checkpoint: Path, on_epoch: Callable[[EpochReport], None]
) -> None:
    """Have Ultralytics call us at the points that matter."""
    began_s, told = time.monotonic(), 0

    def start(trainer: Any) -> None:
        torch.set_num_threads(training.threads or os.cpu_count() or 1)
        if training.precision == "bfloat16":
            _in_bfloat16(trainer)

    def beside(trainer: Any) -> None:
        trainer.args.workers = training.loaders  # which Ultralytics sets to 0 on a CPU

    def keep(trainer: Any) -> None:
        if trainer.epoch + 1 < trainer.epochs:  # from a finished one it could not go on
            _replace(trainer.last, checkpoint)

    def tell(trainer: Any) -> None:
        nonlocal began_s, told
        if not told <= trainer.epoch < trainer.epochs:  # called once more when all is done
            return
        told, now_s = trainer.epoch + 1, time.monotonic()
        losses = {name.removesuffix("_loss"): float(loss) for name, loss in (trainer.tloss or {}).items()}
        report = EpochReport(
            epoch=trainer.epoch + 1, epochs=trainer.epochs, losses=losses, seconds=now_s - began_s
        )
        began_s = now_s
        on_epoch(report)

    model.add_callback("on_pretrain_routine_start", beside)
    model.add_callback("on_train_start", start)
    model.add_callback("on_model_save", keep)
    model.add_callback("on_fit_epoch_end", tell)


def _in_bfloat16(trainer: Any) -> None:
    """Compute the layers in bfloat16, three times as fast on a CPU with AMX; the losses stay float32.

    Ultralytics does so on CUDA alone. The average of the weights is a copy made before, so that what it
    writes to disk is its own class still.
    """
    # Channels last: a quarter less time a step on a CPU with AMX.
    model = trainer.model.to(memory_format=torch.channels_last)
    forward = model.predict

    def predict(images: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(trainer.device.type, torch.bfloat16):
            predictions = forward(images, *args, **kwargs)
        return _float32(predictions)

    model.predict = predict


def _float32(values: Any) -> Any:
    if isinstance(values, torch.Tensor):
        return values.float() if values.is_floating_point() else values
    if isinstance(values, dict):
        return {key: _float32(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return type(values)(_float32(value) for value in values)
    return values


def _replace(source: Path, target: Path) -> None:
    """Copy in one step: Ultralytics writes over its own file."""
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)


def _font() -> None:
    """Lay a font where Ultralytics looks for one: it would fetch it, though nothing is drawn."""
    folder = Path(os.environ["YOLO_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    font = folder / "Arial.ttf"
    if not font.exists():
        shutil.copyfile(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", font)
