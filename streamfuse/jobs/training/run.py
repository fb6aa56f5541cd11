"""A training at work: one step after the other, each from a state that can be stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from streamfuse.config.training import TrainConfig
from streamfuse.engine.weights import write_atomically
from streamfuse.errors import PromiseError
from streamfuse.jobs.training.ahead import Ahead
from streamfuse.jobs.training.checkpoint import Learner, encode_checkpoint, load_checkpoint
from streamfuse.jobs.training.crops import Batch
from streamfuse.jobs.training.learners import FusionLearner, Losses, SegmentationLearner, views_of
from streamfuse.jobs.training.material import Material
from streamfuse.jobs.training.plan import Kind, Stage, plan_of
from streamfuse.jobs.training.rates import learning_rate

__all__ = ["TrainProgress", "TrainingRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainProgress:
    """Told after every step."""

    step: int
    """Steps done."""
    steps: int
    """Steps in all."""
    stage: Stage
    """To which the step belonged."""
    rounds: int
    learning_rate: float
    losses: Mapping[str, float]
    """``total`` and each term; ``validation`` and ``validation_semantic`` are added at checkpoints."""
    left: Mapping[Kind, int]
    """Steps of each kind still to do."""


class TrainingRun:
    """Networks, data and the number of steps done; goes on where a checkpoint in ``out_dir`` stopped.

    ``batches`` is a context manager, to be held while steps are made.
    """

    def __init__(self, config: TrainConfig, out_dir: Path, on_label: Callable[[str], None]) -> None:
        self.config = config
        self.out_dir = out_dir
        self.plan = plan_of(config)
        self.fusion = FusionLearner(config)
        self.segmentation = None if config.semantic is None else SegmentationLearner(config, config.semantic)
        self._checkpoint = out_dir / "checkpoint.pt"
        self.done = load_checkpoint(self._checkpoint, config, learners=self.learners)
        self._saved = self.done
        self.material = Material(config, self.plan, cache_dir=out_dir / "labels", on_label=on_label)
        self.batches = Ahead(self.material.batch, steps=self.plan.steps)

    def step(self) -> TrainProgress:
        """Do one step.

        A checkpoint is written here: the state from before the forward pass (which moves the statistics of
        normalisations), once its loss was seen to be finite. So every checkpoint is a good one.
        """
        stage, batch = self._begin()
        state = self._state() if self.done % self.config.checkpoint_every == 0 else None
        losses = self._loss(stage, batch)
        values = self._finite(losses, batch)
        if state is not None:
            self._save(state)
        rate = learning_rate(self.config, stage, self.done)
        self._learner(stage).update(losses, rate)
        self.done += 1
        if self.done % self.config.checkpoint_every == 0 or self.done == self.plan.steps:
            values |= self._validation()
        return TrainProgress(
            step=self.done,
            steps=self.plan.steps,
            stage=stage,
            rounds=self.plan.rounds,
            learning_rate=rate,
            losses=values,
            left=self.plan.left(self.done),
        )

    def finish(self) -> dict[str, float]:
        """Make sure that the last step left good weights, and keep them; the validation losses."""
        batch = self.material.batch(self.done)
        with self._judging():
            self._finite(self._judged(batch), batch)
        self._save(self._state())
        return self._validation()

    def _begin(self) -> tuple[Stage, Batch]:
        """Stage and batch of the next step; at the first step of a stage, what the stage begins with."""
        stage = self.plan.stage_of(self.done)
        semantic = self.config.semantic
        if semantic is not None and self.segmentation is not None:
            at_start = self.done == stage.first
            learns = stage.kind is Kind.SEGMENTATION
            if at_start and learns and semantic.segmentation.restart_momentum:
                self.segmentation.start()
            if at_start and not learns and semantic.fusion_network == "fresh":
                self.fusion.start(stage.round)
            self.segmentation.learning(learns)
        return stage, self.batches.take(self.done)

    def _learner(self, stage: Stage) -> FusionLearner | SegmentationLearner:
        if stage.kind is Kind.SEGMENTATION and self.segmentation is not None:
            return self.segmentation
        return self.fusion

    def _loss(self, stage: Stage, batch: Batch) -> Losses:
        """Loss of the network that this stage trains."""
        views, precision = views_of(batch, self.config.device), self.config.precision
        if stage.kind is Kind.FUSION or self.segmentation is None:
            return self.fusion.loss(views, precision=precision, judge=self.segmentation, beta=stage.beta)
        with torch.no_grad():
            fused = self.fusion.fuse(views, precision=precision)
        return self.segmentation.loss(views, fused, step=self.done, precision=precision)

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Nothing is learnt in this block, not even the statistics of normalisations."""
        if self.segmentation is not None:
            self.segmentation.learning(False)
        with torch.inference_mode():
            yield

    def _judged(self, batch: Batch) -> Losses:
        """Losses of both networks in full precision."""
        return self.fusion.loss(
            views_of(batch, self.config.device), precision="float32", judge=self.segmentation, beta=1.0
        )

    def _validation(self) -> dict[str, float]:
        """Mean losses on crops that are the same at every call; empty without validation pairs."""
        with self._judging():
            judged = [self._judged(batch).values() for batch in self.material.validation]
        semantic = [values.get("semantic", 0.0) for values in judged]
        content = [values["total"] - values.get("semantic", 0.0) for values in judged]
        means = {"validation": content, "validation_semantic": semantic if any(semantic) else []}
        return {name: sum(values) / len(values) for name, values in means.items() if values}

    def _state(self) -> bytes:
        return encode_checkpoint(self.config, step=self.done, learners=self.learners)

    def _save(self, state: bytes) -> None:
        write_atomically(self._checkpoint, state)
        self._saved = self.done

    @property
    def learners(self) -> dict[Kind, Learner]:
        """Networks and optimizers by what they do."""
        if self.segmentation is None:
            return {Kind.FUSION: self.fusion}
        return {Kind.FUSION: self.fusion, Kind.SEGMENTATION: self.segmentation}

    def _finite(self, losses: Losses, batch: Batch) -> dict[str, float]:
        """The losses as numbers.

        Raises:
            PromiseError: one of them is none.
        """
        values = losses.values()
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if not wrong:
            return values
        raise PromiseError(
            f"the loss after {self.done} steps is no finite number ({', '.join(wrong)}); "
            f"{self._checkpoint} holds the good state after step {self._saved}; lower `learning_rate` and "
            f"train into another folder, or look at this batch: {', '.join(batch.places)}"
        )
