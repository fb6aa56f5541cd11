"""The task stage beside its network and beside Ultralytics: runs ``streamfuse bench tasks`` for a table.

    python benchmarks/tasks.py --weights default

On a machine that does nothing else.
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
    """Measure, write ``tasks-stage.md`` and ``tasks-stage.json``."""
    parser = argparse.ArgumentParser(description="The task stage beside its network and beside Ultralytics.")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    options = {name: str(getattr(arguments, name)) for name in ("weights", "batch", "size", "rounds")}
    words = ["bench", "tasks", *(word for name, value in options.items() for word in (f"--{name}", value))]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tasks.json"
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "streamfuse", *words, "--json", str(out)], stdout=sys.stderr, check=False
        )
        if done.returncode:
            raise PromiseError(
                f"`streamfuse bench tasks` ended with {done.returncode}; see its message above"
            )
        report = json.loads(out.read_text(encoding="utf-8"))
    account = {"commands": [f"streamfuse {' '.join(words)}"], "report": report}
    write_results(arguments.results, "tasks-stage", account=account, text=tables(report))


def tables(report: Mapping[str, Any]) -> str:
    """What was measured, and the targets, in Markdown."""
    columns = ["", "backend", "batch", "ms/image", "p95", "CPU ms", "images/s", "times bare", "memory, MB"]
    title = f"{report['task']} with `{report['weights']}`, {report['threads']} threads"
    measured = markdown_table(columns, _rows(report), words=2)
    if not report["targets"]:
        return f"{title}\n\n{measured}"
    targets = markdown_table(
        ["target", "limit", "measured", ""], (_target(each) for each in report["targets"])
    )
    return f"{title}\n\n{measured}\n{targets}"


def _rows(report: Mapping[str, Any]) -> Iterator[list[str]]:
    for result in report["results"]:
        times = [f"{result[name]:.1f}" for name in ("ms_per_image", "p95_ms", "cpu_ms_per_image")]
        rates = [
            f"{result['images_per_s']:.1f}",
            f"{result['ratio_vs_bare']:.2f}",
            f"{result['memory_mb']:.0f}",
        ]
        yield [result["what"], result["backend"], str(result["batch"]), *times, *rates]


def _target(target: Mapping[str, Any]) -> list[str]:
    sign = ">=" if "YOLO.predict" in target["what"] else "<="
    met = "met" if target["met"] else "missed"
    return [target["what"], f"{sign} {target['limit']:g}", f"{target['got']:.2f}", met]


if __name__ == "__main__":
    run(main)
