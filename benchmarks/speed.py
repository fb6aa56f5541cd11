"""How fast the engine and a whole pipeline are: runs ``streamfuse bench`` for the tables of the docs.

    python benchmarks/speed.py fusion      # every backend beside the published network in plain torch
    python benchmarks/speed.py growth      # from 320x240 to 1920x1080, and memory over many calls
    python benchmarks/speed.py pipeline    # the real run beside its stages alone, and live

On a machine that does nothing else. Further options go to the command (`--batch 1,8` on a GPU). What is
written is called `speed-WHAT`; `--name` calls it otherwise, for another machine say.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from _common import markdown_table, run, write_results

from streamfuse.errors import PromiseError
from streamfuse.jobs.benching.machine import verdict

Report = Mapping[str, Any]

COMMANDS = {
    "fusion": ("fusion", "--backend", "all", "--roofline"),
    "growth": ("fusion", "--growth"),
    "pipeline": ("pipeline",),
}
ROUNDS = {"fusion": 5, "growth": 3, "pipeline": 3}
PLOTTED = ("fusion", "growth")


def main() -> None:
    """Measure, write ``NAME.md``, ``NAME.json`` and where there is something to see ``NAME.png``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--rounds", type=int, help="how often everyone has a turn")
    parser.add_argument("--name", help="of the results; otherwise speed-WHAT")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    arguments, more = parser.parse_known_args()
    name = arguments.name or f"speed-{arguments.what}"
    rounds = arguments.rounds or ROUNDS[arguments.what]
    words = ["bench", *COMMANDS[arguments.what], "--rounds", str(rounds), *more]
    if arguments.what in PLOTTED:
        words += ["--plot", str(arguments.results / f"{name}.png")]
    report = measured(words)
    account = {"commands": [shlex.join(["streamfuse", *words])], "report": report}
    write_results(arguments.results, name, account=account, text=TABLES[arguments.what](report))


def measured(words: Sequence[str]) -> Report:
    """What a command of ``streamfuse`` found.

    Raises:
        PromiseError: it failed; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "streamfuse", *words, "--json", str(out)], stdout=sys.stderr, check=False
        )
        if done.returncode:
            raise PromiseError(f"`streamfuse {words[0]} {words[1]}` ended with {done.returncode}; see above")
        report: Report = json.loads(out.read_text(encoding="utf-8"))
        return report


def fusion_tables(report: Report) -> str:
    """Every backend, who is missing, and the roofline."""
    header = ["network", "weights", "backend", "precision", "batch", "size", "ms/pair", "p95", "CPU ms"]
    header += ["pairs/s", "times the reference", "PSNR, dB", "memory, MB", "of the peak"]
    rows = [*reference_rows(report), *(fusion_row(result) for result in report["results"])]
    tables = [
        f"{report['threads']} threads; **bold**: what the engine chooses by itself here.\n\n"
        + markdown_table(header, rows, words=4)
    ]
    if report["missing"]:
        gone = sorted({(row["backend"], row["precision"], row["why"]) for row in report["missing"]})
        tables.append(markdown_table(["not measured here", "precision", "why"], gone, words=3))
    if report["roofline"]:
        tables += roofline_tables(report["roofline"])
    return "\n".join([*tables, targets_table(report)])


def reference_rows(report: Report) -> Iterator[list[str]]:
    """The published network in plain torch."""
    reference = report["reference"]
    for row in reference["all"]:
        words = [reference[name] for name in ("model", "weights", "backend", "precision")]
        times = [f"{row[name]:.1f}" for name in ("ms_per_pair", "p95_ms", "cpu_ms_per_pair")]
        times.append(f"{1e3 / row['ms_per_pair']:.2f}")
        yield [*words, str(row["batch"]), size(row), *times, "1", "", f"{row['peak_memory_mb']:.0f}", ""]


def fusion_row(result: Report) -> list[str]:
    """One way to fuse."""
    backend = f"**{result['backend']}**" if result["default"] else result["backend"]
    words = [result["model"], result["weights"], backend, result["precision"]]
    times = [f"{result[name]:.1f}" for name in ("ms_per_pair", "p95_ms", "cpu_ms_per_pair", "pairs_per_s")]
    ends = [f"{result['ratio_vs_reference']:.1f}", f"{result['psnr_db']:.1f}", f"{result['memory_mb']:.0f}"]
    of_peak = result.get("of_peak")
    ends.append("" if of_peak is None else f"{of_peak:.0%}")
    return [*words, str(result["batch"]), size(result), *times, *ends]


def roofline_tables(roofline: Report) -> list[str]:
    """What one pair asks for, and what the machine gives at best."""
    device, best = next(iter(roofline["peaks"].items()))
    header = ["one pair asks for", "size", "GMAC", "traffic of its layers, MB, in 16 bits"]
    header += [f"{device}: ms for the multiplications", "ms for the traffic"]
    asked = (
        [
            row["architecture"],
            size(row),
            f"{row['gmac']:.1f}",
            f"{row['activation_mb_float32'] / 2:.0f}",
            f"{1e3 * row['gmac'] / max(best['gmac_per_s'].values()):.1f}",
            f"{row['activation_mb_float32'] / 2 / best['gb_per_s']:.1f}",
        ]
        for row in roofline["networks"]
    )
    peaks = (
        [device, precision, f"{rate:.0f}", f"{peak['gb_per_s']:.1f}"]
        for device, peak in roofline["peaks"].items()
        for precision, rate in peak["gmac_per_s"].items()
    )
    return [
        markdown_table(header, asked),
        markdown_table(["this machine at best", "precision", "GMAC/s", "memory, GB/s"], peaks, words=2),
    ]


def growth_tables(report: Report) -> str:
    """Milliseconds a megapixel by size, and memory over calls."""
    sizes = list(dict.fromkeys(size(result) for result in report["results"]))
    exponents = {key(row): f"{row['exponent']:.3f}" for row in report["growth"]}
    times: dict[tuple[str, ...], dict[str, Report]] = {}
    for result in report["results"]:
        times.setdefault(key(result), {})[size(result)] = result
    header = ["network", "weights", "backend", "precision", *sizes, "goes as pixels to the power of"]
    rows = [
        [*name, *(per_megapixel(by_size.get(each)) for each in sizes), exponents.get(name, "")]
        for name, by_size in times.items()
    ]
    references = {size(row): row for row in report["reference"]["all"]}
    rows.insert(
        0,
        ["grdb", "grdb", "plain torch", "float32"]
        + [f"{row['ms_per_pair'] / megapixels(row):.1f}" for row in references.values()]
        + [""],
    )
    memory = (
        [row["model"], row["weights"], row["backend"]]
        + [f"{row[name]:.1f}" for name in ("after_5_calls_mb", "after_50_calls_mb")]
        for row in report["memory"]
    )
    columns = ["network", "weights", "backend", "memory after 5 calls, MB", "after 50"]
    return (
        f"Milliseconds for a megapixel, batch 1.\n\n{markdown_table(header, rows, words=4)}\n"
        f"{markdown_table(columns, memory, words=3)}\n{targets_table(report)}"
    )


def per_megapixel(result: Report | None) -> str:
    """Milliseconds; nothing where nothing was measured."""
    return "" if result is None else f"{result['ms_per_megapixel']:.1f}"


def pipeline_tables(report: Report) -> str:
    """Stages alone, the whole, where the processor's time goes, and latency."""
    whole = report["end_to_end"]
    facts = report["pipeline"]
    about = (
        f"`{facts['name']}`, {size(facts)}, {facts['fusion']['weights']} weights of the fusion on "
        f"{facts['backend']}, tasks: {', '.join(facts['tasks']) or 'none'}; {report['rounds']} rounds "
        f"of {report['frames']} pairs."
    )
    rows = [
        [f"{name} alone", ", ".join(f"{step} {ms:.1f}" for step, ms in stage["steps_ms"].items())]
        + [f"{stage[column]:.1f}" for column in ("pairs_per_s", "ms_per_pair", "cpu_ms_per_pair")]
        for name, stage in report["stages"].items()
    ]
    cpu_ms = sum(process["cpu_ms_per_pair"] for process in whole["processes"].values())
    rate = whole["pairs_per_s"]
    rows.append(["**end to end**", "", f"{rate:.1f}", f"{1e3 / rate:.1f}", f"{cpu_ms:.1f}"])
    stages = markdown_table(["", "steps, ms", "pairs/s", "ms/pair", "CPU ms/pair"], rows, words=2)
    spent = (
        [name, f"{process['cpu_ms_per_pair']:.2f}", f"{process['alone_cpu_ms_per_pair']:.2f}"]
        for name, process in whole["processes"].items()
    )
    processes = markdown_table(["process", "CPU ms/pair, end to end", "its stage alone"], spent)
    live = markdown_table(
        ["cameras", "pairs", "dropped", "pairs/s", "p50 ms", "p95", "p99", "work of a batch, p95 ms"],
        (live_row(each) for each in report["live"]),
    )
    return "\n".join([f"{about}\n\n{stages}", processes, live, targets_table(report)])


def live_row(live: Report) -> list[str]:
    """One rate of the cameras."""
    latency = [f"{live['latency_ms'][name]:.1f}" for name in ("p50", "p95", "p99")]
    counts = [str(live["pairs"]), str(live["dropped"]), f"{live['pairs_per_s']:.1f}"]
    return [f"{live['camera_fps']} fps", *counts, *latency, f"{live['work_p95_ms']:.1f}"]


def targets_table(report: Report) -> str:
    """Promises, and whether they were kept."""
    rows: Iterable[list[str]] = (
        [
            target["what"],
            f"{'>=' if target['at_least'] else '<='} {target['limit']:g}",
            f"{target['got']:.2f}",
            verdict(target),
        ]
        for target in report["targets"]
    )
    return markdown_table(["target", "limit", "measured", ""], rows)


def key(row: Report) -> tuple[str, ...]:
    """What a line of the growth is about."""
    return tuple(row[name] for name in ("model", "weights", "backend", "precision"))


def size(row: Report) -> str:
    """Width and height."""
    width, height = row["size_wh"]
    return f"{width}x{height}"


def megapixels(row: Report) -> float:
    """Of one image."""
    width, height = row["size_wh"]
    return float(width * height / 1e6)


TABLES: dict[str, Callable[[Report], str]] = {
    "fusion": fusion_tables,
    "growth": growth_tables,
    "pipeline": pipeline_tables,
}

if __name__ == "__main__":
    run(main)
