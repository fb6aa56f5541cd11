"""What each way of pairing makes of two cameras, in simulated minutes; no camera is needed.

    python benchmarks/pairing.py

The first table sets the pairer of streamfuse beside small re-implementations of how others pair, on the same
frames. The second shows every mode on harder cameras. Same numbers on every machine, but for the cost.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from _common import markdown_table, run, write_results
from pairing_ways import Adaptive, BaseNearest, Threshold
from pairing_world import Camera, Ours, Score, Way, play

from streamfuse.clock import NS_PER_MS
from streamfuse.core.pairing import Pairer, PairingMode, PairingPolicy
from streamfuse.frames import StreamName

VISIBLE: Final = Camera(fps=30.0)

CAMERAS: Final = {
    "30 fps - 12.5 mHz": Camera(fps=30.0 - 0.0125, start_ms=10.0),
    "25 fps, FFC 1 s/min": Camera(fps=25.0, start_ms=10.0, shut_s=1.0, shutter_period_s=60.0),
    "8.7 fps, FFC 2 s/3 min": Camera(fps=8.7, start_ms=10.0, shut_s=2.0, shutter_period_s=180.0),
}
"""Infrared cameras of the first table; the first one loses a frame against the visible camera in 80 s."""

OTHERS: Final[Mapping[str, Callable[[Camera], Way]]] = {
    "threshold 10 ms": lambda _: Threshold(10),
    "threshold 166 ms": lambda _: Threshold(166),
    "adaptive": lambda _: Adaptive(),
    "nearest, wait 20, skew 25": lambda c: BaseNearest(
        period_ms=1000 / c.fps, max_wait_ms=20, max_skew_ms=25
    ),
    "nearest, no wait, skew 70": lambda c: BaseNearest(period_ms=1000 / c.fps, max_wait_ms=0, max_skew_ms=70),
}

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "max_skew_ms: 10": {"max_skew_ms": 10.0},
    "max_skew_ms: 25": {"max_skew_ms": 25.0},
    "max_wait_ms: 25": {"max_wait_ms": 25.0},
    "nearest, max_wait_ms: 60": {"mode": PairingMode.NEAREST, "max_wait_ms": 60.0},
    "hold, max_skew_ms: 70": {"mode": PairingMode.HOLD, "max_skew_ms": 70.0},
}
"""Settings of ours, as in ``sync``: the default, and what a user chooses who wants what another way gives."""

_JITTERY = Camera(fps=30.0, latency_ms=60.0, jitter_ms=20.0)
_SHUTTER: Final = {"start_ms": 10.0, "shut_s": 2.0, "shutter_period_s": 15.0}
HARD: Final = {
    "30 fps - 12.5 mHz": (VISIBLE, CAMERAS["30 fps - 12.5 mHz"]),
    "25 fps, FFC 2 s/15 s": (VISIBLE, Camera(fps=25.0, **_SHUTTER)),
    "9 fps, FFC 2 s/15 s": (VISIBLE, Camera(fps=9.0, **_SHUTTER)),
    "8.7 fps, FFC 2 s/15 s": (VISIBLE, Camera(fps=8.7, **_SHUTTER)),
    "the same, says 30 fps": (VISIBLE, Camera(fps=8.7, says_fps=30.0, **_SHUTTER)),
    "25 fps, FFC, both 60 ± 20 ms late": (
        _JITTERY,
        Camera(fps=25.0, latency_ms=60.0, jitter_ms=20.0, **_SHUTTER),
    ),
    "one trigger, 1 % lost": (Camera(fps=30.0, lost=0.01), Camera(fps=30.0, lost=0.01)),
}
"""Visible and infrared cameras of the second table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a way of pairing makes of a pair of cameras."""

    camera: str
    way: str
    score: Score


def ours(visible: Camera, infrared: Camera, **settings: Any) -> Ours:
    """The pairer of streamfuse for two cameras."""
    return Ours(PairingPolicy(visible_fps=visible.nominal_fps, infrared_fps=infrared.nominal_fps, **settings))


def compare(camera: str, duration_s: float) -> tuple[dict[str, Score], dict[str, Score]]:
    """The scores of the others and of ours for a camera of the first table."""
    infrared = CAMERAS[camera]
    others = {name: play(way(infrared), VISIBLE, infrared, duration_s) for name, way in OTHERS.items()}
    own = {
        name: play(ours(VISIBLE, infrared, **settings), VISIBLE, infrared, duration_s)
        for name, settings in SETTINGS.items()
    }
    return others, own


def modes(camera: str, duration_s: float) -> dict[str, Score]:
    """The score of every mode for cameras of the second table; of its base stream where it chooses one."""
    visible, infrared = HARD[camera]
    scores = {}
    for mode in PairingMode:
        slow = mode is PairingMode.SLOWEST and infrared.fps < visible.fps
        base = StreamName.INFRARED if slow else StreamName.VISIBLE
        scores[mode.value] = play(
            ours(visible, infrared, mode=mode), visible, infrared, duration_s, base=base
        )
    return scores


def cost_us(frames: int = 20_000) -> dict[str, float]:
    """Processor time of push and poll, microseconds per frame, for every mode: a matter of this machine."""
    costs = {}
    for mode in PairingMode:
        pairer: Pairer[int] = Pairer(PairingPolicy(visible_fps=30.0, infrared_fps=25.0, mode=mode))
        arrivals = sorted(
            (number * 1000 * NS_PER_MS // fps, stream)
            for stream, fps in ((StreamName.VISIBLE, 30), (StreamName.INFRARED, 25))
            for number in range(frames * fps // 55)
        )
        began_ns = time.process_time_ns()
        for at_ns, stream in arrivals:
            pairer.push(stream, at_ns, capture_ns=at_ns, now_ns=at_ns)
            pairer.poll(at_ns)
        costs[mode.value] = (time.process_time_ns() - began_ns) / len(arrivals) / 1000
    return costs


def cells(score: Score) -> list[str]:
    """A score as cells of a table; no pair, no times."""
    if not score.paired:
        return [f"{score.paired:.1%}", *["-"] * len(_COLUMNS[1:])]
    times = (score.skew_p50, score.skew_p95, score.skew_max, score.wait_p50, score.wait_p95)
    return [f"{score.paired:.1%}", *(f"{ms:.1f}" for ms in times), f"{score.longest_gap / 1000:.2f}"]


_COLUMNS: Final = ("paired", "skew p50", "p95", "max", "wait p50", "p95", "longest gap, s")


def comparison_page(rows: list[Row]) -> str:
    """Ours beside the others, in Markdown."""
    table = markdown_table(
        ["infrared", "pairing", *_COLUMNS], ([r.camera, r.way, *cells(r.score)] for r in rows), words=2
    )
    return (
        "Visible 30 fps; frames arrive 30 ± 3 ms after their capture; times in ms. `paired`: matched pairs\n"
        "per base frame; skew and wait are those of matched pairs. **Bold**: streamfuse; the other rows are\n"
        f"small re-implementations.\n\n{table}"
    )


def modes_page(hard: list[Row], costs: Mapping[str, float]) -> str:
    """Every mode on harder cameras, and what it costs, in Markdown."""
    columns = ["infrared", "mode", *_COLUMNS, "came out", "longest wait"]
    cost = ", ".join(f"{mode} {microseconds:.0f}" for mode, microseconds in costs.items())
    table = markdown_table(
        columns,
        (
            [r.camera, r.way, *cells(r.score), f"{r.score.came_out:.1%}", f"{r.score.wait_max:.1f}"]
            for r in hard
        ),
        words=2,
    )
    return (
        "Every mode with its default settings; `came out`: base frames shown in any state; `longest wait`:\n"
        "of any of them. The base of `slowest` is the infrared stream, where that is slower.\n\n"
        f"{table}\nProcessor time of push and poll, microseconds per frame: {cost}.\n"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="What each way of pairing makes of two cameras.")
    parser.add_argument("--seconds", type=float, default=600.0, help="simulated time of each row")
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the table"
    )
    return parser.parse_args()


def main() -> None:
    """Play all rows, write both tables and their JSON."""
    args = arguments()
    rows = []
    for camera in CAMERAS:
        others, own = compare(camera, args.seconds)
        rows += [Row(camera=camera, way=name, score=score) for name, score in others.items()]
        rows += [Row(camera=camera, way=f"**{name}**", score=score) for name, score in own.items()]
    hard = [
        Row(camera=camera, way=mode, score=score)
        for camera in HARD
        for mode, score in modes(camera, args.seconds).items()
    ]
    costs = cost_us()
    commands = [shlex.join(["python", *sys.argv])]
    comparison = {
        "seconds": args.seconds,
        "rows": [{"camera": r.camera, "way": r.way, **r.score.as_dict()} for r in rows],
        "commands": commands,
    }
    write_results(args.results, "pairing", account=comparison, text=comparison_page(rows))
    of_modes = {
        "seconds": args.seconds,
        "rows": [{"camera": r.camera, "mode": r.way, **r.score.as_dict()} for r in hard],
        "cost_us": costs,
        "commands": commands,
    }
    write_results(args.results, "pairing-modes", account=of_modes, text=modes_page(hard, costs))


if __name__ == "__main__":
    run(main)
