"""Where a training run stands, as the content of a file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from streamfuse.config.training import TrainConfig
from streamfuse.engine.weights import read_torch_file
from streamfuse.errors import UsageError, WeightsError
from streamfuse.jobs.training.plan import Kind

__all__ = ["Learner", "encode_checkpoint", "load_checkpoint"]


class Learner(Protocol):
    """A network in training: all of its state is in these two."""

    @property
    def network(self) -> nn.Module:
        """Weights and buffers."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Its moments."""


def encode_checkpoint(config: TrainConfig, *, step: int, learners: Mapping[Kind, Learner]) -> bytes:
    """Everything that the next steps depend on, as the content of a file.

    Args:
        config: of the run; only the same run may resume.
        step: how many steps are done.
        learners: by what they train; weights, buffers and moments of each are stored.
    """
    buffer = io.BytesIO()
    states = {
        kind.value: {"network": learner.network.state_dict(), "optimizer": learner.optimizer.state_dict()}
        for kind, learner in learners.items()
    }
    torch.save({"run": _fingerprint(config), "step": step, "learners": states}, buffer)
    return buffer.getvalue()


def load_checkpoint(path: Path, config: TrainConfig, *, learners: Mapping[Kind, Learner]) -> int:
    """Put the learners where the checkpoint left them.

    Returns:
        How many steps are done; 0 when there is no checkpoint.

    Raises:
        WeightsError: the file cannot be read, is no checkpoint, or is one of other networks.
        UsageError: it belongs to a run with another configuration.
    """
    if not path.exists():
        return 0
    content: Any = read_torch_file(path, device=config.device)
    if not isinstance(content, dict) or set(content) != {"run", "step", "learners"}:
        raise WeightsError(
            f"{path} is no checkpoint of this version's training; choose another output folder or remove it"
        )
    if content["run"] != _fingerprint(config):
        raise UsageError(
            f"{path} belongs to a run with another configuration; choose another output folder or remove it"
        )
    try:
        for kind, learner in learners.items():
            learner.network.load_state_dict(content["learners"][kind.value]["network"])
            learner.optimizer.load_state_dict(content["learners"][kind.value]["optimizer"])
    except (RuntimeError, LookupError, TypeError, ValueError) as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(
            f"{path} does not fit the networks of this run ({first}); choose another output folder "
            "or remove it"
        ) from error
    return int(content["step"])


def _fingerprint(config: TrainConfig) -> str:
    """Identity of a run: all of its configuration that the result is meant to depend on."""
    decisive = config.model_dump_json(exclude={"device", "threads", "checkpoint_every"})
    return hashlib.sha256(decisive.encode()).hexdigest()
