"""Trains a fusion network by its content loss: no labels, only registered pairs.

Every random choice is a pure function of the seed and the step, and the learning rate one of the step. So
network, optimizer and step number are the whole state: a run killed at any moment and started again ends
with the weights of a run that was never killed (same machine, same number of threads).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from streamfuse.config.training import PairFolder, TrainConfig
from streamfuse.engine.weights import WeightsFile, write_weights
from streamfuse.errors import MachineError, PromiseError, UsageError
from streamfuse.jobs.training.checkpoint import load_checkpoint, save_checkpoint
from streamfuse.jobs.training.dataset import Pair, draw_batch, load_pairs
from streamfuse.jobs.training.losslog import LossLog
from streamfuse.nets.losses import FusionLoss, LossWeights, fusion_loss
from streamfuse.nets.registry import build, network_spec

__all__ = ["TrainProgress", "TrainResult", "learning_rate_at", "train_fusion"]

_WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""
_START = 1 / 25
_END = 1e-4
"""Learning rate at the start and at the end, relative to the highest."""
_VALIDATION_BATCHES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainProgress:
    """Told after every step."""

    step: int
    """Steps done."""
    steps: int
    """Steps in all."""
    learning_rate: float
    losses: Mapping[str, float]
    """``total`` and each term; ``validation`` is added at checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a finished run made."""

    weights: WeightsFile
    validation: float | None
    """Total loss on crops of the validation pairs; None without such pairs."""


def train_fusion(
    config: TrainConfig,
    *,
    out_dir: Path,
    made_by: str = "streamfuse train fusion",
    on_progress: Callable[[TrainProgress], None] = lambda _: None,
) -> TrainResult:
    """Train, or go on where a run in ``out_dir`` stopped.

    ``out_dir`` gets ``checkpoint.pt``, ``losses.jsonl``, an event file for TensorBoard and, at the end,
    ``NAME.safetensors`` with its card.

    Args:
        config: the run.
        out_dir: made when missing.
        made_by: the command, for the card.
        on_progress: called after every step in this thread.

    Raises:
        SourceError: training data cannot be read.
        OutputError: ``out_dir`` cannot be written.
        UsageError: ``out_dir`` holds a run of another configuration, or the model does not fuse luma.
        MachineError: the device is missing.
        PromiseError: the loss became infinite or not a number; the last good checkpoint is kept.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    run = _Run(config, out_dir)
    with LossLog(out_dir, done=run.done) as log:
        while run.done < config.steps:
            losses = run.step()
            log.write(run.done, losses)
            rate = learning_rate_at(run.done - 1, config)
            on_progress(TrainProgress(step=run.done, steps=config.steps, learning_rate=rate, losses=losses))
    return run.finish(made_by)


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """One cycle: up along a half cosine in a tenth of the steps, then down along another; steps from 0."""
    peak = max(1.0, _WARM_UP * config.steps)
    if step < peak:
        low, share = _START, step / peak
    else:
        low, share = _END, 1 - (step - peak) / max(1.0, config.steps - peak)
    return config.learning_rate * (low + (1 - low) * (1 - math.cos(math.pi * share)) / 2)


class _Run:
    """Network, optimizer, data and the number of steps done."""

    def __init__(self, config: TrainConfig, out_dir: Path) -> None:
        self._config = config
        self._out_dir = out_dir
        self._pairs = _load(config.train, config.crop)
        self._validation = _load(config.validate_on, config.crop)
        self._network = _fresh_network(config)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=config.learning_rate)
        self._checkpoint = out_dir / "checkpoint.pt"
        self.done = load_checkpoint(
            self._checkpoint, config, network=self._network, optimizer=self._optimizer
        )
        self._saved = self.done

    def step(self) -> dict[str, float]:
        """Do one step; its losses.

        A checkpoint is written here, after the loss of its weights was seen to be finite and before they
        change, so that every checkpoint is a good one.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(self.done, self._config)
        loss = self._loss(self._pairs, self.done, precision=self._config.precision)
        self._check_finite(loss)
        if self.done % self._config.checkpoint_every == 0:
            self._save()
        self._optimizer.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()
        self.done += 1
        losses = loss.values()
        if self.done % self._config.checkpoint_every == 0 or self.done == self._config.steps:
            validation = self._validation_loss()
            if validation is not None:
                losses["validation"] = validation
        return losses

    def finish(self, made_by: str) -> TrainResult:
        """Write the weights and their card."""
        with torch.inference_mode():
            self._check_finite(self._loss(self._pairs, self.done, precision="float32"))
        self._save()
        validation = self._validation_loss()
        config = self._config
        weights = write_weights(
            self._out_dir / f"{config.name}.safetensors",
            {key: tensor.cpu().contiguous() for key, tensor in self._network.state_dict().items()},
            architecture=config.model,
            data=self._about_data(),
            licence=config.licence,
            made_by=made_by,
            source=f"fresh weights, seed {config.seed}; {config.steps} steps of {config.batch} crops "
            f"of {config.crop} px; loss {config.loss}",
            metrics={} if validation is None else {"validation crops": {"loss": validation}},
        )
        return TrainResult(weights=weights, validation=validation)

    def _loss(self, pairs: Sequence[Pair], index: int, *, precision: str) -> FusionLoss:
        """Loss of the batch that belongs to ``index``."""
        config = self._config
        batch = draw_batch(pairs, seed=config.seed, step=index, batch=config.batch, crop=config.crop)
        visible, infrared = (_to_device(plane, config.device) for plane in batch)
        with torch.autocast(visible.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            fused = self._network(visible, infrared)
        return fusion_loss(fused.float(), visible, infrared, weights=LossWeights(**config.loss.model_dump()))

    def _validation_loss(self) -> float | None:
        """Mean total loss on crops that are the same at every call; None without validation pairs."""
        if not self._validation:
            return None
        with torch.inference_mode():
            batches = range(_VALIDATION_BATCHES)
            losses = [self._loss(self._validation, index, precision="float32").total for index in batches]
        return float(torch.stack(losses).mean())

    def _save(self) -> None:
        save_checkpoint(
            self._checkpoint, self._config, step=self.done, network=self._network, optimizer=self._optimizer
        )
        self._saved = self.done

    def _check_finite(self, loss: FusionLoss) -> None:
        if not torch.isfinite(loss.total):
            raise PromiseError(
                f"the loss after {self.done} steps is no finite number; {self._checkpoint} holds the good "
                f"state after step {self._saved}; lower `learning_rate` and train into another folder"
            )

    def _about_data(self) -> str:
        """Which pairs were trained on, for the card."""
        folders = ", ".join(folder.title or folder.path.name for folder in self._config.train)
        return f"{len(self._pairs)} pairs of {folders}"


def _fresh_network(config: TrainConfig) -> nn.Module:
    """The network with the weights that the seed gives, on the device."""
    if network_spec(config.model).visible_channels != 1:
        raise UsageError(
            f"`model: {config.model}` fuses RGB; only a network that fuses luma can be trained here"
        )
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise MachineError("`device` is cuda, but torch finds no CUDA device; set `device: cpu`")
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build(config.model)
    # Channels last halves the time of a step on a CPU with matrix units.
    return network.to(config.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload, no-any-return]


def _to_device(plane: object, device: str) -> Tensor:
    return torch.as_tensor(plane).to(device, memory_format=torch.channels_last)


def _load(folders: Sequence[PairFolder], crop: int) -> list[Pair]:
    return [pair for folder in folders for pair in load_pairs(folder, min_side=crop)]
