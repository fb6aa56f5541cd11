"""How well boards are found: each picture of the shared data, and what calibrations from them are worth.

    STREAMFUSE_DATA=… python benchmarks/boards.py

Prints what found the board, how sharp and strong it is, and how long it took; then the RMS distance of the
corners from a pinhole camera with one distortion coefficient, and of both cameras together with one
pose between them.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from _common import data_folder, markdown_table

from streamfuse.frames import PixelFormat
from streamfuse.geometry.boards.board import Board, BoardView, same_order
from streamfuse.geometry.boards.finding import find_board
from streamfuse.geometry.boards.thermal import Gray
from streamfuse.geometry.gray import gray8
from streamfuse.io.images import read_image

_ONE = cv2.CALIB_FIX_K2 + cv2.CALIB_FIX_K3 + cv2.CALIB_ZERO_TANGENT_DIST


def main() -> None:
    """Measure and print."""
    folder = data_folder() / "calibration"
    crisp, heated = Board.parse("chessboard:6x5:50mm"), Board.parse("chessboard:9x6:23.1mm")
    rows: list[list[str]] = []
    _look(folder / "crisp_pair" / "rgb0000.jpg", crisp, rows, thermal=False)
    _look(folder / "crisp_pair" / "thermal0000.jpg", crisp, rows, thermal=True)
    views: dict[str, dict[str, BoardView | None]] = {}
    for stream in ("visible", "infrared"):
        views[stream] = {
            path.stem: _look(path, heated, rows, thermal=stream == "infrared")
            for path in sorted((folder / "heated_chessboard" / stream).glob("*.png"))
        }
    header = ["picture", "found by", "points", "edges px", "contrast", "ms"]
    sys.stdout.write(markdown_table(header, rows, words=2) + "\n")
    pairs = [
        (visible, same_order(visible, infrared))
        for name, visible in views["visible"].items()
        if visible is not None and (infrared := views["infrared"][name]) is not None
    ]
    for stream, named in views.items():
        seen = [view for view in named.values() if view is not None]
        sys.stdout.write(f"{stream}: {len(seen)} of {len(named)}, RMS {_lens(seen)[0]:.3f} px\n")
    sys.stdout.write(f"stereo: {len(pairs)} pairs, RMS {_stereo(pairs):.3f} px\n")


def _look(path: Path, board: Board, rows: list[list[str]], *, thermal: bool) -> BoardView | None:
    image = read_image(path)
    gray: Gray = image.planes[0] if image.spec.format is PixelFormat.GRAY16 else gray8(image)
    start = time.perf_counter()
    view = find_board(gray, board, thermal=thermal)
    took = f"{(time.perf_counter() - start) * 1e3:.0f}"
    name = f"{path.parent.name}/{path.name}"
    if view is None:
        rows.append([name, "-", "-", "-", "-", took])
    else:
        numbers = [str(len(view.ids)), f"{view.sharpness_px:.1f}", f"{view.contrast:.3f}", took]
        rows.append([name, view.how + (", inverted" if view.inverted else ""), *numbers])
    return view


def _lens(views: list[BoardView]) -> tuple[float, cv2.typing.MatLike, cv2.typing.MatLike]:
    """RMS distance, matrix and coefficients."""
    objects = [view.object_points.astype(np.float32) for view in views]
    pixels = [view.pixels.astype(np.float32)[:, None] for view in views]
    rms, matrix, bent, *_ = cv2.calibrateCamera(
        objects, pixels, views[0].size_wh, np.eye(3), np.zeros(5), flags=_ONE
    )
    return rms, matrix, bent


def _stereo(pairs: list[tuple[BoardView, BoardView]]) -> float:
    """RMS distance over the corners that both cameras see."""
    lenses = [_lens([pair[at] for pair in pairs])[1:] for at in (0, 1)]
    objects, left, right = [], [], []
    for visible, infrared in pairs:
        ids = np.intersect1d(visible.ids, infrared.ids)
        objects.append(visible.board.points[ids].astype(np.float32))
        for kept, view in ((left, visible), (right, infrared)):
            kept.append(view.pixels[np.isin(view.ids, ids)].astype(np.float32)[:, None])
    size = pairs[0][1].size_wh
    flags = cv2.CALIB_FIX_INTRINSIC
    return float(cv2.stereoCalibrate(objects, left, right, *lenses[0], *lenses[1], size, flags=flags)[0])


if __name__ == "__main__":
    main()
