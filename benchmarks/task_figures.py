"""What fusion brings to a detector, and how good the shipped detector is: the tables of ``docs/tasks.md``.

    python benchmarks/task_figures.py --weights default

One detector looks at the same scenes as visible, as infrared and as fused image. On msrs/val, which nothing
was trained on, against the union of what all annotators saw, day and night apart, and once against the labels
of the fused images alone; on synthetic streets that no training has seen, against exact boxes; and on the
smoke clip, for the people whom the visible frames hide. The pictures show synthetic streets only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from _common import MSRS_LABELS, Commands, data_folder, link_pairs, markdown_table, run, write_results
from judge import average, yolo_text
from smoke_people import RENDERINGS, SmokeScore, score_clip

from streamfuse.config.tasks import Detect, Tasks
from streamfuse.config.training_detector import DetectorStreets
from streamfuse.core.boxes import Box
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.frames import Image
from streamfuse.io.files import write_text
from streamfuse.io.images import match_stems, read_gray, read_image, write_png
from streamfuse.io.overlay import draw_overlay
from streamfuse.jobs.detecting.rendering import Renderer
from streamfuse.jobs.detecting.scene import Scene
from streamfuse.jobs.detecting.streets import street_scenes
from streamfuse.jobs.evaluating.matching import read_stems
from streamfuse.jobs.evaluating.pictures import read_rgb

CLASSES = ("person", "bicycle", "car")
FUSIONS = ("grdb-fine", "grdb", "grdb-edge", "grdb-semantic")
"""The shipped networks, the default one first."""
AVERAGE = "average"
LIGHTS: tuple[Literal["day", "dusk", "night", "smoke"], ...] = ("day", "dusk", "night", "smoke")
FIRST_SEED = 500_000
"""Streets from here on are for tests; trainings stay far below."""
MOMENTS = 3
CLIP = "m3svd/video/*/0117_1605.mp4"

Report = Mapping[str, Any]


def main() -> None:
    """Fuse, look, judge; write the tables and the pictures."""
    args = arguments()
    data, commands = data_folder(), Commands(data_folder())
    fuse_msrs(data, args.out / "msrs", commands)
    if not (args.out / "streets/done").exists():
        write_streets(args.out / "streets", count=args.streets)
    reports = {
        "msrs_val": evaluate_msrs(data, args, commands),
        "msrs_val_labels_fused": evaluate_fused_labels(data, args, commands),
        "streets": evaluate_streets(args, commands),
    }
    smoke = score_smoke(data / CLIP, args.weights)
    draw_streets(args.out / "streets", args.weights, out=args.pictures)
    account = {
        "weights": args.weights,
        "reports": reports,
        "smoke": {kind: {**counted(score), **score.shares()} for kind, score in smoke.items()},
        "commands": [*commands.typed, f"python benchmarks/task_figures.py --weights {args.weights}"],
    }
    write_results(args.results, "tasks", account=account, text=page(reports, smoke))


def fuse_msrs(data: Path, out: Path, commands: Commands) -> None:
    """Fuse the validation pairs by each of our networks, and by the plain average."""
    stems = read_stems(data / "msrs/val.txt")
    link_pairs(data / "msrs", out, stems=stems)
    sides = ("--visible", out / "visible", "--infrared", out / "infrared")
    for name in FUSIONS:
        commands.run("fuse", *sides, "--out", out / name, "--model", "grdb", "--weights", name)
    match = match_stems(out / "visible", out / "infrared")
    (out / AVERAGE).mkdir(exist_ok=True)
    for stem, (visible, infrared) in zip(match.stems, match.pairs, strict=True):
        write_png(out / AVERAGE / f"{stem}.png", average(read_image(visible), read_gray(infrared)))


def write_streets(out: Path, *, count: int) -> None:
    """Draw streets in all lights: ``RENDERING/LIGHT-STREET.png`` and ``labels/LIGHT-STREET.txt``.

    Three moments of each: the bicycles come near some seconds after the start only.
    """
    streets = DetectorStreets(seeds=(FIRST_SEED, count), lights=LIGHTS, moments=MOMENTS)
    with FusionEngine.load() as engine:
        for number, scene in enumerate(street_scenes(streets, CLASSES, Renderer(engine))):
            stem = f"{LIGHTS[number // MOMENTS % len(LIGHTS)]}-{scene.name}"
            for kind, rgb in scene.renderings.items():
                (out / kind).mkdir(parents=True, exist_ok=True)
                write_png(out / kind / f"{stem}.png", Image.from_rgb(rgb))
            (out / "labels").mkdir(exist_ok=True)
            write_text(out / "labels" / f"{stem}.txt", yolo_text(boxes_of(scene)))
    write_text(out / "done", "")


def boxes_of(scene: Scene) -> tuple[Box, ...]:
    """The objects of a scene, cut at the edges of its picture."""
    width, height = scene.size_wh
    corners = (
        (one.class_id, np.clip(one.box_xyxy, 0, (width, height, width, height)).tolist())
        for one in scene.things
    )
    return tuple(Box.from_pixels(class_id, xyxy, size_wh=scene.size_wh) for class_id, xyxy in corners)


def evaluate_msrs(data: Path, args: argparse.Namespace, commands: Commands) -> Report:
    """All images of msrs/val against the union of the labels, and what the default fusion has over either."""
    folder = args.out / "msrs"
    names = ("visible", "infrared", AVERAGE, *FUSIONS)
    return evaluate(
        [folder / name for name in names],
        [data / labels for labels in MSRS_LABELS],
        *("--group", "day=*D", "--group", "night=*N", "--names", data / "msrs/val.txt"),
        *(word for other in names[:3] for word in ("--compare", f"{FUSIONS[0]}:{other}")),
        *("--plots", args.results / "tasks"),
        report=args.out / "msrs.json",
        args=args,
        commands=commands,
    )


def evaluate_fused_labels(data: Path, args: argparse.Namespace, commands: Commands) -> Report:
    """The fused images of msrs/val against what their own annotator saw."""
    return evaluate(
        [args.out / "msrs" / name for name in FUSIONS],
        [data / "msrs/labels_fused"],
        *("--group", "day=*D", "--group", "night=*N", "--names", data / "msrs/val.txt"),
        report=args.out / "msrs-labels-fused.json",
        args=args,
        commands=commands,
    )


def evaluate_streets(args: argparse.Namespace, commands: Commands) -> Report:
    """Streets no training has seen, each light apart."""
    folder = args.out / "streets"
    return evaluate(
        [folder / kind for kind in RENDERINGS],
        [folder / "labels"],
        *(word for light in LIGHTS for word in ("--group", f"{light}={light}-*")),
        *("--compare", "fused:visible", "--compare", "fused:infrared"),
        report=args.out / "streets.json",
        args=args,
        commands=commands,
    )


def evaluate(
    images: Sequence[Path],
    labels: Sequence[Path],
    *more: str | Path,
    report: Path,
    args: argparse.Namespace,
    commands: Commands,
) -> Report:
    """Run ``streamfuse evaluate detection``.

    Returns:
        Its JSON report.
    """
    folders = [word for folder in images for word in ("--images", folder)]
    folders += [word for folder in labels for word in ("--labels", folder)]
    words = ("--weights", args.weights, "--resamples", str(args.resamples), "--json", report)
    commands.run("evaluate", "detection", *folders, *more, *words)
    read: Report = json.loads(report.read_text(encoding="utf-8"))
    return read


def score_smoke(clip: Path, weights: str) -> dict[str, SmokeScore]:
    """The people that smoke hides, in each rendering, at the confidence of a pipeline."""
    runner = TaskRunner.load(Tasks(detect=Detect(weights=weights)))
    try:
        with FusionEngine.load() as engine:
            return score_clip(clip, runner, engine)
    finally:
        runner.close()


def draw_streets(folder: Path, weights: str, *, out: Path) -> None:
    """One street of each light, a row each: what is found in the visible, infrared and fused image."""
    runner = TaskRunner.load(Tasks(detect=Detect(weights=weights)))
    rows = []
    try:
        for light in LIGHTS:
            stem = min(path.stem for path in (folder / "fused").glob(f"{light}-*.png"))
            images = [read_rgb(folder / kind / f"{stem}.png") for kind in RENDERINGS]
            looked = runner.run(images, pair_ids=[0] * len(images))
            drawn = [draw_overlay(rgb, one.detections) for rgb, one in zip(images, looked, strict=True)]
            rows.append(np.hstack(drawn))
    finally:
        runner.close()
    out.mkdir(parents=True, exist_ok=True)
    whole = np.vstack(rows)
    half_wh = (whole.shape[1] // 2, whole.shape[0] // 2)  # what a page shows; the full size is 6 MB
    write_png(
        out / "tasks-streets.png",
        Image.from_rgb(cv2.resize(whole, half_wh, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)),
    )


def counted(score: SmokeScore) -> dict[str, int]:
    """The numbers behind the shares."""
    return {"hidden": score.hidden, "found": score.found, "frames": score.frames}


def page(reports: Mapping[str, Report], smoke: Mapping[str, SmokeScore]) -> str:
    """All tables, in Markdown."""
    titles = {
        "msrs_val": "msrs/val against the union of all labels",
        "msrs_val_labels_fused": "msrs/val, fused images against `labels_fused`",
        "streets": "Synthetic streets no training has seen",
    }
    header = ["images", "set", "mAP50", "95 %", *(f"{name} AP50" for name in CLASSES), "mAP50_95"]
    parts = [
        f"## {title}\n\n{markdown_table(header, score_rows(reports[key]), words=2)}"
        for key, title in titles.items()
    ]
    columns = ["set", "hidden people found", "frames with one found", "frames with all found"]
    rows = ([kind, *(f"{share:.0%}" for share in score.shares().values())] for kind, score in smoke.items())
    parts.append(f"## Smoke: people whom the visible frames hide\n\n{markdown_table(columns, rows)}")
    return "\n".join(parts)


def score_rows(report: Report) -> Iterator[list[str]]:
    """A row for each set, and for each difference of two, of all images and of each group."""
    for group, scores in {"all": report, **report["groups"]}.items():
        differences = {f"{one['first']} - {one['second']}": one for one in scores["comparisons"]}
        for name, own in {**scores["sets"], **differences}.items():
            interval = own.get("intervals", {}).get("mean", {}).get("mAP50")
            by_class = [number(own["classes"][each]["AP50"]) for each in CLASSES]
            spread = " … ".join(map(number, interval)) if interval else ""
            mean = own["mean"]
            yield [group, name, number(mean["mAP50"]), spread, *by_class, number(mean["mAP50_95"])]


def number(value: float | None) -> str:
    """Three digits, or a dash where there is nothing to score."""
    return "-" if value is None else f"{value:.3f}"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="default", help="of the detector: a name or a path")
    parser.add_argument("--streets", type=int, default=24, help="synthetic streets, the lights in turn")
    parser.add_argument("--resamples", type=int, default=2000, help="for the intervals")
    parser.add_argument("--out", type=Path, default=Path("runs/tasks"), help="folder for what is made")
    parser.add_argument("--pictures", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
