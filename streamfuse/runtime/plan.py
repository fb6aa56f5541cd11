"""The plan of a run: what the sources are, who runs, who listens to whom. Every worker reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from types import MappingProxyType
from typing import Any, Final

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.config.sources import SourceConfig
from streamfuse.frames import ImageSpec, Layer, PixelFormat, StreamName
from streamfuse.geometry.field import Field
from streamfuse.io.source import SourceInfo
from streamfuse.io.transport.ring import ring_nbytes

__all__ = ["SINK_WINDOWS", "STREAM_WINDOW", "Plan", "summary_of"]

STREAM_WINDOW: Final = 4
"""Frames a capture worker may have under way to the engine."""
SINK_WINDOWS: Final[Mapping[str, int]] = MappingProxyType(
    {"recorder": 8, "viewer": 1, "window": 1, "publisher": 8}
)
"""Fused frames the engine may have under way to each sink: 8 absorb a slow disk for a moment, while those who
show pictures want the newest and not a queue of older ones."""
_SPARE_SLOTS: Final = 4
"""Slots beyond what consumers can hold: one being written, the rest for pending frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a worker needs to know, the same for all of them; travels as JSON."""

    config: PipelineConfig
    run_dir: str
    visible: SourceInfo
    infrared: SourceInfo
    max_frames: int | None
    shown: Field | None = None
    """Of the visible image, what the fused pictures show; None: all of it."""
    absent: Mapping[StreamName, str] = field(default_factory=dict)
    """Cameras that were not there when the plan was made, and why: what is known of them is assumed."""

    @property
    def every_frame(self) -> bool:
        """Whether no frame may be lost (rather than the newest being wanted)."""
        return self.config.mode == "every_frame"

    @property
    def sinks(self) -> tuple[str, ...]:
        """Names of the workers that take the fused frames."""
        wanted = {
            "recorder": self.config.record is not None,
            "viewer": self.config.viewer is not None and self.config.viewer.web is not None,
            "window": self.config.viewer is not None and self.config.viewer.window,
            "publisher": bool(self.config.publish),
        }
        return tuple(name for name, on in wanted.items() if on)

    @property
    def fused_spec(self) -> ImageSpec:
        """Of every fused image: the form of the visible one, cropped if asked for."""
        if self.shown is None:
            return self.visible.spec
        return replace(self.visible.spec, size_wh=(self.shown.width, self.shown.height))

    def layers_of(self, sink: str) -> frozenset[Layer]:
        """The images that a sink wants to have beside the fused one."""
        record = self.config.record
        if sink in {"viewer", "window"}:
            return frozenset({Layer.VISIBLE, Layer.INFRARED})
        if sink != "recorder" or record is None:
            return frozenset()
        wanted = {
            Layer.VISIBLE: record.visible,
            Layer.INFRARED: record.infrared,
            Layer.RAW_INFRARED: record.raw_infrared,
        }
        return frozenset(layer for layer, on in wanted.items() if on)

    @property
    def layers(self) -> dict[Layer, tuple[int, ImageSpec]]:
        """The images beside the fused one in each slot of its ring: where each begins, and what it is."""
        specs = {
            Layer.VISIBLE: self.fused_spec,
            Layer.INFRARED: ImageSpec(format=PixelFormat.GRAY8, size_wh=self.fused_spec.size_wh),
            Layer.RAW_INFRARED: self.infrared.spec,
        }
        wanted = frozenset().union(*(self.layers_of(sink) for sink in self.sinks))
        found, start = {}, _aligned(self.fused_spec.nbytes)
        for layer in Layer:
            if layer in wanted:
                found[layer] = start, specs[layer]
                start += _aligned(specs[layer].nbytes)
        return found

    def source(self, stream: StreamName) -> SourceInfo:
        """What is known of one stream."""
        return self.visible if stream is StreamName.VISIBLE else self.infrared

    def camera(self, stream: StreamName) -> SourceConfig:
        """Where one stream comes from, and how it is read."""
        sources = self.config.sources
        return sources.visible if stream is StreamName.VISIBLE else sources.infrared

    def without(self, stream: StreamName) -> str:
        """One sentence about a camera that is absent."""
        known = summary_of(self.source(stream))
        return f"absent ({self.absent[stream]}); the run begins without it, as {known}"

    @property
    def shared_nbytes(self) -> int:
        """Shared memory that the run takes."""
        return sum(ring_nbytes(slots, nbytes) for slots, nbytes in self.rings.values())

    @property
    def rings(self) -> dict[str, tuple[int, int]]:
        """Slots and bytes per slot of each shared-memory ring, by name."""
        streams = {
            stream.value: (STREAM_WINDOW + _SPARE_SLOTS, self.source(stream).spec.nbytes)
            for stream in StreamName
        }
        layers_nbytes = sum(_aligned(spec.nbytes) for _, spec in self.layers.values())
        slots = sum(SINK_WINDOWS[sink] for sink in self.sinks) + _SPARE_SLOTS
        fused = (slots, _aligned(self.fused_spec.nbytes) + layers_nbytes)
        return {**streams, "fused": fused}

    @property
    def base(self) -> StreamName:
        """The stream that sets the beat, by the rates that the sources name."""
        sync = self.config.sync
        base = StreamName(sync.base)
        if sync.mode == "slowest" and self.source(base.other).fps < self.source(base).fps:
            return base.other
        return base

    def frame_limit(self, stream: StreamName) -> int | None:
        """How many frames of a stream ``max_frames`` pairs can need, where no frame may be lost."""
        if self.max_frames is None or not self.every_frame:
            return None
        ratio = self.source(stream).fps / self.source(self.base).fps
        if abs(ratio - 1.0) < 1e-3:
            return self.max_frames
        return ceil(self.max_frames * ratio) + ceil(ratio)

    def to_json(self) -> dict[str, Any]:
        """Plain values; :meth:`from_json` is the way back."""
        return {
            "config": self.config.model_dump_json(),
            "run_dir": self.run_dir,
            "visible": asdict(self.visible),
            "infrared": asdict(self.infrared),
            "max_frames": self.max_frames,
            "shown": self.shown,
            "absent": dict(self.absent),
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Plan:
        """The plan that :meth:`to_json` wrote."""
        return cls(
            config=PipelineConfig.model_validate_json(plain["config"]),
            run_dir=plain["run_dir"],
            visible=SourceInfo.from_json(plain["visible"]),
            infrared=SourceInfo.from_json(plain["infrared"]),
            max_frames=plain["max_frames"],
            shown=None if plain["shown"] is None else Field(*plain["shown"]),
            absent={StreamName(stream): why for stream, why in plain["absent"].items()},
        )


def _aligned(nbytes: int) -> int:
    """``nbytes`` up to a whole line of the cache, where the next image may begin."""
    return -(-nbytes // 64) * 64


def summary_of(info: SourceInfo) -> str:
    """A source in a few words."""
    return f"{_size(info.spec.size_wh)} {info.spec.format} at {info.fps:g} fps"


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
