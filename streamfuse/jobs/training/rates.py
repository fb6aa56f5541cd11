"""Learning rates, each a pure function of the configuration and the number of steps of its kind done."""

from __future__ import annotations

import math

from streamfuse.config.training import Segmentation, TrainConfig
from streamfuse.jobs.training.plan import Kind, Stage

__all__ = ["fusion_rate", "learning_rate", "segmentation_rate"]

_WARM_UP = 0.1
"""Share of a cycle in which the learning rate rises."""
_START = 1 / 25
_END = 1e-4
"""Learning rate at the start and at the end of a cycle, relative to the highest."""


def learning_rate(config: TrainConfig, stage: Stage, step: int) -> float:
    """Of step number ``step`` of the run, which is one of ``stage``."""
    of_kind = stage.before + step - stage.first
    if stage.kind is Kind.FUSION:
        return fusion_rate(config, of_kind)
    assert config.semantic is not None, "only a joint training has segmentation steps"
    return segmentation_rate(config.semantic.segmentation, of_kind, rounds=config.semantic.rounds)


def fusion_rate(config: TrainConfig, step: int) -> float:
    """Of the fusion network at its step number ``step`` of the run, from 0.

    ``one-cycle`` rises along a half cosine in a tenth of the steps, then falls along another; ``staircase``
    falls by ``decay`` every ``decay_every`` steps; ``constant`` stays. Where each round begins with a fresh
    network, each begins the schedule anew.
    """
    steps = config.steps
    if config.semantic is not None and config.semantic.fusion_network == "fresh":
        step %= steps
    elif config.semantic is not None:
        steps *= config.semantic.rounds
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "staircase":
        return config.learning_rate * float(config.decay ** (step // config.decay_every))
    return config.learning_rate * _cycle(step, steps)


def segmentation_rate(settings: Segmentation, step: int, *, rounds: int) -> float:
    """Of the segmentation network (its heads apart) at its step number ``step`` of the run, from 0."""
    if step < settings.warm_up_steps:
        share = step / settings.warm_up_steps
        return float(settings.warm_up_from * (settings.learning_rate / settings.warm_up_from) ** share)
    steps = settings.pretrain_steps + rounds * settings.steps
    left = (steps - step) / max(1, steps - settings.warm_up_steps)
    return float(settings.learning_rate * left**settings.power)


def _cycle(step: int, steps: int) -> float:
    """Share of the highest rate."""
    peak = max(1.0, _WARM_UP * steps)
    if step < peak:
        low, share = _START, step / peak
    else:
        low, share = _END, 1 - (step - peak) / max(1.0, steps - peak)
    return low + (1 - low) * (1 - math.cos(math.pi * share)) / 2
