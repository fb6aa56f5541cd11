"""What the benchmark of the pipeline found: rates, where the processor's time goes, latency, targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from streamfuse.config.pipeline import PipelineConfig
from streamfuse.jobs.benching.machine import Target, has_amx, machine_facts, versions
from streamfuse.jobs.benching.pipeline_run import Run
from streamfuse.jobs.benching.pipeline_stages import StageTurn
from streamfuse.jobs.benching.pipeline_street import StreetFiles

__all__ = ["Live", "PipelineReport", "Round"]

_PACKAGES: Final = ("streamfuse", "numpy", "torch", "openvino", "av", "pyzmq", "ultralytics")
_LEAST_SHARE: Final = 0.9
"""Of the rate of the slowest stage alone."""
_POSSIBLE_SHARE: Final = 1.1
"""The whole cannot be faster than its slowest stage; this much is the spread of a quiet machine."""
_MOST_ORCHESTRATION: Final = 0.05
"""Of the processor time."""
_INTERVALS: Final = 2
"""Between frames, that may pass beside the work itself."""
_KEPT_UP: Final = 0.005
"""Share of frames that may be dropped by a machine that keeps up: the first ones, while caches are cold."""
_ON_GPU: Final = frozenset({"torch-cuda", "tensorrt"})
_LEAST_ON_GPU: Final = 500.0
"""Pairs a second of the engine alone, with its tasks."""
_LEAST_LIVE: Final = 0.99
"""Of the cameras' rate, in pairs that come out: on a processor with AMX, at 640x480."""
_HOME: Final = (640, 480)
_WORK: Final = ("register", "fuse", "tasks")
"""The stages of the engine in a summary, each for a whole batch."""
_ENDED: Final = "stopped"
"""What was dropped only because the time was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Every stage alone and the whole, one after the other."""

    alone: Mapping[str, StageTurn]
    whole: Run

    @property
    def slowest(self) -> str:
        """The stage with the lowest rate."""
        return min(self.alone, key=lambda name: self.alone[name].per_s)

    @property
    def share(self) -> float:
        """Rate of the whole over that of its slowest stage alone."""
        return float(self.whole.summary["fps"]) / self.alone[self.slowest].per_s

    def cpu_ms(self, name: str) -> float:
        """Processor time of a pair in one process of the run."""
        return 1e3 * self.whole.cpu_s.get(name, 0.0) / int(self.whole.summary["pairs"])

    def alone_cpu_ms(self, name: str) -> float:
        """Processor time of a pair in a stage alone; 0 for a process without one."""
        turn = self.alone.get(name)
        return 0.0 if turn is None else 1e3 * turn.cpu_s / turn.frames

    @property
    def orchestration(self) -> float:
        """Share of the processor time that is not the work of a stage."""
        total = sum(self.cpu_ms(name) for name in self.whole.cpu_s)
        return (total - sum(self.alone_cpu_ms(name) for name in self.whole.cpu_s)) / total


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A run at the rate of cameras."""

    fps: int
    run: Run

    @property
    def dropped(self) -> int:
        """Frames of the visible camera that did not come out."""
        causes = self.run.summary["streams"]["visible"]["dropped"]
        return sum(int(count) for cause, count in causes.items() if cause != _ENDED)

    @property
    def keeps_up(self) -> bool:
        """Whether hardly any frame was dropped."""
        captured = int(self.run.summary["streams"]["visible"]["captured"])
        return self.dropped <= _KEPT_UP * captured

    @property
    def work_ms(self) -> float:
        """Of a batch: the 95th percentiles of the engine's stages together."""
        stages = self.run.summary["stages"]
        return float(sum(stages[name]["p95_ms"] for name in _WORK if name in stages))

    @property
    def limit_ms(self) -> float:
        """What the 99th percentile of the latency is promised to stay within.

        Two intervals between frames, and the work; on a machine that does not keep up the work of two
        batches: the one under way when a frame comes, and its own.
        """
        return _INTERVALS * 1e3 / self.fps + self.work_ms * (1 if self.keeps_up else 2)

    @property
    def latency_ms(self) -> float:
        """99th percentile."""
        return float(self.run.summary["latency_ms"]["p99"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineReport:
    """All measurements of a run."""

    config: PipelineConfig
    files: StreetFiles
    frames: int
    rounds: Sequence[Round]
    live: Sequence[Live]
    load_before: float
    """Processes that wanted a core, on average over the minute before."""

    def middle(self, value: Callable[[Round], float]) -> float:
        """Median over the rounds."""
        return median(map(value, self.rounds))

    def targets(self) -> tuple[Target, ...]:
        """What a pipeline promises."""
        slowest = self.rounds[0].slowest
        return (
            Target(
                what=f"end to end, times the slowest stage alone ({slowest})",
                limit=_LEAST_SHARE,
                got=self.middle(lambda each: each.share),
                at_least=True,
                possible=_POSSIBLE_SHARE,
            ),
            Target(
                what="orchestration, share of the processor time",
                limit=_MOST_ORCHESTRATION,
                got=self.middle(lambda each: each.orchestration),
            ),
            *(
                Target(
                    what=f"p99 latency at {live.fps} fps, ms{'' if live.keeps_up else ' (overloaded)'}",
                    limit=round(live.limit_ms, 1),
                    got=live.latency_ms,
                )
                for live in self.live
            ),
            *self._rates(),
        )

    def _rates(self) -> Iterator[Target]:
        """What is promised of some machines only."""
        live = self.live[0]
        if self.rounds[0].whole.summary["backend"] in _ON_GPU:
            rate = self.middle(lambda each: each.alone["engine"].per_s)
            yield Target(what="pairs/s, engine alone", limit=_LEAST_ON_GPU, got=rate, at_least=True)
        elif has_amx() and self.files.visible_wh == _HOME:
            what = f"pairs/s that come out of cameras with {live.fps}, AMX"
            rate = float(live.run.summary["fps"])
            yield Target(what=what, limit=_LEAST_LIVE * live.fps, got=rate, at_least=True)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        machine = machine_facts()
        alone_ms = sum(self.middle(lambda each, name=name: each.alone_cpu_ms(name)) for name in self._stages)  # type: ignore[misc]
        return {
            "machine": {**machine, "load_before": round(self.load_before, 2)},
            "versions": versions(_PACKAGES),
            "pipeline": {
                "name": self.config.name,
                "fusion": self.config.fusion.model_dump(mode="json"),
                "tasks": [] if self.config.tasks is None else sorted(self.config.tasks.model_fields_set),
                "size_wh": list(self.files.visible_wh),
                "infrared_size_wh": list(self.files.infrared_wh),
                "backend": self.rounds[0].whole.summary["backend"],
                "device": self.rounds[0].whole.summary["device"],
            },
            "frames": self.frames,
            "rounds": len(self.rounds),
            "stages": dict(self._alone()),
            "end_to_end": {
                "pairs_per_s": round(self.middle(lambda each: float(each.whole.summary["fps"])), 2),
                "slowest_stage": self.rounds[0].slowest,
                "of_slowest_stage": round(self.middle(lambda each: each.share), 3),
                "cores_allow_pairs_per_s": round(1e3 * machine["cores"] / alone_ms, 2),
                "orchestration_share": round(self.middle(lambda each: each.orchestration), 3),
                "processes": dict(self._processes()),
                "stages_ms": self.rounds[0].whole.summary["stages"],
            },
            "live": [_of_live(live) for live in self.live],
            "targets": [target.as_dict() for target in self.targets()],
        }

    @property
    def _stages(self) -> tuple[str, ...]:
        return tuple(self.rounds[0].alone)

    def _alone(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in self._stages:
            turns = [each.alone[name] for each in self.rounds]
            yield (
                name,
                {
                    "pairs_per_s": round(median(turn.per_s for turn in turns), 2),
                    "ms_per_pair": round(median(1e3 / turn.per_s for turn in turns), 3),
                    "cpu_ms_per_pair": round(median(1e3 * turn.cpu_s / turn.frames for turn in turns), 3),
                    "steps_ms": {
                        step: round(median(turn.steps_ms[step] for turn in turns), 3)
                        for step in turns[0].steps_ms
                    },
                },
            )

    def _processes(self) -> Iterator[tuple[str, dict[str, float]]]:
        for name in sorted(self.rounds[0].whole.cpu_s):
            whole = self.middle(lambda each, name=name: each.cpu_ms(name))  # type: ignore[misc]
            alone = self.middle(lambda each, name=name: each.alone_cpu_ms(name))  # type: ignore[misc]
            yield name, {"cpu_ms_per_pair": round(whole, 3), "alone_cpu_ms_per_pair": round(alone, 3)}


def _of_live(live: Live) -> dict[str, Any]:
    summary = live.run.summary
    pairs = max(1, int(summary["pairs"]))
    return {
        "camera_fps": live.fps,
        "pairs": summary["pairs"],
        "pairs_per_s": summary["fps"],
        "keeps_up": live.keeps_up,
        "dropped": live.dropped,
        "streams": summary["streams"],
        "latency_ms": summary["latency_ms"],
        "work_p95_ms": round(live.work_ms, 3),
        "limit_p99_ms": round(live.limit_ms, 1),
        "stages_ms": summary["stages"],
        "cpu_s_per_pair": {name: round(used / pairs, 5) for name, used in sorted(live.run.cpu_s.items())},
        "sinks": summary["sinks"],
    }
