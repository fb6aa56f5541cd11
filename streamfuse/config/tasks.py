"""What is looked for in the fused images, and what is counted there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from streamfuse.config.fields import Block, Name, TaskWeights, expected
from streamfuse.config.outputs import Point, Share

__all__ = ["Detect", "More", "Rule", "Segment", "Semantic", "Task", "TaskBackend", "Tasks"]

TaskBackend = Literal["auto", "torch", "torch-cuda", "openvino", "onnx", "tensorrt"]


class Task(Block):
    """One network that looks at the fused image."""

    weights: TaskWeights = "default"
    """``default`` (the detector that is shipped: person, bicycle, car), a .pt file of Ultralytics (YOLOv5u,
    YOLOv8 and later), a .safetensors file of `streamfuse train detector`, or a name of imported weights."""
    confidence: Share = 0.25
    """Objects below this score are left out, 0 to 1; 0.25 is the usual choice of YOLO."""
    overlap: Share = 0.5
    """Of two boxes of a class that overlap by more than this (IoU) the surer one is kept. With 0.7, as
    Ultralytics has it, more people who hide each other are found, and more objects twice."""
    classes: tuple[str, ...] = ()
    """Names of the objects to report; empty: all that the network knows."""
    most: Annotated[int, Field(ge=1, le=10_000)] = 300
    """Objects of one image at most, the surest; what is left out is counted. The tracker does not see it
    either: a limit, not a choice."""
    every: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Run on every n-th pair; with `track` the pairs between carry where the objects will have moved to."""
    trust: bool = False
    """Read a .pt file that holds more than a known network: its code runs on this machine. Only for files
    from somebody you trust."""


class Detect(Task):
    """Object detection: boxes."""

    track: bool = False
    """Identities over time (ByteTrack) for all objects, those of `segment` and `more` too. An object that is
    followed already is reported down to 0.4 of its `confidence`."""


class Segment(Task):
    """Instance segmentation: boxes and masks.

    With the weights of `detect` one network runs for both, and keys that are not given here are as there.
    """


class More(Task):
    """A further network in the same pass."""

    kind: Literal["detect", "segment"]


class Semantic(Block):
    """Semantic segmentation: a class for every pixel, by the network of the joint training."""

    weights: TaskWeights
    """A .safetensors file: the NAME-segmentation that a joint `streamfuse train fusion` made."""
    every: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Run on every n-th pair."""


class Rule(Block):
    """What is counted: crossings of a line, or who is in a zone and for how long."""

    name: Name
    """What the count is called."""
    line: tuple[Point, Point] | None = None
    """Two points, as shares of the picture. Who crosses it from its left to its right (looking from the first
    point to the second) counts as `forward`, the other way as `backward`."""
    zone: Annotated[tuple[Point, ...], Field(min_length=3)] | None = None
    """Corners of a polygon, as shares of the picture."""
    classes: tuple[str, ...] = ()
    """Names of the objects that count; empty: all."""
    confidence: Share = 0.25
    """Objects below this score do not count."""

    @model_validator(mode="after")
    def _one_shape(self) -> Rule:
        if (self.line is None) == (self.zone is None):
            raise expected("either line or zone")
        if self.line is not None and self.line[0] == self.line[1]:
            raise expected("a line between two different points")
        return self


class Tasks(Block):
    """What is looked for in the fused image; the objects of all networks are reported together."""

    detect: Detect | None = None
    segment: Segment | None = None
    more: tuple[More, ...] = ()
    """Further networks, each with its weights."""
    semantic: Semantic | None = None
    rules: tuple[Rule, ...] = ()
    """Lines and zones to count at; objects count by their tracks, so `detect.track` must be on."""
    backend: TaskBackend = "auto"
    """What computes the networks; ``auto``: CUDA where there is a GPU, else OpenVINO, else torch."""

    @field_validator("segment")
    @classmethod
    def _as_detect(cls, segment: Segment | None, known: ValidationInfo) -> Segment | None:
        """One network for both gives each object once; whoever raises a key of `detect` means that object."""
        detect: Detect | None = known.data.get("detect")
        if segment is None or detect is None or segment.weights != detect.weights:
            return segment
        open_keys = Task.model_fields.keys() - segment.model_fields_set
        return segment.model_copy(update={key: getattr(detect, key) for key in open_keys})

    @model_validator(mode="after")
    def _rules_need_tracks(self) -> Tasks:
        if self.rules and not (self.detect and self.detect.track):
            raise expected("detect with `track: true`, since there are rules")
        return self
