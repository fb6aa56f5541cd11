"""The pipeline file: every key a user can write, with its meaning, unit, range and default.

:func:`load_pipeline` is the door; the models below are the reference. They are frozen and travel to
the worker processes as JSON (``model_dump_json`` / ``model_validate_json``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from streamfuse.config.document import Loc, Problem
from streamfuse.config.fields import (
    Block,
    Name,
    Weights,
    absolute,
    are_one_address,
)
from streamfuse.config.outputs import EventRule, JsonlSink, Metrics, PublishSink, Record, Viewer
from streamfuse.config.overrides import with_overrides
from streamfuse.config.sources import Sources
from streamfuse.config.tasks import Detect, Rule, Segment, Tasks
from streamfuse.config.validate import validate
from streamfuse.config.yamldoc import load_yaml
from streamfuse.errors import ConfigError

__all__ = [
    "REGISTRATION_EVENT",
    "Detect",
    "Fusion",
    "JsonlSink",
    "Metrics",
    "PipelineConfig",
    "Record",
    "RegistrationConfig",
    "Rule",
    "Segment",
    "Sync",
    "Tasks",
    "Viewer",
    "load_pipeline",
]

REGISTRATION_EVENT: Final = "registration"
"""What the events of a bumped bracket are called."""

_LIVE: Final = re.compile(r"(rtsps?|rtmps?|rtp|udp|srt|tcp|https?|genicam)://|/dev/")
"""Sources that give frames in their own time and cannot be made to wait."""


class Sync(Block):
    """How frames become pairs."""

    mode: Literal["base", "nearest", "exact", "hold", "slowest"] = "base"
    """``base``: each base frame takes the nearest of the other stream; ``nearest``: likewise, but no frame is
    matched twice; ``exact``: triggered cameras, equal times only; ``hold``: each base frame takes the newest
    at once, without waiting; ``slowest``: as ``base``, and the slower stream is the base."""
    base: Literal["visible", "infrared"] = "visible"
    """The stream that sets the beat: one pair for each of its frames. Visible, as it has the most detail."""
    max_skew_ms: Literal["auto"] | Annotated[float, Field(gt=0, le=10_000)] = "auto"
    """Milliseconds two frames may lie apart and still match; ``auto``: half the slower stream's measured
    frame period plus 5 ms, with ``hold`` a whole one plus 5 ms, with ``exact`` 2 ms."""
    max_wait_ms: Annotated[float, Field(ge=0, le=10_000)] = 20.0
    """Milliseconds a frame waits for its partner (``realtime``): half a frame at 25 per second."""
    on_missing: Literal["hold", "visible_only", "drop"] = "hold"
    """Without a matching infrared frame: use the last one, pass visible alone, or drop the frame."""
    max_hold_ms: Annotated[float, Field(ge=0, le=60_000)] = 250.0
    """Milliseconds an infrared frame may be held: a thermal shutter closes for about 200."""
    offset_ms: Annotated[float, Field(ge=-60_000, le=60_000)] = 0.0
    """Milliseconds added to the infrared capture times: positive when they are stamped too early."""
    estimate_offset: Literal["off", "report", "apply"] = "report"
    """What is left of the offset, seen from the motion in both images: report it, or also take it out (from
    30 ms on, and slowly)."""


class RegistrationConfig(Block):
    """How the infrared image is laid onto the visible one; the rig file says what is known of the cameras."""

    distance_m: Literal["inf"] | Annotated[float, Field(gt=0)] | None = None
    """Metres to the plane where both images fit; ``inf``: far away; none: that of the rig's first plane."""
    crop: bool = False
    """Only what both cameras see: every picture is cut to the largest rectangle of it."""
    watch: bool = True
    """Look once a second whether the images still fit; an event tells of a bumped bracket."""
    correct: bool = False
    """Take out slowly what is left between the images; bounded, and never written to the rig file."""

    @property
    def plane_m(self) -> float | None:
        """:attr:`distance_m` as a number."""
        return math.inf if self.distance_m == "inf" else self.distance_m


class Fusion(Block):
    """The network that makes one image of two."""

    model: Literal["grdb", "grdb-edge", "grdb-quarter"] = "grdb"
    """``grdb``: the lightweight network of SeAFusion, or one of its family, as the weights say. ``grdb-edge``
    and ``grdb-quarter`` are of this family, with features at half and at a quarter of the resolution."""
    weights: Weights = "default"
    """``default`` (shipped), the name of imported weights, or the path of a .safetensors file."""
    mode: Literal["stream", "steady"] = "steady"
    """``stream``: the fused levels as they are; ``steady``: stretched to full contrast, without flicker."""
    backend: Literal["auto", "openvino", "openvino-gpu", "torch", "torch-cuda", "onnx", "tensorrt"] = "auto"
    """What computes it; ``auto`` takes what is fastest on this machine, by measurement."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format; ``auto`` takes the fastest that keeps the image the same to the eye."""
    batch: Annotated[int, Field(ge=1, le=64)] = 4
    """At most so many pairs are fused in one go; 4 fills a GPU at 640x480."""
    max_delay_ms: Annotated[float, Field(ge=0, le=1_000)] = 20.0
    """Milliseconds a pair may wait for its batch to fill: less than one frame at 30 per second."""


def _rig(value: object) -> object:
    return value if value == "identity" else absolute(value)


class PipelineConfig(Block):
    """A whole pipeline file."""

    name: Name = "pipeline"
    """What the recordings and metrics are called."""
    mode: Literal["realtime", "every_frame"] = "realtime"
    """``realtime``: the newest frame wins, drops are counted; ``every_frame``: files, nothing is dropped."""
    sources: Sources
    rig: Annotated[str, BeforeValidator(_rig)] = "identity"
    """Path of the rig file, or ``identity`` for streams that are already registered."""
    registration: RegistrationConfig = RegistrationConfig()
    sync: Sync = Sync()
    fusion: Fusion = Fusion()
    tasks: Tasks | None = None
    record: Record | None = None
    viewer: Viewer | None = None
    publish: tuple[PublishSink, ...] = ()
    events: tuple[EventRule, ...] = ()
    """When something found is an event: it gets a clip, a place in the viewer's list and messages."""
    metrics: Metrics | None = None


def load_pipeline(
    path: str | Path, overrides: Sequence[str] = (), *, name: str | None = None
) -> PipelineConfig:
    """Read and check a pipeline file, with ``key.path=value`` overrides laid over it.

    Paths come out absolute: those of the file from its folder, those of overrides from the working
    directory. ``${NAME}`` in any text is replaced from the environment. Overrides may begin with ``name``.

    Raises:
        ConfigError: all mistakes, one line each, in the order of the file.
    """
    doc = with_overrides(load_yaml(path), overrides, name=name)
    config = validate(PipelineConfig, doc)
    problems = [Problem.of(loc, doc.value_place(loc), text) for loc, text in _contradictions(config)]
    if problems:
        raise ConfigError([str(problem) for problem in sorted(problems)])
    return config


def _contradictions(config: PipelineConfig) -> Iterator[tuple[Loc, str]]:
    """Values that are right alone and impossible together."""
    uris = {"visible": config.sources.visible.uri, "infrared": config.sources.infrared.uri}
    live = [stream for stream, uri in uris.items() if _LIVE.match(uri)]
    if config.mode == "every_frame" and live:
        yield ("mode",), f'"every_frame" needs files, the {live[0]} source is live; use "realtime"'
    if len(live) == 2 and uris["visible"] == uris["infrared"]:
        yield ("sources", "infrared", "uri"), "the same camera as sources.visible.uri; expected another one"
    if config.mode == "every_frame" and config.sync.estimate_offset == "apply":
        yield (
            ("sync", "estimate_offset"),
            '"apply" needs `mode: realtime`; pairs of "every_frame" must not depend on who was faster',
        )
    yield from _registration_contradictions(config)
    infrared = config.sources.infrared
    if infrared.format == "gray8" and (infrared.radiometry or infrared.telemetry != "none"):
        key = "radiometry" if infrared.radiometry else "telemetry"
        yield ("sources", "infrared", "format"), f'"gray8" has no counts for `{key}`; use "gray16"'
    yield from _repeated("publish", "path", [getattr(sink, "path", None) for sink in config.publish])
    yield from _repeated("publish", "bind", [getattr(sink, "bind", None) for sink in config.publish])
    yield from _repeated("events", "name", [rule.name for rule in config.events])
    if config.tasks is not None:
        yield from _repeated("tasks", "name", [rule.name for rule in config.tasks.rules], within="rules")
    if config.events and config.tasks is None:
        yield ("events",), "nothing is looked for, so nothing can happen; expected `tasks`"
    page, numbers = (config.viewer and config.viewer.address), (config.metrics and config.metrics.address)
    if page and numbers and are_one_address(page, numbers):
        yield ("metrics", "prometheus"), "the same address as viewer.web; expected another port"


def _registration_contradictions(config: PipelineConfig) -> Iterator[tuple[Loc, str]]:
    wanted = config.registration
    if config.rig == "identity":
        asked = {"distance_m": wanted.distance_m is not None, "correct": wanted.correct}
        for key in (key for key, is_asked in asked.items() if is_asked):
            yield ("registration", key), "`rig: identity` leaves nothing to choose; expected a rig file"
    if wanted.watch:
        names = [rule.name for rule in config.events]
        for index in (index for index, name in enumerate(names) if name == REGISTRATION_EVENT):
            yield ("events", index, "name"), "what `registration.watch` calls its events; expected another"


def _repeated(
    block: str, key: str, values: Sequence[object], *, within: str | None = None
) -> Iterator[tuple[Loc, str]]:
    """Items of a list that share what each needs for itself."""
    place = (block,) if within is None else (block, within)
    for index, value in enumerate(values):
        if value is not None and value in values[:index]:
            yield (
                (*place, index, key),
                f"the same as {'.'.join(place)}.{values.index(value)}; expected another",
            )
