"""What the benchmark of the task stage found: medians, ratios, and whether the targets are met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np

from streamfuse.jobs.benching.machine import Target, machine_facts, versions
from streamfuse.jobs.benching.tasks_turns import BARE, PREDICT, STAGE, Opened, Turn

__all__ = ["TasksReport"]

_PACKAGES: Final = ("streamfuse", "numpy", "torch", "openvino", "ultralytics")
_MB: Final = 1e6
_MOST_OVER_BARE: Final = 1.15
"""On a CPU: the stage's time over that of its network alone."""
_LEAST_OVER_PREDICT: Final = 2.0
"""On CUDA, with eight images or more in a batch: the stage's rate over that of `YOLO.predict`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksReport:
    """All measurements of a run."""

    weights: str
    size_wh: tuple[int, int]
    threads: int
    load_before: float
    """Processes that wanted a core, on average over the minute before."""
    opened: Mapping[str, Opened]
    """By contestant."""
    turns: Mapping[int, Mapping[str, Sequence[Turn]]]
    """By batch and contestant, in the order of the rounds."""

    def ratio(self, batch: int, name: str, other: str) -> float:
        """Time of one contestant over that of another: the median over the rounds."""
        both = zip(self.turns[batch][name], self.turns[batch][other], strict=True)
        return median(median(one.took_ms) / median(two.took_ms) for one, two in both)

    def targets(self) -> tuple[Target, ...]:
        """What the stage promises on this kind of device."""
        if self.opened[STAGE].backend == "openvino":
            return tuple(
                Target(
                    what=f"stage over bare network, batch {batch}",
                    limit=_MOST_OVER_BARE,
                    got=self.ratio(batch, STAGE, BARE),
                )
                for batch in self.turns
            )
        if self.opened[STAGE].backend in {"torch-cuda", "tensorrt"}:
            return tuple(
                Target(
                    what=f"images/s, times YOLO.predict, batch {batch}",
                    limit=_LEAST_OVER_PREDICT,
                    got=self.ratio(batch, PREDICT, STAGE),
                    at_least=True,
                )
                for batch in self.turns
                if batch >= 8
            )
        return ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "machine": {**machine_facts(), "load_before": round(self.load_before, 2)},
            "versions": versions(_PACKAGES),
            "weights": self.weights,
            "task": self.opened[STAGE].kind,
            "threads": self.threads,
            "results": list(self._results()),
            "targets": [target.as_dict() for target in self.targets()],
        }

    def _results(self) -> Iterator[dict[str, Any]]:
        for batch, of_batch in self.turns.items():
            for name, turns in of_batch.items():
                opened = self.opened[name]
                per_image_ms = np.concatenate([turn.took_ms for turn in turns]) / batch
                middle_ms, p95_ms = np.percentile(per_image_ms, [50, 95])
                yield {
                    "what": name,
                    "backend": opened.backend,
                    "precision": opened.precision,
                    "device": opened.device,
                    "batch": batch,
                    "size_wh": list(self.size_wh),
                    "network_wh": list(opened.network_wh),
                    "calls": len(per_image_ms),
                    "ms_per_image": round(float(middle_ms), 3),
                    "p95_ms": round(float(p95_ms), 3),
                    "cpu_ms_per_image": round(median(turn.cpu_ms for turn in turns) / batch, 3),
                    "images_per_s": round(1e3 / float(middle_ms), 1),
                    "ratio_vs_bare": round(self.ratio(batch, name, BARE), 3),
                    "objects_per_image": round(turns[-1].objects / batch, 2),
                    "memory_mb": round(max(turn.memory_nbytes for turn in turns) / _MB, 1),
                }
