"""The order of a training: which step belongs to which stage of which round.

A training by content loss is one stage of fusion steps. A joint training has M rounds, each of p fusion
steps and then q segmentation steps (Tang et al. 2022, algorithm 1). The number of steps done tells
everything, so it is all that a checkpoint must remember of the order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from streamfuse.config.training import Semantic, TrainConfig

__all__ = ["Kind", "Plan", "Stage", "plan_of"]


class Kind(StrEnum):
    """What a step trains; the other network stays as it is."""

    FUSION = "fusion"
    SEGMENTATION = "segmentation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Consecutive steps of one kind."""

    kind: Kind
    round: int
    """From 1; 0 is the training of the segmentation network before the first round."""
    first: int
    """Steps of the run before this stage."""
    steps: int
    before: int
    """Steps of this kind before this stage."""
    beta: float = 0.0
    """How much the semantic loss counts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All stages in their order."""

    stages: tuple[Stage, ...]

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.stages[-1].first + self.stages[-1].steps

    @property
    def rounds(self) -> int:
        """How many there are."""
        return self.stages[-1].round

    def stage_of(self, step: int) -> Stage:
        """The stage of a step, counted from 0; of the step after the last, the last stage."""
        return next(stage for stage in reversed(self.stages) if stage.first <= step)

    def left(self, done: int) -> dict[Kind, int]:
        """Steps of each kind that are still to do when ``done`` are done."""
        left = dict.fromkeys(Kind, 0)
        for stage in self.stages:
            left[stage.kind] += min(stage.steps, max(0, stage.first + stage.steps - done))
        return left


def plan_of(config: TrainConfig) -> Plan:
    """The stages of a run; stages without steps are left out."""
    stages: list[Stage] = []
    before = dict.fromkeys(Kind, 0)
    for kind, number, steps, beta in _wanted(config):
        if steps:
            first = sum(before.values())
            stages.append(
                Stage(kind=kind, round=number, first=first, steps=steps, before=before[kind], beta=beta)
            )
            before[kind] += steps
    return Plan(tuple(stages))


def _wanted(config: TrainConfig) -> Iterator[tuple[Kind, int, int, float]]:
    """Kind, round, steps and beta of each stage."""
    semantic = config.semantic
    if semantic is None:
        yield Kind.FUSION, 1, config.steps, 0.0
        return
    yield Kind.SEGMENTATION, 0, semantic.segmentation.pretrain_steps, 0.0
    for number in range(1, semantic.rounds + 1):
        yield Kind.FUSION, number, config.steps, _beta(semantic, number)
        yield Kind.SEGMENTATION, number, semantic.segmentation.steps, 0.0


def _beta(semantic: Semantic, number: int) -> float:
    """Weight of the semantic loss in a round."""
    return semantic.gamma * (number - 1) if semantic.beta is None else semantic.beta
