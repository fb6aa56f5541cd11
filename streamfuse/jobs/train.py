"""Trains a fusion network: by its content loss alone, or jointly with a segmentation network.

Every random choice is a pure function of the seed and the step, and so is the learning rate of the step. So
networks, optimizers and step number are the whole state: a run killed at any moment and started again ends
with the weights of a run that was never killed (same machine, same number of threads).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from streamfuse.config.training import TrainConfig
from streamfuse.engine.store import WeightsFile
from streamfuse.errors import MachineError
from streamfuse.jobs.training.curves import draw_curves
from streamfuse.jobs.training.losslog import LossLog
from streamfuse.jobs.training.plan import Kind
from streamfuse.jobs.training.results import write_results
from streamfuse.jobs.training.run import TrainingRun, TrainProgress

__all__ = ["TrainResult", "train_fusion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a finished run made."""

    weights: WeightsFile
    segmentation: WeightsFile | None
    """Of a joint training."""
    validation: Mapping[str, float]
    """Losses on crops of the validation pairs, by name; empty without such pairs."""


def train_fusion(
    config: TrainConfig,
    *,
    out_dir: Path,
    made_by: str = "streamfuse train fusion",
    on_progress: Callable[[TrainProgress], None] = lambda _: None,
    on_label: Callable[[str], None] = lambda _: None,
) -> TrainResult:
    """Train, or go on where a run in ``out_dir`` stopped.

    ``out_dir`` gets ``checkpoint.pt``, ``losses.jsonl``, ``losses.png``, an event file for TensorBoard, a
    folder ``labels`` when masks are made from boxes and, at the end, ``NAME.safetensors`` (after a joint
    training also ``NAME-segmentation.safetensors``) with its card.

    Args:
        config: the run.
        out_dir: made when missing.
        made_by: the command, for the card.
        on_progress: called after every step in this thread.
        on_label: told the name of each pair whose labels are about to be made from boxes.

    Raises:
        SourceError: training data or labels cannot be read.
        OutputError: ``out_dir`` cannot be written.
        UsageError: ``out_dir`` holds a run of another configuration, the model does not fuse luma, or
            ``freeze`` names no part of it.
        WeightsError: the checkpoint or ``start_from`` is damaged or does not fit.
        MachineError: the device is missing.
        PromiseError: the loss became infinite or not a number; the last good checkpoint is kept.
    """
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise MachineError("`device` is cuda, but torch finds no CUDA device; set `device: cpu`")
    if config.threads:
        torch.set_num_threads(config.threads)
    run = TrainingRun(config, out_dir, on_label)
    log_path = out_dir / "losses.jsonl"
    with LossLog(out_dir, done=run.done) as log, run.batches:
        while run.done < run.plan.steps:
            progress = run.step()
            log.write(progress.step, progress.losses, stage=progress.stage.kind, round=progress.stage.round)
            if progress.step % config.checkpoint_every == 0:
                draw_curves(log_path, out_dir / "losses.png")
            on_progress(progress)
        validation = run.finish()
    draw_curves(log_path, out_dir / "losses.png")
    return _written(run, made_by, validation)


def _written(run: TrainingRun, made_by: str, validation: Mapping[str, float]) -> TrainResult:
    """Weights and cards of a finished run."""
    made = write_results(
        run.out_dir,
        run.config,
        made_by=made_by,
        data=run.material.about,
        networks={kind: learner.network for kind, learner in run.learners.items()},
        validation=validation,
    )
    return TrainResult(
        weights=made[Kind.FUSION], segmentation=made.get(Kind.SEGMENTATION), validation=validation
    )
