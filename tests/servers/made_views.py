"""Views of a board by cameras that are known exactly, with noise on the corners; and pictures of it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.boards.board import Board, BoardView
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.pose import Pose

BOARD = Board.parse("chessboard:9x6:23.1mm")
VISIBLE = Camera(size_wh=(1280, 960), fx=1100, fy=1100, cx=630, cy=470, distortion=(-0.1, 0.02, 0, 0))
INFRARED = Camera(
    size_wh=(640, 480), fx=767.9, fy=767.0, cx=317, cy=231.6, distortion=(-0.504, 0.269, 0.00345, -0.00075)
)
FISHEYE = Camera(
    size_wh=(640, 480), fx=280, fy=281, cx=322, cy=238, model="fisheye", distortion=(0.05, -0.01, 0, 0)
)
RIG = Pose(rotation_vector=(0.02, -0.03, 0.05), translation_m=(0.12, 0.01, -0.005))
"""``T_visible_from_infrared``"""


def view_of(
    camera: Camera, pose: Pose, *, rng: np.random.Generator, noise_px: float = 0.1, board: Board = BOARD
) -> BoardView | None:
    """The board at a pose; None if a corner is outside of the picture."""
    pixels = camera.project(pose.apply(board.points))
    if not np.isfinite(pixels).all() or (pixels < 5).any() or (pixels > np.subtract(camera.size_wh, 6)).any():
        return None
    noisy = pixels + rng.normal(0, noise_px, pixels.shape)
    return BoardView(board=board, size_wh=camera.size_wh, ids=board.ids, pixels=noisy)


def random_pose(
    camera: Camera,
    rng: np.random.Generator,
    *,
    tilt_deg: float = 35,
    share: tuple[float, float] = (0.25, 0.6),
) -> Pose:
    """The board somewhere before a camera, so that it fills a share of its width; ``T_camera_from_board``."""
    x, y = np.radians(rng.uniform(-tilt_deg, tilt_deg, 2))
    roll = np.radians(rng.uniform(-15, 15))
    turns = [cv2.Rodrigues(np.array(axis))[0] for axis in ((0, 0, roll), (x, 0, 0), (0, y, 0.0))]
    rotation = turns[0] @ turns[1] @ turns[2]
    width = np.ptp(BOARD.points[:, 0])
    distance = camera.fx * width / (rng.uniform(*share) * camera.size_wh[0])
    ray = camera.normalise([rng.uniform(0.1, 0.9, 2) * camera.size_wh])[0]
    middle = np.array((*ray, 1.0)) * distance
    return Pose.from_matrix(rotation, middle - rotation @ BOARD.points.mean(axis=0))


def views_of(
    camera: Camera,
    count: int,
    *,
    seed: int = 0,
    noise_px: float = 0.1,
    tilt_deg: float = 35,
    share: tuple[float, float] = (0.25, 0.6),
) -> dict[str, BoardView]:
    """Whole views at random poses."""
    rng = np.random.default_rng(seed)
    views: dict[str, BoardView] = {}
    while len(views) < count:
        pose = random_pose(camera, rng, tilt_deg=tilt_deg, share=share)
        view = view_of(camera, pose, rng=rng, noise_px=noise_px)
        if view is not None:
            views[f"{len(views):02}.png"] = view
    return views


def pairs_of(
    count: int, *, seed: int = 0, noise_px: float = 0.1, turned: bool = False
) -> dict[str, tuple[BoardView, BoardView]]:
    """What VISIBLE and INFRARED see at once; ``turned``: every other infrared one from its other end."""
    rng = np.random.default_rng(seed)
    pairs: dict[str, tuple[BoardView, BoardView]] = {}
    while len(pairs) < count:
        pose = random_pose(INFRARED, rng, share=(0.3, 0.7))
        infrared = view_of(INFRARED, pose, rng=rng, noise_px=noise_px)
        visible = view_of(VISIBLE, RIG @ pose, rng=rng, noise_px=noise_px)
        if visible is None or infrared is None:
            continue
        if turned and len(pairs) % 2:
            infrared = infrared.turned(BOARD.turns[1])
        pairs[f"{len(pairs):02}.png"] = (visible, infrared)
    return pairs


def shifted(view: BoardView, by_px: npt.ArrayLike) -> BoardView:
    """The view with its corners moved: by one shift, or each by its own."""
    return replace(view, pixels=view.pixels + np.asarray(by_px, np.float64))


def picture_of(camera: Camera, pose: Pose, *, board: Board = BOARD) -> npt.NDArray[np.uint8]:
    """A chessboard through an ideal lens: HxW uint8, four times oversampled."""
    square = 40
    cells = np.indices((board.rows + 1, board.columns + 1)).sum(axis=0) % 2
    squares = np.kron(np.where(cells, 255, 20), np.ones((square, square)))
    art = np.pad(squares, square, constant_values=255).astype(np.uint8)
    # The first inner corner lies between pixels, two squares from the edge of the art.
    metres, origin = board.spacing_m / square, (0.5 - 2 * square) * board.spacing_m / square
    from_art = np.array([[metres, 0, origin], [0, metres, origin], [0, 0, 1]])
    plane = np.column_stack((pose.rotation[:, :2], pose.translation))
    finer = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1.0]])
    size = (4 * camera.size_wh[0], 4 * camera.size_wh[1])
    matrix = finer @ camera.matrix @ plane @ from_art
    large = cv2.warpPerspective(art, matrix, size, borderMode=cv2.BORDER_CONSTANT, borderValue=(140,))
    return np.asarray(cv2.resize(large, camera.size_wh, interpolation=cv2.INTER_AREA), np.uint8)
