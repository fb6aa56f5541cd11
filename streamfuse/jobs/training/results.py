"""The weights that a finished run leaves, and what their cards say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from streamfuse.config.training import TrainConfig
from streamfuse.engine.store import WeightsFile, resolve
from streamfuse.engine.tasks.semantic import ARCHITECTURE
from streamfuse.engine.weights import write_weights
from streamfuse.jobs.training.plan import Kind, plan_of

__all__ = ["write_results"]


def write_results(
    out_dir: Path,
    config: TrainConfig,
    *,
    made_by: str,
    data: str,
    networks: Mapping[Kind, nn.Module],
    validation: Mapping[str, float],
) -> dict[Kind, WeightsFile]:
    """Write the weights of every network with its card.

    Args:
        out_dir: gets ``NAME.safetensors`` and, of a joint run, ``NAME-segmentation.safetensors``.
        config: of the run.
        made_by: the command.
        data: what was trained on.
        networks: by what they do.
        validation: losses on validation crops.

    Raises:
        OutputError: the folder cannot be written.
    """
    metrics = {"validation crops": dict(validation)} if validation else {}
    made = {}
    for kind, network in networks.items():
        of_fusion = kind is Kind.FUSION
        made[kind] = write_weights(
            out_dir / f"{config.name}{'' if of_fusion else '-segmentation'}.safetensors",
            _state(network),
            architecture=config.model if of_fusion else ARCHITECTURE,
            data=data if of_fusion else f"{data}; classes {_classes(config)}",
            licence=config.licence,
            made_by=made_by,
            source=_fusion_source(config) if of_fusion else _segmentation_source(config),
            metrics=metrics,
            classes=() if of_fusion or config.semantic is None else config.semantic.classes,
        )
    return made


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.cpu().contiguous() for key, tensor in network.state_dict().items()}


def _fusion_source(config: TrainConfig) -> str:
    """What the fusion network began with, and what it was trained by."""
    steps = f"{config.steps} steps of {config.batch} crops of {config.crop} px"
    parts = [_start(config), steps, f"loss {config.loss}"]
    if config.freeze:
        parts.insert(1, f"not trained: {', '.join(config.freeze)}")
    semantic = config.semantic
    if semantic is not None:
        betas = ", ".join(f"{stage.beta:g}" for stage in plan_of(config).stages if stage.kind is Kind.FUSION)
        parts.append(
            f"{semantic.rounds} rounds, each with as many steps, then {semantic.segmentation.steps} of a "
            f"segmentation network whose loss counts {betas}; network {semantic.fusion_network} in each round"
        )
    return "; ".join(parts)


def _start(config: TrainConfig) -> str:
    if config.start_from is None:
        return f"fresh weights, seed {config.seed}"
    card = resolve(config.start_from, model=config.model).card
    return f"weights {card.name} (sha256 {card.sha256[:12]}…), seed {config.seed}"


def _segmentation_source(config: TrainConfig) -> str:
    assert config.semantic is not None, "only a joint run trains a segmentation network"
    settings = config.semantic.segmentation
    return (
        f"fresh weights, seed {config.seed}; trained on what {config.name} fused in each round: "
        f"{config.semantic.rounds} rounds of {settings.steps} steps of {settings.batch} crops of "
        f"{settings.crop or config.crop} px, {config.semantic.cross_entropy} cross entropy"
    )


def _classes(config: TrainConfig) -> str:
    return "" if config.semantic is None else ", ".join(config.semantic.classes)
