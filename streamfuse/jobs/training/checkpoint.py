"""Where a training run stands, on disk: written atomically, so that a kill leaves the old or the new one."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from streamfuse.config.training import TrainConfig
from streamfuse.engine.weights import read_torch_file, write_atomically
from streamfuse.errors import UsageError

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(
    path: Path, config: TrainConfig, *, step: int, network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Store everything that the next steps depend on.

    Args:
        path: file to replace.
        config: of the run; only the same run may resume.
        step: how many steps are done.
        network: its weights are stored.
        optimizer: its moments are stored.

    Raises:
        OutputError: the folder cannot be written.
    """
    buffer = io.BytesIO()
    content = {
        "run": _fingerprint(config),
        "step": step,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(
    path: Path, config: TrainConfig, *, network: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """Put network and optimizer where the checkpoint left them.

    Returns:
        How many steps are done; 0 when there is no checkpoint.

    Raises:
        WeightsError: the file cannot be read.
        UsageError: it belongs to a run with another configuration.
    """
    if not path.exists():
        return 0
    content: Any = read_torch_file(path, device=config.device)
    if content["run"] != _fingerprint(config):
        raise UsageError(
            f"{path} belongs to a run with another configuration; choose another output folder or remove it"
        )
    network.load_state_dict(content["network"])
    optimizer.load_state_dict(content["optimizer"])
    return int(content["step"])


def _fingerprint(config: TrainConfig) -> str:
    """Identity of a run: all of its configuration that the result is meant to depend on."""
    decisive = config.model_dump_json(exclude={"device", "threads", "checkpoint_every"})
    return hashlib.sha256(decisive.encode()).hexdigest()
