"""How true `calibrate stereo` is where the truth is known, and how it does on a real heated board.

    STREAMFUSE_DATA=… python benchmarks/calibration.py

Drawn boards (`synthetic://board`) move before two cameras with lenses that bend, with noise, blur, and a
gradient of warmth ten times the contrast of the board, inverted in infrared. The true cameras are compared
with what the command finds: focal length, the turn of one camera against the other, and where it stands.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _common import data_folder, markdown_table, run, write_results

from streamfuse.geometry.pose import Pose
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth

_URI = "synthetic://board?seed={seed}&board={board}&format={form}&duration=46&hold=1&move=0.5"
_DRAWN = (
    (1, "chessboard:9x6:23.1mm", "gray16"),
    (2, "chessboard:9x6:23.1mm", "gray16"),
    (3, "chessboard:9x6:23.1mm", "gray8"),
    (4, "charuco:7x5:30mm:22mm", "gray16"),
)
_HEATED = "calibration/heated_chessboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rig, and how far from the truth it came out."""

    rig: str
    pairs: int
    used: int
    visible_px: float
    infrared_px: float
    stereo_px: float
    focal_percent: float | None = None
    """Of the worst of four focal lengths."""
    turn_deg: float | None = None
    baseline_percent: float | None = None


def stereo(visible: str, infrared: str, board: str, out: Path) -> dict[str, Any]:
    """What the command says, as a reader would call it."""
    words = [
        sys.executable,
        "-m",
        "streamfuse",
        "calibrate",
        "stereo",
        "--visible",
        visible,
        "--infrared",
        infrared,
    ]
    words += ["--board", board, "--out", str(out), "--json"]
    sys.stderr.write(f"$ {shlex.join(['streamfuse', *words[3:]])}\n")
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row_of(name: str, found: dict[str, Any], truth: BoardTruth | None = None) -> Row:
    """One line of the table."""
    used = [pair for pair in found["pairs"] if pair["left_out"] is None]
    row: dict[str, Any] = {
        "rig": name,
        "pairs": len(found["pairs"]),
        "used": len(used),
        "visible_px": _rms(used, "visible_rms_px"),
        "infrared_px": _rms(used, "infrared_rms_px"),
        "stereo_px": found["rms_px"],
    }
    if truth is not None:
        row |= _errors(found, truth)
    return Row(**row)


def _errors(found: dict[str, Any], truth: BoardTruth) -> dict[str, float]:
    focals = [
        abs(found[stream][axis] / getattr(lens, axis) - 1)
        for stream, lens in (("visible", truth.visible), ("infrared", truth.infrared))
        for axis in ("fx", "fy")
    ]
    true = Pose.from_matrix(
        truth.T_visible_from_infrared.rotation, truth.T_visible_from_infrared.translation_m
    )
    pose = Pose(**{key: tuple(value) for key, value in found["T_visible_from_infrared"].items()})
    apart = np.linalg.norm(np.subtract(pose.translation_m, true.translation_m))
    return {
        "focal_percent": 100 * max(focals),
        "turn_deg": (true.inverse @ pose).angle_deg,
        "baseline_percent": 100 * float(apart) / true.distance_m,
    }


def _rms(pairs: list[dict[str, Any]], key: str) -> float:
    return float(np.sqrt(np.mean([pair[key] ** 2 for pair in pairs])))


def page(rows: list[Row]) -> str:
    """The table."""
    header = [
        "rig",
        "pairs",
        "used",
        "visible px",
        "infrared px",
        "both px",
        "focal %",
        "turn deg",
        "baseline %",
    ]
    cells = [
        [row.rig, str(row.pairs), str(row.used)]
        + [f"{value:.3f}" for value in (row.visible_px, row.infrared_px, row.stereo_px)]
        + [
            "" if value is None else f"{value:.3f}"
            for value in (row.focal_percent, row.turn_deg, row.baseline_percent)
        ]
        for row in rows
    ]
    return markdown_table(header, cells, words=1)


def main() -> None:
    """Measure all rigs, write the table and its JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, board, form in _DRAWN:
            uri = _URI.format(seed=seed, board=board, form=form)
            found = stereo(uri, uri, board, Path(folder) / f"{seed}.yaml")
            rows.append(
                row_of(
                    f"drawn {seed}, {board.split(':')[0]}, {form}", found, BoardTruth(BoardSpec.from_uri(uri))
                )
            )
        heated = data_folder() / _HEATED
        found = stereo(
            str(heated / "visible"),
            str(heated / "infrared"),
            "chessboard:9x6:23.1mm",
            Path(folder) / "h.yaml",
        )
        rows.append(row_of("heated_chessboard", found))
    account = {
        "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in rows],
        "commands": [shlex.join(["python", *sys.argv])],
    }
    write_results(args.results, "calibration", account=account, text=page(rows))


if __name__ == "__main__":
    run(main)
