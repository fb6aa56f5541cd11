"""The training file: what a run trains, on which pairs, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamfuse.config.fields import AbsolutePath, Block, Name, Weights, expected
from streamfuse.config.overrides import with_overrides
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml

__all__ = ["Labels", "Loss", "PairFolder", "Segmentation", "Semantic", "TrainConfig", "load_training"]

_Positive = Annotated[int, Field(ge=1)]
_Count = Annotated[int, Field(ge=0)]
_Weight = Annotated[float, Field(ge=0)]
_AboveZero = Annotated[float, Field(gt=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_BelowOne = Annotated[float, Field(ge=0, lt=1)]
_Text = Annotated[str, Field(min_length=1)]
_Crop = Annotated[int, Field(ge=8)]
_JOINT_CROP = 32
"""Least side of a crop for the segmentation network, whose coarsest map is 1/32 of it. Below, its last layers
see one pixel, and torch 2.15 computes wrong bfloat16 gradients of a strided convolution there."""


class Labels(Block):
    """What is known of the classes of the pixels of a folder: either ``maps`` or ``boxes``."""

    maps: AbsolutePath | None = None
    """PNG label maps, one a pair, named by stem: class ids as in ``semantic.classes``, 255 = unknown."""
    boxes: tuple[AbsolutePath, ...] = ()
    """Folders of YOLO text files named by stem, one an annotator; their union is turned into masks."""
    box_classes: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=3)] = (
        "person",
        "bicycle",
        "car",
    )
    """What ``semantic.classes`` calls the class numbers 0, 1 and 2: person, bicycle and car in this order."""

    @model_validator(mode="after")
    def _one_kind(self) -> Labels:
        if (self.maps is None) == (not self.boxes):
            raise expected("either maps or boxes")
        return self


class PairFolder(Block):
    """A folder with ``visible`` and ``infrared`` inside: stills or videos, paired by stem."""

    path: AbsolutePath
    title: _Text | None = None
    """What the card calls it; otherwise the name of the folder."""
    names: AbsolutePath | None = None
    """Text file of stems; only these are taken."""
    exclude: tuple[str, ...] = ()
    """Stems never to take."""
    skip_last: _Count = 0
    """Leave out this many at the end of the order by name."""
    only_last: _Count = 0
    """Take only this many from the end of the order by name; 0 = all."""
    every: _Positive = 1
    """Of a video, take every nth pair of frames."""
    labels: Labels | None = None
    """Of stills, for a joint training; a folder without them counts for the content loss alone."""

    @model_validator(mode="after")
    def _one_end(self) -> PairFolder:
        if self.skip_last and self.only_last:
            raise expected("either skip_last or only_last")
        return self


class Loss(Block):
    """Weights of the terms of :func:`streamfuse.nets.losses.fusion_loss`; the defaults are the paper's."""

    intensity: _Weight = 1.0
    texture: _Weight = 10.0
    detail: _Weight = 0.0
    checker: _Weight = 0.0
    structure: _Weight = 0.0
    correlation: _Weight = 0.0
    contrast: _Weight = 0.0


class Adam(Block):
    """Settings of the fusion network's optimizer; the defaults are torch's."""

    beta1: _BelowOne = 0.9
    beta2: _BelowOne = 0.999
    weight_decay: _Weight = 0.0


class Segmentation(Block):
    """How the segmentation network is trained: by SGD, on what the fusion network makes at the moment."""

    steps: _Positive = 20_000
    """Of one round: the q of the paper."""
    pretrain_steps: _Count = 0
    """As many before the first round, so that its semantic loss means something."""
    batch: Annotated[int, Field(ge=2)] = 16
    crop: _Crop | None = None
    """Side of its crops, pixels; null = as those of the fusion network."""
    learning_rate: _AboveZero = 1e-2
    """Falls to zero over all rounds as (1 - share done) to the ``power``."""
    power: _AboveZero = 0.9
    warm_up_steps: _Count = 0
    """Steps, once, in which the rate rises exponentially from ``warm_up_from``."""
    warm_up_from: _AboveZero = 1e-5
    head_rate: _AboveZero = 1.0
    """Learning rate of the two heads, relative to that of the rest."""
    momentum: _BelowOne = 0.9
    restart_momentum: bool = False
    """Forget the momentum at the start of each round."""
    weight_decay: _Weight = 5e-4
    decay_all: bool = True
    """Weight decay on normalisations and biases too, not only on kernels."""
    auxiliary: _Weight = 0.1
    """Weight of the auxiliary head's loss in these steps."""
    scales: Annotated[tuple[Annotated[float, Field(gt=0, le=4)], ...], Field(min_length=1)] = (1.0,)
    """Each batch is resized by one of these, drawn at random, before it is learnt from."""
    jitter: _BelowOne = 0.0
    """Largest relative change of brightness, contrast and saturation."""
    stretch: bool = False
    """Stretch each batch to 0..1 and cut it to 8 bits, as the released code's PNG files are."""


class Semantic(Block):
    """Joint training in rounds: fusion steps with the semantic loss, then segmentation steps."""

    classes: Annotated[tuple[_Text, ...], Field(min_length=2, max_length=255)]
    """Names by class id, the background first."""
    rounds: _Positive = 4
    """The M of the paper."""
    gamma: _Weight = 1.0
    """The semantic loss counts gamma * (round - 1) in each round."""
    beta: _Weight | None = None
    """What it counts in every round instead."""
    fusion_network: Literal["continued", "fresh"] = "continued"
    """At the start of a round."""
    cross_entropy: Literal["hard", "plain"] = "hard"
    """Over the hard pixels, as the released code; over all, as the paper."""
    auxiliary: _Weight = 0.1
    """Weight of the auxiliary head's loss in the fusion steps: the lambda of the paper."""
    near_objects: _Share = 0.0
    """Share of the crops of labelled pairs that hold a pixel of an object, rather than fall anywhere."""
    segmentation: Segmentation = Segmentation()


class TrainConfig(Block):
    """One training of a fusion network: by its content loss alone, or jointly with a segmentation network."""

    name: Name
    """Of the weights that come out."""
    licence: _Text
    """Of the weights that come out; goes onto their card."""
    train: Annotated[tuple[PairFolder, ...], Field(min_length=1)]
    validate_on: tuple[PairFolder, ...] = ()
    """Pairs to measure the loss on, never trained on."""
    model: Name = "grdb"
    start_from: Weights | None = None
    """Weights to begin with, by name or path; null = fresh ones."""
    freeze: tuple[_Text, ...] = ()
    """Parts of parameter names, such as ``gradient``, that stay as they begin."""
    loss: Loss = Loss()
    semantic: Semantic | None = None
    crop: _Crop = 96
    """Side of the square crops, pixels."""
    batch: _Positive = 8
    steps: _Positive = 4000
    """Fusion steps; in a joint training those of one round, the p of the paper."""
    learning_rate: _AboveZero = 2e-3
    """Highest value of the schedule."""
    schedule: Literal["one-cycle", "constant", "staircase"] = "one-cycle"
    """Of the learning rate, over all steps that one set of weights is trained for."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Of a staircase: factor between two of its stairs."""
    decay_every: _Positive = 135
    """Of a staircase: steps on one of its stairs."""
    adam: Adam = Adam()
    seed: _Count = 0
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the networks under autocast; weights and losses stay float32."""
    device: Literal["cpu", "cuda"] = "cpu"
    threads: _Count = 0
    """CPU threads; 0 = as torch decides. Equal results need equal threads."""
    checkpoint_every: _Positive = 100
    """Steps between checkpoints; the validation loss is measured there too."""

    @model_validator(mode="after")
    def _labels_for_a_joint_training(self) -> TrainConfig:
        labels = [folder.labels for folder in self.train if folder.labels is not None]
        if self.semantic is None:
            if labels:
                raise expected("a block semantic, since a folder has labels")
            return self
        if not labels:
            raise expected("labels in at least one folder of train, since there is a block semantic")
        named = {name for known in labels if known.boxes for name in known.box_classes}
        if min(self.crop, self.semantic.segmentation.crop or self.crop) < _JOINT_CROP:
            raise expected(f"crops of at least {_JOINT_CROP} pixels for a joint training")
        if not named <= set(self.semantic.classes[1:]):
            raise expected("box_classes that are all among semantic.classes, behind the background")
        return self


def load_training(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check a training file, with ``key.path=value`` overrides laid over it.

    Raises:
        ConfigError: all mistakes, one line each, in the order of the file.
    """
    return validate(TrainConfig, with_overrides(load_yaml(path), overrides))
