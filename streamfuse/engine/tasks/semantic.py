"""A class for every pixel of the fused image, by the segmentation network of a joint training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamfuse.core.masks import encode_mask
from streamfuse.engine.store import locate, verify
from streamfuse.engine.weights import load_state
from streamfuse.errors import WeightsError
from streamfuse.frames import ClassArea
from streamfuse.nets.segmentation import BilateralAttentionNet

__all__ = ["ARCHITECTURE", "SemanticNetwork", "areas_of", "load_semantic_network"]

ARCHITECTURE: Final = "banet"
"""What a card calls the network."""

_BACKGROUND: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SemanticNetwork:
    """A segmentation network with the names of what it sees.

    Raises:
        ValueError: fewer than two classes.
    """

    module: BilateralAttentionNet
    """Eval; float32 and on the CPU as it is loaded, wherever the caller moves it."""
    names: tuple[str, ...]
    """By class id, the background first."""
    sha256: str
    """Of the file: what a cache knows it by."""
    title: str
    """For messages."""

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError(f"expected the background and at least one class, got {self.names}")

    def labels(self, rgb: Tensor) -> Tensor:
        """The class of every pixel.

        Args:
            rgb: (B, 3, H, W) floating point in 0..1, of the module's device and dtype; any H and W.

        Returns:
            (B, H, W) uint8 class ids, on the same device.
        """
        with torch.inference_mode():
            scores, _ = self.module(rgb)
            return scores.argmax(dim=1).to(torch.uint8)  # type: ignore[no-any-return]  # of a torch module

    def areas(self, rgb: Tensor) -> list[tuple[ClassArea, ...]]:
        """What :meth:`labels` finds, for each image of the batch; on the host."""
        return [areas_of(labels, self.names) for labels in self.labels(rgb).cpu().numpy()]


def areas_of(labels: npt.NDArray[np.uint8], names: Sequence[str]) -> tuple[ClassArea, ...]:
    """The areas of a label map, in the order of the classes; without the background and what is not there.

    Args:
        labels: HxW class ids.
        names: by class id, the background first.
    """
    pixels = np.bincount(labels.ravel(), minlength=len(names))
    return tuple(
        ClassArea(
            class_name=names[class_id],
            share=float(pixels[class_id] / labels.size),
            mask_rle=encode_mask(labels == class_id),
        )
        for class_id in np.flatnonzero(pixels).tolist()
        if class_id != _BACKGROUND
    )


def load_semantic_network(weights: str, *, where: str) -> SemanticNetwork:
    """Read the segmentation network that a joint training made.

    Args:
        weights: a path ending in ``.safetensors``, or a name of the weights store.
        where: begins every message: ``tasks.semantic.weights`` or ``--weights``.

    Raises:
        WeightsError: the file is missing, damaged or of another network, or its card names no classes.
    """
    try:
        return _read(weights)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from error


def _read(weights: str) -> SemanticNetwork:
    if weights == "default":
        raise WeightsError(
            "no semantic segmentation is shipped; name the NAME-segmentation.safetensors that a joint "
            "`streamfuse train fusion` made"
        )
    found = verify(locate(weights, default=""))
    card = found.card
    if card.architecture != ARCHITECTURE:
        raise WeightsError(
            f"{found.path} holds weights of {card.architecture!r}; expected {ARCHITECTURE!r}, the "
            "segmentation network of a joint training"
        )
    if len(card.classes) < 2:
        raise WeightsError(f"{found.path}: its card lacks `classes`, the names by class id; add them there")
    module = BilateralAttentionNet(len(card.classes))
    try:
        module.load_state_dict(load_state(found))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{found.path} does not fit its card: {reason}") from error
    return SemanticNetwork(
        module=module.eval().requires_grad_(False), names=card.classes, sha256=card.sha256, title=card.name
    )
