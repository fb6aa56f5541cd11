"""The two networks of a training, each with its optimizer and its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from streamfuse.config.training import Semantic, TrainConfig
from streamfuse.engine.store import resolve
from streamfuse.engine.weights import load_network
from streamfuse.errors import UsageError
from streamfuse.jobs.training.crops import Batch, generator
from streamfuse.nets.color import ycrcb_to_rgb
from streamfuse.nets.losses import LossWeights, fusion_loss
from streamfuse.nets.registry import build, network_spec
from streamfuse.nets.segmentation import BilateralAttentionNet
from streamfuse.nets.semantic_loss import IGNORED, SemanticLoss, semantic_loss

__all__ = ["FusionLearner", "Losses", "SegmentationLearner", "Views", "views_of"]

_JITTER = 2
"""Purpose of the random numbers of the colour jitter; crops have 0 and 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Views:
    """A batch on the device; images are (B, 1, H, W) float32 in 0..1."""

    visible: Tensor
    infrared: Tensor
    cr: Tensor | None = None
    """Colour differences, 0.5 = none; with labels."""
    cb: Tensor | None = None
    labels: Tensor | None = None
    """(B, H, W) int64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Losses:
    """The loss to go down and the terms it is made of; scalars (shape ())."""

    total: Tensor
    terms: Mapping[str, Tensor]

    def values(self) -> dict[str, float]:
        """Everything by name, as plain numbers."""
        every = {"total": self.total, **self.terms}
        together = torch.stack([term.detach() for term in every.values()]).tolist()  # one wait for a GPU
        return dict(zip(every, together, strict=True))


def views_of(batch: Batch, device: str) -> Views:
    """Bring a batch to a device."""
    planes = torch.from_numpy(batch.planes).to(device)
    images = [planes[:, index : index + 1] / 255 for index in range(min(4, planes.shape[1]))]
    visible, infrared = (image.contiguous(memory_format=torch.channels_last) for image in images[:2])
    if len(images) == 2:
        return Views(visible=visible, infrared=infrared)
    cr, cb = (image + (0.5 - 128 / 255) for image in images[2:])  # level 128 is exactly no colour
    return Views(visible=visible, infrared=infrared, cr=cr, cb=cb, labels=planes[:, 4].long())


class FusionLearner:
    """The fusion network, and Adam.

    Raises:
        UsageError: the model fuses RGB, or ``freeze`` names no part of it.
        WeightsError: ``start_from`` cannot be used.
    """

    def __init__(self, config: TrainConfig) -> None:
        if network_spec(config.model).visible_channels != 1:
            raise UsageError(
                f"`model: {config.model}` fuses RGB; only a network that fuses luma can be trained here"
            )
        self._config = config
        self._weights = LossWeights(**config.loss.model_dump())
        self.start(1)

    def start(self, number: int) -> None:
        """Begin anew with the weights and the optimizer of a round."""
        config = self._config
        if config.start_from is None:
            network = _seeded(partial(build, config.model), config.seed + number - 1)
        else:
            network = load_network(resolve(config.start_from, model=config.model))
        self.network = _placed(network, config.device)
        _freeze(self.network, config.freeze)
        self.optimizer = torch.optim.Adam(
            [parameter for parameter in self.network.parameters() if parameter.requires_grad],
            lr=config.learning_rate,
            betas=(config.adam.beta1, config.adam.beta2),
            weight_decay=config.adam.weight_decay,
        )

    def fuse(self, views: Views, *, precision: str) -> Tensor:
        """Fused luma, (B, 1, H, W) float32 in 0..1."""
        with _autocast(views, precision):
            fused: Tensor = self.network(views.visible, views.infrared)
        return fused.float()

    def loss(
        self, views: Views, *, precision: str, judge: SegmentationLearner | None = None, beta: float = 0.0
    ) -> Losses:
        """Content loss, plus beta times the semantic loss of a judge."""
        fused = self.fuse(views, precision=precision)
        content = fusion_loss(fused, views.visible, views.infrared, weights=self._weights)
        if judge is None or not beta:
            return Losses(total=content.total, terms=content.terms)
        semantic = judge.judge(views, fused, precision=precision).total
        return Losses(total=content.total + beta * semantic, terms={**content.terms, "semantic": semantic})

    def update(self, losses: Losses, rate: float) -> None:
        """One step down the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        _descend(self.optimizer, losses)


class SegmentationLearner:
    """The segmentation network, and stochastic gradient descent."""

    def __init__(self, config: TrainConfig, semantic: Semantic) -> None:
        self._config = config
        self._semantic = semantic
        network = _seeded(partial(BilateralAttentionNet, len(semantic.classes)), config.seed)
        self.network = _placed(network, config.device)
        self.start()

    def start(self) -> None:
        """Begin with an optimizer without momentum."""
        settings = self._semantic.segmentation
        self.optimizer = torch.optim.SGD(
            _groups(self.network, head_rate=settings.head_rate, decay_all=settings.decay_all),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )

    def learning(self, on: bool) -> None:
        """Be trained, or judge: then nothing of it changes, but gradients flow through it."""
        self.network.train(on).requires_grad_(on)

    def judge(self, views: Views, fused: Tensor, *, precision: str) -> SemanticLoss:
        """Loss of the labels in the fused images; pairs without labels cost nothing and count nothing."""
        assert views.labels is not None, "a joint training draws labelled crops"
        known = (views.labels != IGNORED).flatten(1).any(dim=1)
        rgb = _colored(views, fused)
        return self._understood(
            rgb[known], views.labels[known], auxiliary=self._semantic.auxiliary, precision=precision
        )

    def loss(self, views: Views, fused: Tensor, *, step: int, precision: str) -> Losses:
        """Loss of one of its own steps, on images that the fusion network made."""
        assert views.labels is not None, "a joint training draws labelled crops"
        settings, config = self._semantic.segmentation, self._config
        rgb = _colored(views, fused)
        if settings.stretch:
            low, high = rgb.min(), rgb.max()
            rgb = ((rgb - low) / (high - low).clamp_min(1e-6) * 255).floor() / 255
        if settings.jitter:
            rng = generator(config.seed, step, purpose=_JITTER)
            rgb = _jittered(rgb, settings.jitter, rng)
        size = settings.crop or config.crop
        rgb, labels = _resized(rgb, views.labels, size)
        heads = self._understood(rgb, labels, auxiliary=settings.auxiliary, precision=precision)
        return Losses(total=heads.total, terms={"main": heads.main, "auxiliary": heads.auxiliary})

    def update(self, losses: Losses, rate: float) -> None:
        """One step down the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["faster"]
        _descend(self.optimizer, losses)

    def _understood(self, rgb: Tensor, labels: Tensor, *, auxiliary: float, precision: str) -> SemanticLoss:
        if not len(rgb):
            nothing = rgb.sum()
            return SemanticLoss(total=nothing, main=nothing, auxiliary=nothing)
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            main, second = self.network(rgb.contiguous(memory_format=torch.channels_last))
        hard = self._semantic.cross_entropy == "hard"
        return semantic_loss((main.float(), second.float()), labels, auxiliary_weight=auxiliary, hard=hard)


def _colored(views: Views, fused: Tensor) -> Tensor:
    """Fused luma in the colours of the visible image, (B, 3, H, W) in 0..1."""
    assert views.cr is not None, "colour comes with labels"
    assert views.cb is not None, "colour comes with labels"
    return ycrcb_to_rgb(fused, views.cr, views.cb).clamp(0.0, 1.0)


def _jittered(rgb: Tensor, most: float, rng: np.random.Generator) -> Tensor:
    """Brightness, then contrast, then saturation of each image changed by a random factor."""
    factors = torch.from_numpy(rng.uniform(1 - most, 1 + most, (3, len(rgb), 1, 1, 1))).to(rgb)
    rgb = (rgb * factors[0]).clamp(0, 1)
    mean = rgb.mean(dim=(1, 2, 3), keepdim=True)
    rgb = (mean + (rgb - mean) * factors[1]).clamp(0, 1)
    gray = rgb.mean(dim=1, keepdim=True)
    return (gray + (rgb - gray) * factors[2]).clamp(0, 1)


def _resized(rgb: Tensor, labels: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Images and labels brought to ``size`` pixels, if they are not."""
    if rgb.shape[-1] == size:
        return rgb, labels
    rgb = nn.functional.interpolate(rgb, (size, size), mode="bilinear", align_corners=False)
    nearest = nn.functional.interpolate(labels[:, None].float(), (size, size), mode="nearest-exact")
    return rgb, nearest[:, 0].long()


def _descend(optimizer: torch.optim.Optimizer, losses: Losses) -> None:
    optimizer.zero_grad()
    losses.total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimizer.step()


def _autocast(views: Views, precision: str) -> torch.autocast:
    return torch.autocast(views.visible.device.type, torch.bfloat16, enabled=precision == "bfloat16")


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A module whose fresh weights the seed gives, whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def _placed(network: nn.Module, device: str) -> nn.Module:
    # Channels last halves the time of a step on a CPU with matrix units.
    return network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload, no-any-return]


def _freeze(network: nn.Module, parts: tuple[str, ...]) -> None:
    """Keep parameters as they are whose dotted name has one of these parts."""
    names = {part for name, _ in network.named_parameters() for part in name.split(".")}
    unknown = sorted(set(parts) - names)
    if unknown:
        known = ", ".join(sorted(name for name in names if not name.isdigit()))
        raise UsageError(f"`freeze` names {unknown[0]!r}, which is no part of the model; parts are: {known}")
    for name, parameter in network.named_parameters():
        if set(parts) & set(name.split(".")):
            parameter.requires_grad_(False)


def _groups(network: nn.Module, *, head_rate: float, decay_all: bool) -> list[dict[str, Any]]:
    """Parameters by how they are trained: heads faster, vectors (as in normalisations) maybe not decayed."""
    heads = {id(parameter) for parameter in network.head_parameters()}  # type: ignore[operator]
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        plain = parameter.ndim > 1 or decay_all
        groups.setdefault((id(parameter) in heads, plain), []).append(parameter)
    return [
        {"params": parameters, "faster": head_rate if is_head else 1.0}
        | ({} if plain else {"weight_decay": 0.0})
        for (is_head, plain), parameters in groups.items()
    ]
