"""What was promised of speed, and what the results say: makes ``speed-targets.md`` of them.

    python benchmarks/targets.py

Measures nothing. A promise whose benchmark has left no results here was never run, and the table says so,
with the command that runs it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import markdown_table, run

from streamfuse.io.files import write_text
from streamfuse.jobs.benching.machine import verdict

CPU = "python benchmarks/speed.py fusion"
GPU = "python benchmarks/speed.py fusion --name speed-fusion-cuda --batch 1,8"
GPU_PIPELINE = "python benchmarks/speed.py pipeline --name speed-pipeline-cuda"
GROWTH = "python benchmarks/speed.py growth"
PIPELINE = "python benchmarks/speed.py pipeline"
RIGS = "python benchmarks/rigs.py"


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the table."""

    where: str
    words: str
    results: str
    """Name of the results that tell."""
    begins: str
    """How the target in them begins."""
    command: str


PROMISES = (
    Promise("CPU", "published layers, 10x plain torch", "speed-fusion", "times the reference, grdb on", CPU),
    Promise("CPU", "edge networks, 50x plain torch", "speed-fusion", "times the reference, grdb-", CPU),
    Promise("CPU", "25 pairs/s live on two AMX cores", "speed-pipeline", "pairs/s that come out", PIPELINE),
    Promise("CPU", "parity of every backend", "speed-fusion", "PSNR", CPU),
    Promise("CUDA", "1,500 pairs/s, batch 8", "speed-fusion-cuda", "pairs/s, grdb on", GPU),
    Promise("CUDA", "8x eager float32 on the GPU", "speed-fusion-cuda", "times eager float32", GPU),
    Promise("CUDA", "a pair alone in 2 ms", "speed-fusion-cuda", "ms, the whole call, grdb on", GPU),
    Promise("CUDA", "1 GB at batch 8", "speed-fusion-cuda", "GPU memory", GPU),
    Promise("CUDA", "parity of every backend", "speed-fusion-cuda", "PSNR", GPU),
    Promise(
        "CUDA",
        "fuse, detect, segment 500 pairs/s",
        "speed-pipeline-cuda",
        "pairs/s, engine alone",
        GPU_PIPELINE,
    ),
    Promise("pipeline", "0.9 of the slowest stage alone", "speed-pipeline", "end to end", PIPELINE),
    Promise("pipeline", "orchestration below 5 %", "speed-pipeline", "orchestration", PIPELINE),
    Promise("pipeline", "latency within two frames and the work", "speed-pipeline", "p99 latency", PIPELINE),
    Promise("rigs", "two on one engine 0.9 of one", "rigs", "two rigs on one engine", RIGS),
    Promise("growth", "time linear in pixels", "speed-growth", "time as pixels", GROWTH),
    Promise("growth", "memory flat", "speed-growth", "memory after", GROWTH),
)


def rows(results: Path) -> Iterator[list[str]]:
    """All promises, with what was measured of them."""
    for promise in PROMISES:
        found = [
            target
            for target in targets(results, promise.results)
            if target["what"].startswith(promise.begins)
        ]
        for target in found:
            sign = ">=" if target["at_least"] else "<="
            numbers = [f"{sign} {target['limit']:g}", f"{target['got']:.2f}"]
            yield [promise.where, promise.words, target["what"], *numbers, verdict(target)]
        if not found:
            yield [promise.where, promise.words, f"`{promise.command}`", "", "", "never run"]
    yield from starts(results)


def targets(results: Path, name: str) -> Sequence[Mapping[str, Any]]:
    """The targets in some results; none where there are no such results."""
    path = results / f"{name}.json"
    if not path.exists():
        return []
    found: Sequence[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["report"]["targets"]
    return found


def starts(results: Path) -> Iterator[list[str]]:
    """The time to the first fused frame, of the slowest pipeline measured."""
    path = results / "start.json"
    measured = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    for which, limit_s in (("first", 6.0), ("second", 3.0)):
        words = f"{which} start to the first fused frame"
        times_s = [row["median"]["first_frame_s"] for row in measured if row["start"] == which]
        if not times_s:
            yield ["start", words, "`python benchmarks/start.py`", "", "", "never run"]
            continue
        met = "met" if max(times_s) <= limit_s else "missed"
        yield ["start", words, "seconds, with all tasks", f"<= {limit_s:g}", f"{max(times_s):.2f}", met]


def main() -> None:
    """Write ``speed-targets.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    header = ["", "promise", "measured as", "limit", "measured", ""]
    write_text(
        arguments.results / "speed-targets.md", markdown_table(header, rows(arguments.results), words=3)
    )


if __name__ == "__main__":
    run(main)
