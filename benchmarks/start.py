"""How long a run takes from the command to its first fused frame, with empty caches and with full ones.

``python benchmarks/start.py [--first 3] [--second 7]`` starts ``streamfuse run pipelines/vehicle.yaml`` as a
user would, with its tasks and without, and so with two video files in place of the drawn street: cameras do
not draw either. A *first* start finds fresh folders in place of our cache (``XDG_CACHE_HOME``) and of numba's
(``NUMBA_CACHE_DIR``): networks are converted, kernels compiled, the still street is drawn. A *second* start
finds what the first has left. Byte code of Python and of the libraries is there in both, as after
``pip install``; the files are in the memory of the system.

The first fused frame comes at the time of the line ``running`` in the log, when the sources begin, plus the
latency of the one pair that the run makes (``--max-frames 1``): from its capture, which is that moment, to
the moment at which it is handed to the recorder.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _common import markdown_table, run, write_results

from streamfuse.errors import PromiseError
from streamfuse.jobs.benching.pipeline_street import street_files

PIPELINE = Path("pipelines/vehicle.yaml")
RIG = "calibration/synthetic.yaml"
ALL, PLAIN = "fusion, detection, segmentation, tracks, recording", "fusion, recording"
WITHOUT_TASKS = ("--set", "tasks=null")


def ways() -> dict[str, tuple[str, ...]]:
    """What is started, and the words for it; the drawn street first."""
    street = street_files(RIG, frames=50, fps=25, say=print)
    files = (
        *("--set", f"sources.visible.uri={street.visible}"),
        *("--set", f"sources.infrared.uri={street.infrared}"),
    )
    return {
        ALL: (),
        PLAIN: WITHOUT_TASKS,
        f"video files: {ALL}": files,
        f"video files: {PLAIN}": (*files, *WITHOUT_TASKS),
    }


def start(folder: Path, caches: Path, more: Sequence[str]) -> dict[str, float]:
    """Seconds to the first fused frame, in all, and of processor time of all processes.

    Raises:
        PromiseError: it did not begin, or made no pair.
    """
    summary = folder / "summary.json"
    words = [
        *("run", str(PIPELINE), "--max-frames", "1", "--log", "json", "--summary", str(summary)),
        *("--set", f"record.dir={folder / 'recordings'}", *more),
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(caches), "NUMBA_CACHE_DIR": str(caches / "numba")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = dt.datetime.now(dt.UTC)
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "streamfuse", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    ended = dt.datetime.now(dt.UTC)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    messages = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    running = [message["time"] for message in messages if message["event"] == "running"]
    if done.returncode or not running:
        raise PromiseError(f"`streamfuse {shlex.join(words)}` ended with {done.returncode}: {done.stderr}")
    latency_ms = json.loads(summary.read_text(encoding="utf-8"))["latency_ms"]["p50"]
    ready_s = (dt.datetime.fromisoformat(running[0]) - began).total_seconds()
    return {
        "ready_s": ready_s,
        "first_frame_s": ready_s + latency_ms / 1e3,
        "ended_s": (ended - began).total_seconds(),
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def measure(first: int, second: int) -> list[dict[str, Any]]:
    """All ways, first and second starts; the ways take turns."""
    made_of = ways()
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(max(first, 1)):
            for place, (way, more) in enumerate(made_of.items()):
                caches = folder / f"{number}-{place}"
                runs.setdefault((way, "first"), []).append(start(folder, caches, more))
        for _ in range(second):
            for place, (way, more) in enumerate(made_of.items()):
                runs.setdefault((way, "second"), []).append(start(folder, folder / f"0-{place}", more))
    return [
        {
            "pipeline": way,
            "start": which,
            "runs": made,
            "median": {key: statistics.median(one[key] for one in made) for key in made[0]},
        }
        for (way, which), made in runs.items()
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The medians in Markdown, with the slowest run."""
    header = [
        "`pipelines/vehicle.yaml` with",
        "start",
        "first fused frame s",
        "slowest",
        "ends after s",
        "CPU s",
    ]
    lines = []
    for row in rows:
        median, slowest = row["median"], max(one["first_frame_s"] for one in row["runs"])
        numbers = (median["first_frame_s"], slowest, median["ended_s"], median["cpu_s"])
        lines.append([row["pipeline"], row["start"], *(f"{number:.2f}" for number in numbers)])
    return markdown_table(header, lines, words=2)


def main() -> None:
    """Measure, and write ``start.md`` and ``start.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=3, help="starts with empty caches")
    parser.add_argument("--second", type=int, default=7, help="starts after them")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    rows = measure(arguments.first, arguments.second)
    account = {"commands": [shlex.join(["python", *sys.argv])], "rows": rows}
    write_results(arguments.results, "start", account=account, text=table(rows))


if __name__ == "__main__":
    run(main)
