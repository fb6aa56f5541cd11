"""Our weights against the published SeAFusion weights, like against like.

    streamfuse weights import seafusion_published.pth --as seafusion
    python benchmarks/comparison.py --ours default --published seafusion

On msrs/val, tno and the last 40 of roadscene, none of which is trained on, in the two modes that have a
published twin: ``reference`` (each image stretched by its own extremes, as published) and ``stream`` (the
published network without its stretch). Plain convention. The target of the project, on each set and in each
mode: at least 6 of EN, MI, VIF, SF, SD, AG, SCD, Qabf and SSIM higher, VIF, Qabf and SSIM among them, and
CHECKER no higher. Some of these a trivial rule can raise, so look at the pictures too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import (
    Commands,
    data_folder,
    link_pairs,
    markdown_table,
    mean_scores,
    run,
    write_results,
)

from streamfuse.engine.store import resolve
from streamfuse.errors import UsageError
from streamfuse.jobs.evaluating.matching import read_stems

SETS = ("msrs-val", "tno", "roadscene-last-40")
MODES = ("reference", "stream")
MODEL = "grdb"

CONTESTED = ("EN", "MI", "VIF", "SF", "SD", "AG", "SCD", "Qabf", "SSIM")
"""Higher is better in each."""
NEEDED = frozenset({"VIF", "Qabf", "SSIM"})
"""Must be among those that are higher."""
LEAST_WINS = 6
GRID = "CHECKER"
"""Lower is better: pixel grids that the others cannot see, or reward."""

Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one set of results stands against the published network's."""

    wins: tuple[str, ...]
    """Contested metrics that are higher."""
    target_met: bool


def verdict(ours: Scores, published: Scores) -> Verdict:
    """Apply the rule of the target to the means over one set of images."""
    wins = tuple(metric for metric in CONTESTED if ours[metric] > published[metric])
    clean = ours[GRID] <= published[GRID]
    return Verdict(wins, len(wins) >= LEAST_WINS and set(wins) >= NEEDED and clean)


def link_set(name: str, data: Path, out: Path) -> None:
    """Link the pairs of one of the sets into ``out``."""
    if name == "msrs-val":
        link_pairs(data / "msrs", out, stems=read_stems(data / "msrs/val.txt"))
    elif name == "tno":
        link_pairs(data / "tno", out)
    else:
        link_pairs(data / "roadscene", out, last=40)


def compare(name: str, weights: Mapping[str, str], *, args: argparse.Namespace, commands: Commands) -> Any:
    """Fuse and measure one set in both modes.

    Args:
        name: of the set.
        weights: what ``fuse`` calls them, by our label.
        args: the command line.
        commands: runs them.

    Returns:
        Mode to label to metric to mean.
    """
    pairs = args.out / "pairs" / name
    link_set(name, data_folder(), pairs)
    sources = ("--visible", pairs / "visible", "--infrared", pairs / "infrared")
    scores = {}
    for mode in MODES:
        fused = {label: args.out / "fused" / name / mode / label for label in weights}
        for label, folder in fused.items():
            chosen = ("--model", MODEL, "--weights", weights[label], "--backend", args.backend)
            commands.run("fuse", *sources, "--out", folder, "--mode", mode, *chosen)
        report = args.out / f"{name}-{mode}.json"
        commands.run(
            *("evaluate", "fusion", "--convention", "plain", "--metrics", ",".join((*CONTESTED, GRID))),
            *("--jobs", str(args.jobs), *sources),
            *(word for folder in fused.values() for word in ("--fused", folder)),
            *("--json", report),
        )
        scores[mode] = mean_scores(report)
    return scores


def rows(scores: Mapping[str, Mapping[str, Mapping[str, Scores]]], published: str) -> Iterator[Sequence[str]]:
    """A row for each set, mode and weights; what beats the published network is bold."""
    for name, modes in scores.items():
        for mode, by_label in modes.items():
            theirs = by_label[published]
            for label, own in by_label.items():
                stands = verdict(own, theirs)
                better = {*stands.wins, *([GRID] if own[GRID] < theirs[GRID] else [])}
                cells = [
                    f"**{own[metric]:.3f}**" if metric in better else f"{own[metric]:.3f}"
                    for metric in (*CONTESTED, GRID)
                ]
                ours = (f"{len(stands.wins)} of {len(CONTESTED)}", "met" if stands.target_met else "missed")
                yield [name, mode, label, *cells, *(("", "") if label == published else ours)]


def verdicts(
    scores: Mapping[str, Mapping[str, Mapping[str, Scores]]], published: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """The rule applied to each of our weights, by set and mode."""
    return {
        name: {
            mode: {
                label: {"wins": stands.wins, "target_met": stands.target_met}
                for label, own in by_label.items()
                if label != published
                for stands in [verdict(own, by_label[published])]
            }
            for mode, by_label in modes.items()
        }
        for name, modes in scores.items()
    }


def labelled(names: Sequence[str]) -> dict[str, str]:
    """What ``fuse`` calls each weights, by a word for the table: a name, or the stem of a path.

    Raises:
        UsageError: two would have one label.
    """
    labels = {Path(name).stem if name.endswith(".safetensors") else name: name for name in names}
    if len(labels) < len(names):
        raise UsageError(f"weights need different names to stand in one table, got {', '.join(names)}")
    return labels


def main() -> None:
    """Fuse, measure, judge; write the table."""
    args = arguments()
    weights = labelled([*args.ours, args.published])
    published = list(weights)[-1]
    cards = {label: resolve(name, model=MODEL).card for label, name in weights.items()}
    commands = Commands(data_folder())
    scores = {name: compare(name, weights, args=args, commands=commands) for name in args.sets}
    account = {
        "convention": "plain",
        "published": published,
        "backend": args.backend,
        "weights": {
            label: {"name": card.name, "architecture": card.architecture, "sha256": card.sha256}
            for label, card in cards.items()
        },
        "scores": scores,
        "verdicts": verdicts(scores, published),
        "commands": commands.typed,
    }
    header = ["set", "mode", "weights", *CONTESTED, GRID, "higher", "target"]
    names = ", ".join(f"{label} = {card.name} ({card.architecture})" for label, card in cards.items())
    text = f"Means, plain convention; bold: better than {published}. {names}.\n\n"
    write_results(
        args.results,
        "comparison",
        account=account,
        text=text + markdown_table(header, rows(scores, published), words=3),
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ours", nargs="+", default=["default"], help="names or paths of weights")
    parser.add_argument("--published", default="seafusion", help="name of the imported checkpoint")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    parser.add_argument("--backend", default="auto", help="of `streamfuse fuse`")
    parser.add_argument("--jobs", type=int, default=1, help="processes that measure")
    parser.add_argument("--out", type=Path, default=Path("runs/comparison"), help="folder for what is made")
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the table"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
