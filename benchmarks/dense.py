"""How much a smooth correction adds to a homography: pairs with a known elastic warp.

Two experiments. The pairs of ``warp`` come with a warped infrared picture and the true flow. As their own
registration is off by one or two pixels, the frames of ``m3svd`` are bent, too: by a random smooth field of
1.5 px, the same for all frames of a clip, of which one or several are given to the search.

    python benchmarks/dense.py OUT
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from _common import data_folder, markdown_table, run, write_results

from streamfuse.errors import CalibrationError
from streamfuse.geometry.alignment.aligner import align
from streamfuse.geometry.alignment.dense import refine_dense
from streamfuse.geometry.gray import gray8
from streamfuse.io.images import read_gray, read_image
from streamfuse.jobs.calibrating.pictures import read_pairs

Floats = npt.NDArray[np.float64]
Gray = npt.NDArray[np.uint8]

_BEND_PX = 1.5
_BEND_SCALE_PX = 50.0
_CLIPS = ("0111_1716", "0117_1605", "0117_1620")
_FRAMES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Warped:
    """A visible picture and a warped infrared one, whose pixel x belongs at the visible pixel target(x)."""

    name: str
    visible: Gray
    infrared: Gray
    target: Floats

    @property
    def best_homography(self) -> Floats:
        """By the truth itself: no homography does better."""
        places, targets = (each[::8, ::8].reshape(-1, 2) for each in (_pixels(self.visible), self.target))
        matrix, _ = cv2.findHomography(places, targets, 0)
        return np.asarray(matrix, np.float64)

    def error_px(self, infrared: Floats) -> float:
        """Mean distance of visible pixels from where the infrared pixels that they show belong (HxWx2)."""
        x, y = (np.ascontiguousarray(infrared[..., axis], np.float32) for axis in (0, 1))
        belongs = [cv2.remap(np.float32(self.target[..., axis]), x, y, cv2.INTER_LINEAR) for axis in (0, 1)]
        height, width = self.visible.shape
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        off = np.linalg.norm(np.stack(belongs, axis=-1) - _pixels(self.visible), axis=-1)
        return float(off[inside].mean())

    def homography_error_px(self, matrix: Floats) -> float:
        """Of a homography alone."""
        places = _pixels(self.visible)
        back = cv2.perspectiveTransform(places.reshape(-1, 1, 2), np.linalg.inv(matrix))
        return self.error_px(np.asarray(back, np.float64).reshape(places.shape))

    def dense_error_px(self, matrix: Floats) -> float:
        """Of a homography and what the search adds to it."""
        warp = refine_dense([(self.visible, self.infrared)], matrix)
        return self.error_px(warp.infrared_from_visible(_pixels(self.visible), matrix))


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    data, out = data_folder(), parser.parse_args().results
    warped = [_measure(pair) for pair in _warp_pairs(data)]
    bent = [row for clip in _CLIPS for row in _bends(data, clip)]
    cut = 1 - sum(row["dense_px"] for row in warped) / sum(row["identity_px"] for row in warped)
    text = (
        f"Mean end-point error on `warp`, in pixels; homography and dense cut it by {100 * cut:.0f} %.\n\n"
        + _table(warped, words=1)
        + "\nm3svd frames bent by 1.5 px: what is left with one pair, and with several of the clip.\n\n"
        + _table(bent, words=1)
    )
    account = {"commands": ["python benchmarks/dense.py"], "warp": warped, "m3svd": bent, "cut": cut}
    write_results(out, "dense", account=account, text=text)


def _table(rows: list[dict[str, float | str]], *, words: int) -> str:
    cells = [[each if isinstance(each, str) else f"{each:.2f}" for each in row.values()] for row in rows]
    return markdown_table(list(rows[0]), cells, words=words)


def _measure(pair: Warped) -> dict[str, float | str]:
    try:
        found = np.asarray(align([(pair.visible, pair.infrared)]).H_visible_from_infrared, np.float64)
    except CalibrationError as error:
        sys.stderr.write(f"{pair.name}: {error}\n")
        found = np.eye(3)
    best = pair.best_homography
    return {
        "pair": pair.name,
        "identity_px": pair.homography_error_px(np.eye(3)),
        "homography_px": pair.homography_error_px(found),
        "dense_px": pair.dense_error_px(found),
        "best_homography_px": pair.homography_error_px(best),
        "best_and_dense_px": pair.dense_error_px(best),
    }


def _warp_pairs(data: Path) -> Iterator[Warped]:
    for path in sorted((data / "warp").glob("*/flow/*.npz")):
        folder, name = path.parent.parent, path.name.removesuffix(".npz")
        flow = np.load(path)["flow"][0].astype(np.float64)
        visible = gray8(read_image(folder / "visible" / name))
        yield Warped(
            name=f"{folder.name} {Path(name).stem}",
            visible=visible,
            infrared=gray8(read_gray(folder / "infrared_warped" / name)),
            target=(flow + 1) * np.array(visible.shape[::-1]) / 2 - 0.5,
        )


def _bends(data: Path, clip: str) -> Iterator[dict[str, float | str]]:
    videos = (str(data / "m3svd" / "video" / stream / f"{clip}.mp4") for stream in ("visible", "infrared"))
    pairs = [(pair.visible.gray, pair.infrared.gray) for pair in read_pairs(*videos, most=_FRAMES)]
    places = _pixels(pairs[0][0])
    rng = np.random.default_rng(0)
    bend = np.stack(
        [cv2.GaussianBlur(rng.normal(size=places.shape[:2]), (0, 0), _BEND_SCALE_PX) for _ in "xy"], axis=-1
    )
    target = places + bend * (_BEND_PX / np.linalg.norm(bend, axis=-1).mean())
    x, y = (np.float32(target[..., axis]) for axis in (0, 1))
    moved = [
        (visible, np.asarray(cv2.remap(infrared, x, y, cv2.INTER_LINEAR), np.uint8))
        for visible, infrared in pairs
    ]
    truth = Warped(name=clip, visible=moved[0][0], infrared=moved[0][1], target=target)
    for count in (1, _FRAMES):
        warp = refine_dense(moved[:count], np.eye(3))
        left = truth.error_px(warp.infrared_from_visible(places, np.eye(3)))
        yield {"clip": clip, "pairs": str(count), "before_px": _BEND_PX, "after_px": left}


def _pixels(image: Gray) -> Floats:
    """HxWx2: x and y of each pixel."""
    sides = (np.arange(side, dtype=np.float64) for side in image.shape[::-1])
    return np.stack(np.meshgrid(*sides), axis=-1)


if __name__ == "__main__":
    run(main)
