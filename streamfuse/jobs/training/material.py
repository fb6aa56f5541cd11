"""What a run learns from: its pairs, and the batch that belongs to each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from streamfuse.config.training import PairFolder, TrainConfig
from streamfuse.jobs.training.crops import Batch, Cut, draw_batch, generator
from streamfuse.jobs.training.dataset import Pair, load_pairs
from streamfuse.jobs.training.labels import labeller_for
from streamfuse.jobs.training.plan import Kind, Plan

__all__ = ["Material"]

_SEGMENTATION = 1
"""Purpose of the random numbers of segmentation steps; fusion steps have 0."""
_SCALE = 3
_VALIDATION_BATCHES = 4


class Material:
    """Pairs in memory and the crops drawn from them.

    Args:
        config: of the run.
        plan: of the run; says what each step is.
        cache_dir: for labels that are made from boxes.
        on_label: told the name of each pair whose labels are about to be made.

    Raises:
        SourceError: pairs or labels cannot be read, or are too small for the crops.
        OutputError: the labels cannot be kept.
    """

    def __init__(
        self, config: TrainConfig, plan: Plan, *, cache_dir: Path, on_label: Callable[[str], None]
    ) -> None:
        self._config = config
        self._plan = plan
        self._cache_dir = cache_dir
        self._on_label = on_label
        labelled = config.semantic is not None
        self._cut = Cut(
            batch=config.batch,
            crop=config.crop,
            labelled=labelled,
            near_objects=config.semantic.near_objects if config.semantic is not None else 0.0,
        )
        self._pairs = self._load(config.train)
        self._labelled = [pair for pair in self._pairs if pair.labels is not None]
        validation_pairs = self._load(config.validate_on)
        self.validation = [
            draw_batch(validation_pairs, self._cut, seed=config.seed, step=index)
            for index in range(_VALIDATION_BATCHES if validation_pairs else 0)
        ]
        """Crops to measure the loss on, the same for every run of one seed."""

    @property
    def about(self) -> str:
        """Which pairs are trained on, for the card."""
        folders = ", ".join(folder.title or folder.path.name for folder in self._config.train)
        labelled = f", {len(self._labelled)} of them labelled" if self._config.semantic is not None else ""
        return f"{len(self._pairs)} pairs of {folders}{labelled}"

    def batch(self, step: int) -> Batch:
        """The crops of a step; the same at every call."""
        stage, seed = self._plan.stage_of(step), self._config.seed
        of_kind = stage.before + step - stage.first
        if stage.kind is Kind.FUSION or self._config.semantic is None:
            return draw_batch(self._pairs, self._cut, seed=seed, step=of_kind)
        settings = self._config.semantic.segmentation
        scales = generator(seed, of_kind, purpose=_SCALE)
        window = _window(settings.crop or self._config.crop, float(scales.choice(settings.scales)))
        cut = replace(self._cut, batch=settings.batch, crop=window)
        return draw_batch(self._labelled, cut, seed=seed, step=of_kind, purpose=_SEGMENTATION)

    def _load(self, folders: Sequence[PairFolder]) -> list[Pair]:
        """All pairs of some folders, labelled where a joint run has labels for them."""
        semantic = self._config.semantic
        pairs: list[Pair] = []
        for folder in folders:
            labeller, side = None, self._config.crop
            if semantic is not None:
                labeller = labeller_for(
                    folder, classes=semantic.classes, cache_dir=self._cache_dir, on_label=self._on_label
                )
            if labeller is not None and semantic is not None:
                settings = semantic.segmentation
                side = max(side, _window(settings.crop or self._config.crop, min(settings.scales)))
            pairs += load_pairs(folder, min_side=side, labeller=labeller)
        return pairs


def _window(crop: int, scale: float) -> int:
    """Pixels of the image that become ``crop`` pixels when they are resized by ``scale``."""
    return max(1, round(crop / scale))
