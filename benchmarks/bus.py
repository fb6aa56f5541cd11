"""The bus beside other ways to move frames: runs ``streamfuse bench bus`` and makes the table in the docs.

    python benchmarks/bus.py

On a machine that does nothing else; imagezmq and vidgear take part where they are installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from _common import markdown_table, run, write_results

from streamfuse.errors import PromiseError


def main() -> None:
    """Measure, write ``bus.md`` and ``bus.json``."""
    parser = argparse.ArgumentParser(description="The bus beside other ways to move frames.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each single measurement")
    parser.add_argument("--rounds", type=int, default=5, help="how often every transport has its turn")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    words = ["bench", "bus", "--seconds", f"{arguments.seconds:g}", "--rounds", str(arguments.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bus.json"
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "streamfuse", *words, "--out", str(out)], stdout=sys.stderr, check=False
        )
        if done.returncode:
            raise PromiseError(f"`streamfuse bench bus` ended with {done.returncode}; see its message above")
        report = json.loads(out.read_text(encoding="utf-8"))
    account = {"commands": [f"streamfuse {' '.join(words)}"], "report": report}
    write_results(arguments.results, "bus", account=account, text=tables(report))


def tables(report: Mapping[str, Any]) -> str:
    """What was measured, and the targets, in Markdown."""
    columns = [
        "transport",
        "stream",
        "p50 ms",
        "p95",
        "p99",
        "flat out, fps",
        "producer CPU, µs",
        "memory, MB",
    ]
    targets = markdown_table(
        ["target of the ring", "limit", "measured", ""], (_target(each) for each in report["targets"])
    )
    return f"{markdown_table(columns, _rows(report), words=2)}\n{targets}"


def _rows(report: Mapping[str, Any]) -> Iterator[list[str]]:
    for result in report["results"]:
        if not result["installed"]:
            yield [result["transport"], result["why"], *["-"] * 6]
            continue
        for name, stream in result["streams"].items():
            hop = [f"{stream['hop_ms'][quantile]:.2f}" for quantile in ("p50", "p95", "p99")]
            costs = [f"{stream['flat_out_fps']:.0f}", f"{stream['producer_cpu_us']:.0f}"]
            yield [result["transport"], name, *hop, *costs, f"{stream['memory_used_mb']:.1f}"]


def _target(target: Mapping[str, Any]) -> list[str]:
    sign = ">=" if "flat-out" in target["what"] else "<="
    met = "met" if target["met"] else "missed"
    return [target["what"], f"{sign} {target['limit']:g}", f"{target['got']:.2f}", met]


if __name__ == "__main__":
    run(main)
