"""How often pictures alone register two cameras: known random homographies on registered pairs.

    python benchmarks/alignment.py

Each infrared picture is moved by a random homography (scale ±8 %, rotation ±5 degrees, shift ±40 px, each
corner another ±4 px) and aligned again, one pair at a time. Two truths are asked. *Published*: the set is
taken to be registered exactly. *Own*: what aligning the untouched pair says, for the published registration
is itself off by some pixels; whether that is so is checked by mutual information, which the aligner does
not use. Success is a mean error of the four corners of at most 3 px.
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
    own_px: float | None
    """None: refused, or the untouched pair cannot be aligned."""
    offset_px: float | None
    """Between the published and the own registration."""
    information_gain: float | None
    """Mutual information of the own registration less that of the published one."""
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


def judge(case: Case, rng: np.random.Generator) -> Outcome:
    """Move, align again, compare."""
    height, width = case.infrared.shape
    move = random_homography(rng, (width, height))
    moved = np.asarray(cv2.warpPerspective(case.infrared, move, (width, height)), np.uint8)
    began = process_time()
    try:
        found = align([(case.visible, moved)])
    except CalibrationError:
        return Outcome(case.name, None, None, None, None, 0.0, process_time() - began)
    seconds = process_time() - began
    truth, size_wh = np.asarray(np.linalg.inv(move), np.float64), (width, height)
    published_px = corner_error_px(found.H_visible_from_infrared, truth, size_wh)
    try:
        own = align([(case.visible, case.infrared)], search=NEAR).H_visible_from_infrared
    except CalibrationError:
        return Outcome(case.name, published_px, None, None, None, found.confidence, seconds)
    return Outcome(
        case.name,
        published_px,
        corner_error_px(found.H_visible_from_infrared, own @ truth, size_wh),
        corner_error_px(own, np.eye(3), size_wh),
        mutual_information(case, own) - mutual_information(case, np.eye(3)),
        found.confidence,
        seconds,
    )


def corner_error_px(found: Floats, truth: Floats, size_wh: tuple[int, int]) -> float:
    """Mean over the four corners."""
    corners = corners_of(size_wh)
    return float(np.linalg.norm(mapped(found, corners) - mapped(truth, corners), axis=1).mean())


def mutual_information(case: Case, H_visible_from_infrared: Floats) -> float:  # noqa: N803 - a homography
    """Of the greys, in nats, away from the border, which another homography would cut otherwise."""
    size_wh = case.visible.shape[::-1]
    inner = slice(24, -24), slice(24, -24)
    moved = cv2.warpPerspective(case.infrared, H_visible_from_infrared, size_wh)
    # A registration that has to interpolate must not win by being smoother: both are blurred alike.
    one, other = (cv2.GaussianBlur(gray, (0, 0), 1.5)[inner].ravel() for gray in (case.visible, moved))
    joint = np.histogram2d(one, other, bins=32)[0] / one.size
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float(np.sum(joint[joint > 0] * np.log(joint[joint > 0] / alone[joint > 0])))


def row(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Shares are of all pairs, refused ones too."""
    count = len(outcomes)
    published, own, offset, gain = (
        np.array([getattr(one, key) for one in outcomes if getattr(one, key) is not None], np.float64)
        for key in ("published_px", "own_px", "offset_px", "information_gain")
    )
    shares = [
        int(np.count_nonzero(published <= SUCCESS_PX)),
        int(np.count_nonzero(published > 3 * SUCCESS_PX)),
        int(np.count_nonzero(own <= SUCCESS_PX)),
        int(np.count_nonzero(own > SUCCESS_PX)),
        count - published.size,
    ]
    better = f"{np.mean(gain > 0):.0%}" if gain.size else ""
    middles = [f"{np.median(one):.1f}" if one.size else "" for one in (published, own, offset)]
    seconds = f"{np.median([one.seconds for one in outcomes]):.1f}"
    return [name, str(count), *(f"{share / count:.0%}" for share in shares), *middles, better, seconds]


def main() -> None:
    """All sets; write the table."""
    args = arguments()
    cv2.setNumThreads(1)
    data, rows, account = (
        data_folder(),
        [],
        dict[str, Any](
            commands=[
                f"python benchmarks/alignment.py --sets {args.sets} --pairs {args.pairs} --seed {args.seed}"
            ]
        ),
    )
    for name in args.sets.split(","):
        outcomes = []
        for number, case in enumerate(cases(name, data, args.pairs)):
            outcomes.append(judge(case, np.random.default_rng([args.seed, number])))
        account[name] = [one._asdict() for one in outcomes]
        rows.append(row(name, outcomes))
    header = ["set", "pairs", "published <= 3 px", "published > 9 px", "own <= 3 px", "own > 3 px", "refused"]
    header += ["published, median px", "own, median px", "between both, px", "more MI in own", "CPU s"]
    write_results(args.results, args.name, account=account, text=markdown_table(header, rows))


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
