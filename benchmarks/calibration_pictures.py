"""The pictures in docs/calibration.md, all of drawn scenes.

    python benchmarks/calibration_pictures.py

The board: as the visible camera sees it, the raw heat, and the heat levelled, with the corners that were
found. The street: visible and infrared in the fields of a chessboard, before and after `calibrate align`. The
report: the page that `calibrate report` makes of a drawn rig, in Chromium (``.ci/servers``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from _common import run
from playwright.sync_api import sync_playwright

from streamfuse.errors import MachineError
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.boards.finding import find_board
from streamfuse.geometry.boards.thermal import levelled
from streamfuse.io.images import write_png
from streamfuse.jobs.calibrating.pictures import read_pictures

BOARD = "chessboard:9x6:23.1mm"
SCENE = f"synthetic://board?seed=3&board={BOARD}&format=gray16&duration=40&hold=1&move=0.5"
STREET = "synthetic://street?seed=7&duration=6"
Gray = npt.NDArray[np.uint8]


def board(path: Path) -> None:
    """Visible, raw heat, levelled heat, with the corners that were found."""
    panels = []
    spec = Board.parse(BOARD)
    for stream in StreamName:
        picture = next(iter(read_pictures(SCENE, stream, most=1)))
        counts, thermal = picture.counts, stream is StreamName.INFRARED
        view = find_board(counts, spec, thermal=thermal)
        if view is None:
            raise MachineError(f"{stream}: the drawn board was not found")
        shown = [picture.gray, levelled(counts, surface_px=15.0)] if thermal else [picture.gray]
        panels += [cv2.cvtColor(np.ascontiguousarray(gray), cv2.COLOR_GRAY2RGB) for gray in shown]
        for x, y in np.rint(view.pixels * 16).astype(int).tolist():
            cv2.circle(panels[-1], (x, y), 64, (255, 80, 40), 1, cv2.LINE_AA, shift=4)
    write_png(path, Image.from_rgb(np.hstack(panels)[::2, ::2].copy()))


def command(*words: str | Path) -> None:
    """Run `streamfuse calibrate`; its words go to the screen."""
    done = subprocess.run([sys.executable, "-m", "streamfuse", "calibrate", *map(str, words)], check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise MachineError(f"`calibrate {words[0]}` ended with {done.returncode}; see its message above")


def page(source: Path, path: Path) -> None:
    """A picture of a page."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1100, "height": 1500})
        tab.goto(source.as_uri())
        tab.screenshot(path=path)
        browser.close()


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    board(args.out / "calibration-board.png")
    with tempfile.TemporaryDirectory() as folder:
        rig, drawn = Path(folder) / "street.yaml", Path(folder) / "board.yaml"
        street = ("--visible", STREET, "--infrared", STREET)
        command("align", *street, "--out", rig, "--picture", args.out / "calibration-align.png")
        command("stereo", "--visible", SCENE, "--infrared", SCENE, "--board", BOARD, "--out", drawn)
        command("report", drawn, "--out", Path(folder) / "report.html")
        page(Path(folder) / "report.html", args.out / "calibration-report.png")


if __name__ == "__main__":
    run(main)
