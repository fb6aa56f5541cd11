"""The file that a detector is trained by: scenes, how they are rendered, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamfuse.config.fields import AbsolutePath, Block, Name, Weights, expected
from streamfuse.config.overrides import with_overrides
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml

__all__ = [
    "DetectorConfig",
    "DetectorScenes",
    "DetectorStreets",
    "Guesses",
    "Learning",
    "load_detector_training",
]

_Positive = Annotated[int, Field(ge=1)]
_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Text = Annotated[str, Field(min_length=1)]

Rendering = Literal["visible", "infrared", "fused"]


class Guesses(Block):
    """Labels that an earlier detector gives to scenes nobody has labelled."""

    weights: AbsolutePath
    """Of the earlier detector: what `streamfuse train detector` made."""
    confidence: _Share = 0.5
    """Objects that it is less sure of are painted over: neither objects nor nothing."""


class DetectorScenes(Block):
    """A folder with ``visible`` and ``infrared`` inside: stills or videos, paired by stem."""

    path: AbsolutePath
    title: _Text | None = None
    """What the card calls it; otherwise the name of the folder."""
    names: AbsolutePath | None = None
    """Text file of stems; only these are taken."""
    skip_last: _Count = 0
    """Leave out this many at the end of the order by name."""
    every: _Positive = 1
    """Of a video, take every nth pair of frames."""
    leave_out: dict[str, tuple[_Count, _Count]] = Field(default_factory=dict)
    """By stem of a video, the first and the last frame of a part never to take: what will be tested on."""
    boxes: tuple[AbsolutePath, ...] = ()
    """Folders of YOLO text files named by stem, one an annotator; their union counts, in each rendering. Of a
    video those frames are taken that have a file, STEM-FRAME.txt, counted from 0."""
    guesses: Guesses | None = None
    """What labels the scenes in place of annotators."""
    repeat: _Positive = 1
    """How often each of its pictures is shown in an epoch: for few pictures that matter much."""

    @model_validator(mode="after")
    def _labelled(self) -> DetectorScenes:
        if bool(self.boxes) == (self.guesses is not None):
            raise expected("either boxes or guesses")
        return self


class DetectorStreets(Block):
    """Synthetic streets, with exact boxes and masks."""

    seeds: tuple[_Count, _Positive]
    """The first seed, and how many there are; each is another street. Test on others."""
    lights: Annotated[tuple[Literal["day", "dusk", "night", "smoke"], ...], Field(min_length=1)] = (
        "day",
        "dusk",
        "night",
        "smoke",
    )
    """Taken in turn."""
    moments: _Positive = 3
    """Pictures of each street."""
    every_s: Annotated[float, Field(gt=0)] = 7.0
    """From one picture to the next; a street repeats itself after 30 s."""
    cyclists: Annotated[int, Field(ge=0, le=8)] = 2
    """Of each street."""


class Learning(Block):
    """How the network learns; the defaults suit some thousand steps from fresh weights."""

    epochs: _Positive = 40
    batch: _Positive = 16
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    """Of AdamW, at its highest; falls by half a cosine to a hundredth."""
    warm_up_epochs: Annotated[float, Field(ge=0)] = 1.0
    mosaic: _Share = 1.0
    """Share of the samples that are put together from four pictures."""
    close_mosaic: _Count = 4
    """In the last epochs each picture comes alone."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Pictures are drawn larger or smaller by up to this share."""
    seed: _Count = 0


class DetectorConfig(Block):
    """One training of a detector."""

    name: Name
    """Of the weights that come out."""
    licence: _Text
    """Of the weights that come out; goes onto their card."""
    architecture: _Text = "yolov8n-seg"
    """A network of Ultralytics, by name: ``yolov8n-seg``, ``yolov8s-seg``, …"""
    classes: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=3)] = ("person", "bicycle", "car")
    """Names of the class numbers in the label files, person, bicycle and car in this order."""
    scenes: tuple[DetectorScenes, ...] = ()
    streets: DetectorStreets | None = None
    renderings: Annotated[tuple[Rendering, ...], Field(min_length=1)] = ("visible", "infrared", "fused")
    """Each scene is shown to the learner in all of these ways, with the same labels."""
    fusion: Weights = "default"
    """Weights of the fusion network that makes the fused rendering."""
    start_from: AbsolutePath | None = None
    """A detector to go on from: what this command made before; null = fresh weights."""
    side_px: Annotated[int, Field(ge=64, le=1280, multiple_of=32)] = 320
    """Of the squares that are cut from the scenes at their own size, and to which whole scenes are shrunk."""
    learning: Learning = Learning()
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the network's layers while it learns; weights and losses stay float32."""
    device: Literal["cpu", "cuda"] = "cpu"
    threads: _Count = 0
    """CPU threads; 0 = as many as there are cores."""
    loaders: _Count = 0
    """Processes that read and mix pictures beside the training; 0 = it does so itself, between the steps."""

    @model_validator(mode="after")
    def _something_to_see(self) -> DetectorConfig:
        if not self.scenes and self.streets is None:
            raise expected("scenes or streets, or both: there is nothing to learn from")
        return self


def load_detector_training(path: str | Path, overrides: Sequence[str] = ()) -> DetectorConfig:
    """Read and check a detector's training file, with ``key.path=value`` overrides laid over it.

    Raises:
        ConfigError: all mistakes, one line each, in the order of the file.
    """
    return validate(DetectorConfig, with_overrides(load_yaml(path), overrides))
