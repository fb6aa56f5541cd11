"""What each part of SeAFusion is worth: the paper's ablation, on the network that we ship.

    python benchmarks/ablation.py --judge runs/judge/judge.pt

Every variant is trained for the same number of fusion steps on the MSRS training pairs, fuses the validation
pairs in ``reference`` mode, and is measured by fusion metrics (plain convention) and by the detector of
``judge.py``. Variants differ from ``configs/train/ablation/base.yaml`` in what the table below sets, so every
number comes from commands that the result lists. What was done is not done again: a killed run goes on.

Without a judge the columns of the detector are left out; run again when there is one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from _common import (
    MSRS_LABELS,
    Commands,
    data_folder,
    link_pairs,
    markdown_table,
    mean_scores,
    run,
    write_results,
)

from streamfuse.errors import UsageError
from streamfuse.jobs.evaluating.matching import read_stems

BASE = Path(__file__).parent.parent / "configs/train/ablation/base.yaml"
MODEL = "grdb-edge"
ROUNDS = 4
MEAN_BETA = 1.5
"""Of the rounds: the semantic loss counts 0, 1, 2, 3."""
TURN = 10
"""Fusion steps between two turns of the segmentation network, where both are trained at once."""
SEGMENTATION_SHARE = 2
"""One segmentation step for so many fusion steps."""

METRICS = ("EN", "MI", "VIF", "SF", "SD", "AG", "SCD", "Qabf", "SSIM", "CHECKER")
PRECISIONS = ("mAP50", "mAP70", "mAP90", "mAP50_95")

Scores = Mapping[str, Mapping[str, float]]
"""Of each set by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of the table."""

    name: str
    title: str
    overrides: tuple[str, ...] = ()
    model: str = MODEL


def variants(steps: int, seed: int) -> tuple[Variant, ...]:
    """All variants for a budget of fusion steps.

    Raises:
        UsageError: the budget cannot be shared out evenly.
    """
    if steps < 1 or steps % (ROUNDS * TURN):
        raise UsageError(f"the budget must be a multiple of {ROUNDS * TURN} steps, got {steps}")
    in_rounds = (f"steps={steps // ROUNDS}", *_segmentation(steps // ROUNDS), f"seed={seed}")
    return (
        Variant(name="full", title="full: joint, in adaptive rounds", overrides=in_rounds),
        Variant(
            name="content",
            title="without semantic loss",
            overrides=("semantic=null", "train.0.labels=null", f"steps={steps}", f"seed={seed}"),
        ),
        Variant(
            name="dense",
            title="without gradient branch",
            overrides=(f"model={MODEL}-dense", *in_rounds),
            model=f"{MODEL}-dense",
        ),
        Variant(name="sobel", title="fixed Sobel kernels", overrides=("freeze=[gradient]", *in_rounds)),
        Variant(
            name="one-stage",
            title="joint in one stage",
            overrides=(
                f"semantic.rounds={steps // TURN}",
                f"semantic.beta={MEAN_BETA}",
                f"steps={TURN}",
                *_segmentation(TURN),
                f"seed={seed}",
            ),
        ),
    )


def _segmentation(steps: int) -> tuple[str, ...]:
    return (f"semantic.segmentation.steps={steps // SEGMENTATION_SHARE}",)


class Ablation:
    """The folders of one run, and the commands that fill them."""

    def __init__(self, data: Path, out: Path, commands: Commands) -> None:
        self._data = data
        self._out = out
        self._commands = commands
        self._pairs = out / "pairs"

    def prepare(self) -> None:
        """Link the validation pairs."""
        link_pairs(self._data / "msrs", self._pairs, stems=read_stems(self._data / "msrs/val.txt"))

    def train(self, variant: Variant) -> None:
        """Train one variant."""
        folder = self._out / variant.name
        folder.mkdir(parents=True, exist_ok=True)
        labels = folder / "labels"
        if not labels.is_symlink():  # masks made from boxes take minutes, and are those of all variants
            (self._out / "labels").mkdir(exist_ok=True)
            labels.symlink_to("../labels")
        settings = [word for override in variant.overrides for word in ("--set", override)]
        self._commands.run(
            "train", "fusion", _near(BASE), "--out", folder, *settings, unless=self._weights(variant)
        )

    def fuse(self, variant: Variant) -> None:
        """Fuse the validation pairs with what it learnt."""
        self._commands.run(
            *("fuse", "--visible", self._pairs / "visible", "--infrared", self._pairs / "infrared"),
            *("--out", self._fused(variant), "--mode", "reference"),
            *("--model", variant.model, "--weights", self._weights(variant)),
        )

    def fusion_scores(self, chosen: tuple[Variant, ...]) -> Scores:
        """Means of the metrics over the validation pairs."""
        report = self._out / "fusion.json"
        self._commands.run(
            *("evaluate", "fusion", "--convention", "plain", "--metrics", ",".join(METRICS), "--jobs", "1"),
            *("--visible", self._pairs / "visible", "--infrared", self._pairs / "infrared"),
            *(word for variant in chosen for word in ("--fused", self._fused(variant))),
            *("--json", report),
        )
        return mean_scores(report)

    def precisions(self, chosen: tuple[Variant, ...], judge: Path) -> Scores:
        """What the judge finds on the fused images, and on their sources."""
        report = self._out / "detection.json"
        sets = [self._pairs / "visible", self._pairs / "infrared", *map(self._fused, chosen)]
        self._commands.run(
            *("evaluate", "detection", "--weights", judge),
            *(word for folder in sets for word in ("--images", folder)),
            *(word for labels in MSRS_LABELS for word in ("--labels", self._data / labels)),
            *("--json", report),
        )
        return mean_scores(report)

    def _weights(self, variant: Variant) -> Path:
        return self._out / variant.name / "ablation.safetensors"

    def _fused(self, variant: Variant) -> Path:
        return self._out / "fused" / variant.name


def table(chosen: tuple[Variant, ...], fusion: Scores, precisions: Scores) -> str:
    """A row for each variant, and for the two sources where a detector looked at them."""
    header = ["", *METRICS, *(PRECISIONS if precisions else ())]
    titles = {"visible": "visible alone", "infrared": "infrared alone"} if precisions else {}
    rows = []
    for name, title in {**{variant.name: variant.title for variant in chosen}, **titles}.items():
        values = [fusion[name][metric] if name in fusion else None for metric in METRICS]
        values += [precisions[name][score] for score in PRECISIONS] if precisions else []
        rows.append([title, *("" if value is None else f"{value:.3f}" for value in values)])
    return markdown_table(header, rows)


def _near(path: Path) -> Path:
    """From the working directory, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> None:
    """Train, fuse and measure all chosen variants; write the table."""
    args = arguments()
    chosen = tuple(v for v in variants(args.steps, args.seed) if v.name in (args.only or v.name))
    data = data_folder()
    commands = Commands(data)
    ablation = Ablation(data, args.out / f"{args.steps}-steps-seed-{args.seed}", commands)
    ablation.prepare()
    for variant in chosen:
        ablation.train(variant)
        ablation.fuse(variant)
    fusion = ablation.fusion_scores(chosen)
    precisions = ablation.precisions(chosen, args.judge) if args.judge.exists() else {}
    account = {
        "steps": args.steps,
        "seed": args.seed,
        "convention": "plain",
        "variants": {variant.name: variant.title for variant in chosen},
        "fusion": fusion,
        "detection": precisions,
        "commands": commands.typed,
    }
    title = f"Ablation on msrs/val, {args.steps} fusion steps each, seed {args.seed}, plain convention\n\n"
    write_results(args.results, "ablation", account=account, text=title + table(chosen, fusion, precisions))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=800, help="fusion steps of each variant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", type=Path, default=Path("runs/judge/judge.pt"), help="detector")
    names = [variant.name for variant in variants(ROUNDS * TURN, 0)]
    parser.add_argument("--only", nargs="+", choices=names, help="only these variants")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder for what is made")
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the table"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
