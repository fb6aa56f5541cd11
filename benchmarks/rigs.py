"""What several rigs get of one engine: their common rate, the share of each, and how long a live one waits.

``python benchmarks/rigs.py [--turns 3] [--seconds 8]`` writes the synthetic street (640x480 and 320x240) to
videos, and runs ``streamfuse run`` on them, over and over, without tasks and sinks, so that the network is
what all wait for. A *flood* is ``every_frame`` without pacing, *live* is ``realtime``, 5 frames per second.
The cases take turns; each number is the median of its turns. A run whose books do not balance has failed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from _common import markdown_table, run, write_results

from streamfuse.errors import PromiseError
from streamfuse.frames import StreamName
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.video.writer import VideoWriter

_PROMISED: Final = 0.9
"""Of the rate of one rig, for two on one engine."""
_FRAMES: Final = 50
"""Of a video, which begins again when it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A pipeline of a case."""

    name: str
    size: str = "640x480"
    live: bool = False
    fps: float = 25.0
    """Of its videos."""


CASES: Final[Mapping[str, tuple[Rig, ...]]] = {
    "one flood": (Rig(name="one"),),
    "two floods": (Rig(name="front"), Rig(name="rear")),
    "two floods, one of small pictures": (Rig(name="big"), Rig(name="small", size="320x240")),
    "live alone": (Rig(name="live", live=True, fps=5.0),),
    "live beside a flood": (Rig(name="live", live=True, fps=5.0), Rig(name="flood")),
}


def film(folder: Path, rig: Rig) -> dict[str, Path]:
    """Videos of both streams, made once for all rigs of this size and rate."""
    paths = {}
    for stream in StreamName:
        paths[stream.value] = path = folder / f"{stream}-{rig.size}-{rig.fps:g}.mp4"
        if path.exists():
            continue
        scene = f"synthetic://street?seed=7&size={rig.size}&fps={rig.fps:g}"
        with (
            closing(SyntheticSource(scene, stream=stream)) as source,
            closing(VideoWriter(path, source.info.spec, fps=rig.fps)) as writer,
        ):
            for number in range(_FRAMES):
                frame = source.read()
                assert frame is not None
                writer.write(frame.image, round(number * 1e9 / rig.fps))
    return paths


def play(folder: Path, rigs: Sequence[Rig], options: Sequence[str]) -> dict[str, Any]:
    """Run the rigs together; the summary of each.

    Raises:
        PromiseError: the run has failed, or frames are missing on the books.
    """
    files = []
    for rig in rigs:
        paths = film(folder, rig)
        files.append(folder / f"{rig.name}.yaml")
        files[-1].write_text(
            f"name: {rig.name}\nmode: {'realtime' if rig.live else 'every_frame'}\n"
            f"sources: {{visible: {{uri: {paths['visible']}, loop: true}}, "
            f"infrared: {{uri: {paths['infrared']}, loop: true}}}}\n"
        )
    summary = folder / "summary.json"
    command = [
        sys.executable,
        "-m",
        "streamfuse",
        "run",
        *map(str, files),
        "--summary",
        str(summary),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise PromiseError(f"`{shlex.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
    plain = json.loads(summary.read_text())
    parts: dict[str, Any] = plain.get("pipelines", {rigs[0].name: plain})
    return parts


def numbers(parts: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What is told of each rig of a case."""
    return {
        name: {
            "fused": part["fused"],
            "fps": part["fps"],
            "dropped": part["streams"]["visible"]["dropped"].get("engine_busy", 0),
            "p50_ms": part["latency_ms"]["p50"],
            "p99_ms": part["latency_ms"]["p99"],
            "batch": part["batch"]["mean"],
        }
        for name, part in parts.items()
    }


def measure(folder: Path, turns: int, options: Sequence[str]) -> list[dict[str, Any]]:
    """All cases by turns; one row for each rig of each case, medians."""
    seen: defaultdict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for turn in range(turns):
        for case, rigs in CASES.items():
            sys.stderr.write(f"turn {turn + 1} of {turns}: {case}\n")
            for name, row in numbers(play(folder, rigs, options)).items():
                seen[case, name].append(row)
    return [
        {"case": case, "rig": name, **{key: median(row[key] for row in rows) for key in rows[0]}}
        for (case, name), rows in seen.items()
    ]


def main() -> None:
    """Measure every case, write ``rigs.md`` and ``rigs.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="as for `streamfuse run`"
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    options = ["--duration", str(arguments.seconds)]
    options += [word for override in arguments.set for word in ("--set", override)]
    with tempfile.TemporaryDirectory() as name:
        rows = measure(Path(name), arguments.turns, options)
    rates = {
        case: sum(row["fps"] for row in rows if row["case"] == case) for case in ("one flood", "two floods")
    }
    ratio = rates["two floods"] / rates["one flood"]
    account = {
        "commands": [shlex.join(["python", *sys.argv])],
        "rows": rows,
        "report": {"targets": [target(ratio)]},
    }
    write_results(arguments.results, "rigs", account=account, text=table(rows, ratio))


def target(ratio: float) -> dict[str, Any]:
    """What was promised, and what came of it, in the words of the other speed results."""
    return {
        "what": "two rigs on one engine, of the rate of one",
        "at_least": True,
        "limit": _PROMISED,
        "got": ratio,
        "met": ratio >= _PROMISED,
    }


def table(rows: Sequence[Mapping[str, Any]], ratio: float) -> str:
    """The measurements in Markdown."""
    keys = {"pairs": "fused", "fps": "fps", "dropped": "dropped"}
    keys |= {"latency p50 ms": "p50_ms", "p99": "p99_ms", "pairs in a batch": "batch"}
    digits = {"fused": 0, "dropped": 0, "p50_ms": 0, "p99_ms": 0}
    lines = (
        [row["case"], row["rig"], *(f"{row[key]:.{digits.get(key, 1)}f}" for key in keys.values())]
        for row in rows
    )
    text = markdown_table(["case", "rig", *keys], lines, words=2)
    return f"{text}\nTwo floods together have {ratio:.2f} of the rate of one.\n"


if __name__ == "__main__":
    run(main)
