"""What the benchmark of the fusion found: medians, ratios, memory, growth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np

from streamfuse.jobs.benching.fusion_roofline import Roofline
from streamfuse.jobs.benching.fusion_round import Missing, Rounds
from streamfuse.jobs.benching.fusion_targets import (
    PUBLISHED,
    exponents,
    fusion_targets,
    pair_times_ms,
    ratio,
    steady,
)
from streamfuse.jobs.benching.fusion_turns import Opened
from streamfuse.jobs.benching.machine import Target, machine_facts, versions

__all__ = ["FusionReport"]

_PACKAGES: Final = ("streamfuse", "numpy", "torch", "openvino", "onnxruntime", "onnxruntime-gpu", "tensorrt")
_MB: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionReport:
    """All measurements of a run."""

    rounds: Sequence[Rounds]
    missing: Sequence[Missing]
    roofline: Roofline | None
    threads: int
    load_before: float
    """Processes that wanted a core, on average over the minute before."""

    def targets(self) -> tuple[Target, ...]:
        """What the engine promises, as far as it was measured."""
        return tuple(fusion_targets(self.rounds))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "machine": {**machine_facts(), "load_before": round(self.load_before, 2)},
            "versions": versions(_PACKAGES),
            "threads": self.threads,
            "reference": self._reference(),
            "results": [row for each in self.rounds for row in self._rows(each)],
            "missing": [
                {
                    "model": gone.contestant.model,
                    "weights": gone.contestant.weights,
                    "backend": gone.contestant.backend,
                    "precision": gone.contestant.precision,
                    "size_wh": list(gone.size_wh),
                    "batch": gone.batch,
                    "why": gone.why,
                }
                for gone in self.missing
            ],
            "growth": [
                {
                    **dict(zip(("model", "weights", "backend", "precision"), name, strict=True)),
                    "exponent": round(exponent, 3),
                }
                for name, exponent in exponents(self.rounds)
            ],
            "memory": [
                {
                    "model": opened.architecture,
                    "weights": opened.weights,
                    "backend": opened.backend,
                    "after_5_calls_mb": round(few / _MB, 1),
                    "after_50_calls_mb": round(many / _MB, 1),
                }
                for opened, (few, many) in steady(self.rounds).items()
            ],
            "roofline": None if self.roofline is None else self.roofline.as_dict(),
            "targets": [target.as_dict() for target in self.targets()],
        }

    def _reference(self) -> dict[str, Any]:
        """Of the published network in plain torch: the first, and all of them."""
        rows = []
        for each in self.rounds:
            kinds = {entry.opened.on_gpu: entry for entry in each.entries}
            for on_gpu, entry in kinds.items():
                times_ms = pair_times_ms(entry.reference, entry.reference_batch)
                rows.append(
                    {
                        "ms_per_pair": round(float(np.median(times_ms)), 3),
                        "p95_ms": round(float(np.percentile(times_ms, 95)), 3),
                        "cpu_ms_per_pair": round(
                            median(turn.cpu_ms for turn in entry.reference) / entry.reference_batch, 3
                        ),
                        "device": "cuda" if on_gpu else "cpu",
                        "batch": entry.reference_batch,
                        "size_wh": list(each.size_wh),
                        "peak_memory_mb": round(max(t.peak_nbytes for t in entry.reference) / _MB, 1),
                    }
                )
        what = {"model": PUBLISHED, "weights": PUBLISHED, "backend": "plain torch", "precision": "float32"}
        return {**what, **(rows[0] if rows else {}), "all": rows}

    def _rows(self, rounds: Rounds) -> Iterator[dict[str, Any]]:
        width, height = rounds.size_wh
        for entry in rounds.entries:
            opened, turns = entry.opened, entry.turns
            times_ms = pair_times_ms(turns, rounds.batch)
            middle_ms, p95_ms = (float(each) for each in np.percentile(times_ms, [50, 95]))
            own_mb = max(turn.memory_nbytes for turn in turns) / _MB
            device = [turn.device_nbytes for turn in turns if turn.device_nbytes is not None]
            yield {
                "model": opened.architecture,
                "weights": opened.weights,
                "backend": opened.backend,
                "precision": opened.precision,
                "device": opened.device,
                "batch": rounds.batch,
                "size_wh": list(rounds.size_wh),
                "ms_per_pair": round(middle_ms, 3),
                "p95_ms": round(p95_ms, 3),
                "ratio_vs_reference": round(ratio(entry, rounds.batch), 2),
                "psnr_db": round(entry.psnr_db, 1),
                "memory_mb": round(max(device) / _MB if device else own_mb, 1),
                "default": entry.is_default,
                "why": opened.why,
                "calls": len(times_ms),
                "pairs_per_s": round(1e3 / middle_ms, 2),
                "cpu_ms_per_pair": round(median(turn.cpu_ms for turn in turns) / rounds.batch, 3),
                "ms_per_megapixel": round(middle_ms / (width * height / 1e6), 3),
                "process_memory_mb": round(own_mb, 1),
                "peak_memory_mb": round(max(turn.peak_nbytes for turn in turns) / _MB, 1),
                **self._of_roofline(opened, rounds.size_wh, middle_ms),
            }

    def _of_roofline(self, opened: Opened, size_wh: tuple[int, int], ms: float) -> dict[str, Any]:
        if self.roofline is None:
            return {}
        demand = self.roofline.demands[opened.architecture, size_wh]
        peak = self.roofline.peaks["cuda" if opened.on_gpu else "cpu"]
        most = peak.gmac_per_s.get(opened.precision)
        rate = demand.gmac / (ms / 1e3)
        return {
            "gmac_per_s": round(rate, 1),
            "of_peak": None if most is None else round(rate / most, 3),
            "unfused_gb_per_s": round(demand.nbytes(opened.precision) / 1e9 / (ms / 1e3), 1),
        }
