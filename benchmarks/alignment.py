"""How often pictures alone register two cameras: known random homographies on registered pairs.

    python benchmarks/alignment.py

Each infrared picture is moved by a random homography (scale ±8 %, rotation ±5 degrees, shift ±40 px, each
corner another ±4 px) and aligned again, one pair at a time. Two truths are asked. *Published*: the set is
taken to be registered exactly. *Measured*: the registration that many other pairs of the same cameras
give together (other frames of the clip, msrs/train for msrs/val), for the published one is itself off by
some pixels. Whether that is so is checked by people: MSRS was labelled in both spectra independently, and
boxes of the same object show how far the published registration, and ours, puts them apart.
Success is a mean error of the four corners of at most 3 px.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from _common import data_folder, markdown_table, run, write_results

from streamfuse.errors import CalibrationError
from streamfuse.geometry.alignment.aligner import align
from streamfuse.geometry.alignment.coarse import SearchRange
from streamfuse.geometry.alignment.level import corners_of, mapped

SUCCESS_PX = 3.0
JITTER_PX = 4.0
NEAR = SearchRange(scale=0.02, angle_deg=1.0, shift=0.05)
"""Where the own registration of a published pair is looked for."""

Floats = npt.NDArray[np.float64]
Gray = npt.NDArray[np.uint8]


class Case(NamedTuple):
    """A registered pair."""

    name: str
    visible: Gray
    infrared: Gray


class Outcome(NamedTuple):
    """Of one pair; errors are means over the corners."""

    name: str
    published_px: float | None
    """None: refused."""
    measured_px: float | None
    warned: bool
    """The result says that it may be off by more than 3 px."""
    confidence: float
    seconds: float


def m3svd(data: Path, count: int) -> Iterator[Case]:
    """Frames spread evenly over all clips, in proportion to their lengths."""
    clips = sorted((data / "m3svd" / "video" / "visible").glob("*.mp4"))
    lengths = [int(cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FRAME_COUNT)) for clip in clips]
    wanted = np.linspace(0, sum(lengths) - 1, count + 2)[1:-1].astype(int)
    before = 0
    for clip, length in zip(clips, lengths, strict=True):
        frames = {int(one) - before for one in wanted if before <= one < before + length}
        before += length
        streams = [
            cv2.VideoCapture(str(clip.parents[1] / side / clip.name)) for side in ("visible", "infrared")
        ]
        for frame in range(max(frames, default=-1) + 1):
            pair = [stream.read()[1] for stream in streams]
            if frame in frames and all(one is not None for one in pair):
                visible, infrared = (
                    np.asarray(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY), np.uint8) for one in pair
                )
                yield Case(f"{clip.stem}:{frame}", visible, infrared)


def stills(folder: Path, stems: Sequence[str], count: int) -> Iterator[Case]:
    """Pairs spread evenly over a list."""
    chosen = np.unique(np.linspace(0, len(stems) - 1, min(count, len(stems))).astype(int))
    for stem in (stems[at] for at in chosen):
        visible, infrared = (
            np.asarray(
                cv2.imread(str(next((folder / side).glob(f"{stem}.*"))), cv2.IMREAD_GRAYSCALE), np.uint8
            )
            for side in ("visible", "infrared")
        )
        yield Case(stem, visible, infrared)


def cases(name: str, data: Path, count: int) -> Iterator[Case]:
    """Of one of the sets that this knows."""
    if name == "m3svd":
        return m3svd(data, count)
    if name == "roadscene":
        folder = data / name
        return stills(folder, sorted(path.stem for path in (folder / "visible").iterdir()), count)
    stems = (data / "msrs" / f"{name.removeprefix('msrs-')}.txt").read_text(encoding="utf-8").split()
    return stills(data / "msrs", stems, count)


def random_homography(rng: np.random.Generator, size_wh: tuple[int, int]) -> Floats:
    """Moves an infrared picture."""
    corners = corners_of(size_wh)
    middle = corners.mean(axis=0)
    angle, scale = np.radians(rng.uniform(-5, 5)), 1 + rng.uniform(-0.08, 0.08)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to = (corners - middle) @ turn.T + middle + rng.uniform(-40, 40, 2)
    to += rng.uniform(-JITTER_PX, JITTER_PX, (4, 2))
    return np.asarray(
        cv2.getPerspectiveTransform(corners.astype(np.float32), to.astype(np.float32)), np.float64
    )


def judge(case: Case, rng: np.random.Generator, reference: Floats) -> Outcome:
    """Move, align again, compare."""
    height, width = case.infrared.shape
    move = random_homography(rng, (width, height))
    moved = np.asarray(cv2.warpPerspective(case.infrared, move, (width, height)), np.uint8)
    began = process_time()
    try:
        found = align([(case.visible, moved)])
    except CalibrationError:
        return Outcome(case.name, None, None, False, 0.0, process_time() - began)
    truth, size_wh = np.asarray(np.linalg.inv(move), np.float64), (width, height)
    return Outcome(
        case.name,
        corner_error_px(found.H_visible_from_infrared, truth, size_wh),
        corner_error_px(found.H_visible_from_infrared, reference @ truth, size_wh),
        found.residual_px > SUCCESS_PX,
        found.confidence,
        process_time() - began,
    )


def group_of(case: Case) -> str:
    """Pairs of one group were taken by one pair of cameras that did not move against each other."""
    return case.name.partition(":")[0] if ":" in case.name else "stills"


def references(name: str, data: Path) -> dict[str, Floats]:
    """The registration that other pairs of the same cameras give together, by group."""
    others = {"m3svd": ("m3svd", 151), "msrs-val": ("msrs-train", 48), "msrs-train": ("msrs-val", 40)}
    if name not in others:  # pairs of many cameras
        return {}
    groups: dict[str, list[tuple[Gray, Gray]]] = {}
    for case in cases(others[name][0], data, others[name][1]):
        groups.setdefault(group_of(case), []).append((case.visible, case.infrared))
    return {
        group: align(pairs, search=NEAR).H_visible_from_infrared.copy() for group, pairs in groups.items()
    }


def corner_error_px(found: Floats, truth: Floats, size_wh: tuple[int, int]) -> float:
    """Mean over the four corners."""
    corners = corners_of(size_wh)
    return float(np.linalg.norm(mapped(found, corners) - mapped(truth, corners), axis=1).mean())


def boxes_apart_px(data: Path, way: Floats) -> tuple[int, float]:
    """How many objects of MSRS are labelled in both spectra, and how far apart their middles lie.

    The mean vector over regions of the picture counts, for each box alone is drawn to a few pixels only.
    """
    found = []
    for path in sorted((data / "msrs" / "labels_visible").glob("*.txt")):
        visible, infrared = (
            _boxes(path.parents[1] / side / path.name) for side in ("labels_visible", "labels_infrared")
        )
        for one in visible:
            near = [other for other in infrared if other[0] == one[0] and _overlap(one[1:], other[1:]) > 0.5]
            found += [(one[1:3], other[1:3]) for other in near]
    seen, warm = (np.array(places) * (640.0, 480.0) - 0.5 for places in zip(*found, strict=True))
    apart = mapped(way, warm) - seen
    column = np.minimum(seen[:, 0] // 160, 3)
    means = [np.median(apart[column == place], axis=0) for place in range(4)]
    return len(found), float(np.mean(np.linalg.norm(means, axis=1)))


def _boxes(path: Path) -> list[tuple[float, ...]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [tuple(map(float, line.split())) for line in lines if line.strip()]


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of x, y, width, height around the middle."""
    sides = [
        min(one[k] + one[k + 2] / 2, other[k] + other[k + 2] / 2)
        - max(one[k] - one[k + 2] / 2, other[k] - other[k + 2] / 2)
        for k in (0, 1)
    ]
    both = max(0.0, sides[0]) * max(0.0, sides[1])
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def row(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Shares are of all pairs, refused ones too."""
    count = len(outcomes)
    published, measured = (
        np.array([getattr(one, key) for one in outcomes if getattr(one, key) is not None], np.float64)
        for key in ("published_px", "measured_px")
    )
    silent = [one for one in outcomes if (one.measured_px or 0.0) > SUCCESS_PX and not one.warned]
    shares = [
        np.count_nonzero(published <= SUCCESS_PX),
        np.count_nonzero(measured <= SUCCESS_PX),
        np.count_nonzero(measured <= 2 * SUCCESS_PX),
        count - published.size,
        len(silent),
    ]
    middles = [f"{np.median(one):.1f}" for one in (published, measured)]
    seconds = f"{np.median([one.seconds for one in outcomes]):.1f}"
    return [name, str(count), *(f"{share / count:.0%}" for share in shares), *middles, seconds]


def main() -> None:
    """All sets; write the table."""
    args = arguments()
    cv2.setNumThreads(1)
    data, rows = data_folder(), []
    command = f"python benchmarks/alignment.py --sets {args.sets} --pairs {args.pairs} --seed {args.seed}"
    account: dict[str, Any] = {"commands": [command]}
    told = []
    for name in args.sets.split(","):
        known = references(name, data)
        groups: dict[str, list[Outcome]] = {}
        for number, case in enumerate(cases(name, data, args.pairs)):
            group = group_of(case)
            outcome = judge(case, np.random.default_rng([args.seed, number]), known.get(group, np.eye(3)))
            groups.setdefault(group, []).append(outcome)
        account[name] = {group: [one._asdict() for one in outcomes] for group, outcomes in groups.items()}
        rows += [row(name if group == "stills" else f"{name} {group}", one) for group, one in groups.items()]
        if len(groups) > 1:
            rows.append(row(f"{name}, all", [one for outcomes in groups.values() for one in outcomes]))
        for group, way in known.items():
            off_px = corner_error_px(way, np.eye(3), (640, 480))
            told.append(f"{name} {group}: the two truths are {off_px:.1f} px apart in the corners.")
        if name == "msrs-val":
            count, before_px = boxes_apart_px(data, np.eye(3))
            after_px = boxes_apart_px(data, known["stills"])[1]
            told.append(
                f"{count} objects of msrs that people labelled in both spectra are {before_px:.1f} px apart "
                f"in the published registration, {after_px:.1f} px in the measured one."
            )
    header = ["set", "pairs", "published <= 3 px", "measured <= 3 px", "measured <= 6 px", "refused"]
    header += ["off and not warned", "published, median px", "measured, median px", "CPU s"]
    text = markdown_table(header, rows) + "".join(f"\n{line}\n" for line in told)
    write_results(args.results, args.name, account=account, text=text)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="m3svd,msrs-val", help="of m3svd, msrs-val, msrs-train, roadscene")
    parser.add_argument("--pairs", type=int, default=40, help="of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="alignment", help="of the table")
    parser.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the table"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
