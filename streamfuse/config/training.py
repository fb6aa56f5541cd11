"""The training file: what a run trains, on which pairs, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamfuse.config.fields import AbsolutePath, Block, Name, expected
from streamfuse.config.overrides import with_overrides
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml

__all__ = ["Loss", "PairFolder", "TrainConfig", "load_training"]

_Positive = Annotated[int, Field(ge=1)]
_Count = Annotated[int, Field(ge=0)]
_Weight = Annotated[float, Field(ge=0)]


class PairFolder(Block):
    """A folder with ``visible`` and ``infrared`` inside: stills or videos, paired by stem."""

    path: AbsolutePath
    title: Annotated[str, Field(min_length=1)] | None = None
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


class TrainConfig(Block):
    """One training of a fusion network by its content loss."""

    name: Name
    """Of the weights that come out."""
    licence: Annotated[str, Field(min_length=1)]
    """Of the weights that come out; goes onto their card."""
    train: Annotated[tuple[PairFolder, ...], Field(min_length=1)]
    validate_on: tuple[PairFolder, ...] = ()
    """Pairs to measure the loss on, never trained on."""
    model: Name = "grdb"
    loss: Loss = Loss()
    crop: Annotated[int, Field(ge=8)] = 96
    """Side of the square crops, pixels."""
    batch: _Positive = 8
    steps: _Positive = 4000
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Highest value of the one-cycle schedule."""
    seed: _Count = 0
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the network under autocast; weights and losses stay float32."""
    device: Literal["cpu", "cuda"] = "cpu"
    threads: _Count = 0
    """CPU threads; 0 = as torch decides. Equal results need equal threads."""
    checkpoint_every: _Positive = 100
    """Steps between checkpoints; the validation loss is measured there too."""


def load_training(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check a training file, with ``key.path=value`` overrides laid over it.

    Raises:
        ConfigError: all mistakes, one line each, in the order of the file.
    """
    return validate(TrainConfig, with_overrides(load_yaml(path), overrides))
