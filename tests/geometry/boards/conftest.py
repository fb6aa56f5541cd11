"""Pictures of boards with known truth: a sheet seen through a lens, sampled 3x3 times in each pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.geometry.boards.board import Board, BoardView
from streamfuse.geometry.boards.drawing import raster, sheet
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.pose import Pose

Gray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]

_PIXELS_PER_SPACING = 60
_SAMPLES = 3

VISIBLE = Camera(
    size_wh=(640, 480), fx=620.0, fy=621.0, cx=322.0, cy=236.0, distortion=(-0.3, 0.1, 0.001, -0.001, 0.0)
)
THERMAL = Camera(size_wh=(640, 512), fx=760.0, fy=758.0, cx=315.0, cy=250.0, distortion=(-0.4, 0.2, 0.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a board is seen."""

    camera: Camera = VISIBLE
    tilt_deg: tuple[float, float, float] = (20.0, -15.0, 8.0)
    centre_m: tuple[float, float, float] = (0.0, 0.0, 0.5)
    dark: float = 40.0
    bright: float = 200.0
    gradient: float = 0.0
    """Warmth from one end of the sheet to the other, in the units of dark and bright; partly curved."""
    blur_px: float = 0.7
    noise: float = 2.0
    background: float = 110.0
    seed: int = 0
    dtype: type[np.uint8] | type[np.uint16] = np.uint8


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture and where the points truly are."""

    gray: Gray
    truth: Floats
    board: Board
    pose: Pose

    def errors_px(self, view: BoardView) -> Floats:
        """Distance of each found point to the true one."""
        return np.asarray(np.linalg.norm(view.pixels - self.truth[view.ids], axis=1), np.float64)

    def rms_px(self, view: BoardView) -> float:
        return float(np.sqrt(np.mean(self.errors_px(view) ** 2)))


@cache
def _sheet(spec: str) -> tuple[npt.NDArray[np.float32], Floats, float]:
    """The sheet, where its point 0 is in millimetres, and its pixels per millimetre."""
    board = Board.parse(spec)
    printed = sheet(board)
    pixels_per_mm = _PIXELS_PER_SPACING / (board.spacing_m * 1e3)
    bright = np.asarray(raster(printed, pixels_per_mm) / 255, np.float32)
    return bright, np.array(printed.origin_mm, np.float64), pixels_per_mm


def draw(board: Board, look: Look | None = None) -> Scene:
    """A board before a camera."""
    look = look or Look()
    pose = _pose(board, look)
    camera = look.camera
    width, height = camera.size_wh
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    rays = camera.normalise(np.stack((x, y), axis=2)).reshape(-1, 2)
    plane = _on_board(rays, pose).reshape(height, width, 2)
    scene = _averaged(board, plane, look)
    if look.blur_px:
        scene = cv2.GaussianBlur(scene, (0, 0), look.blur_px).astype(np.float64)
    scene += np.random.default_rng(look.seed).normal(0, look.noise, scene.shape)
    most = np.iinfo(look.dtype).max
    counts = np.clip(np.round(scene), 0, most)
    gray: Gray = counts.astype(np.uint8) if look.dtype is np.uint8 else counts.astype(np.uint16)
    return Scene(gray=gray, truth=camera.project(pose.apply(board.points)), board=board, pose=pose)


@pytest.fixture(scope="session")
def drawing() -> Callable[..., Scene]:
    """Draws boards; see ``draw``."""
    return draw


@pytest.fixture(scope="session")
def look() -> Look:
    """A visible picture of a printed board."""
    return Look()


@pytest.fixture(scope="session")
def thermal_look() -> Look:
    """A raw thermal picture: pattern of 2 % of the warmth of the sheet, noise of a tenth of the pattern."""
    return Look(
        camera=THERMAL,
        centre_m=(0.0, 0.0, 0.55),
        dark=8000.0,
        bright=8080.0,
        gradient=4000.0,
        blur_px=1.0,
        noise=8.0,
        background=7400.0,
        dtype=np.uint16,
    )


def _pose(board: Board, look: Look) -> Pose:
    """The middle of the board at ``centre_m``, turned about x, y, z in this order."""
    angles = [math.radians(angle) for angle in look.tilt_deg]
    turn = np.eye(3)
    for axis, angle in zip(np.eye(3), angles, strict=True):
        turn = cv2.Rodrigues(axis * angle)[0] @ turn
    return Pose.from_matrix(turn, np.array(look.centre_m) - turn @ board.points.mean(axis=0))


def _on_board(rays: Floats, pose: Pose) -> Floats:
    """Where rays (Nx2 at z = 1) meet the board, metres on it."""
    back = pose.inverse
    directions = np.column_stack((rays, np.ones(len(rays)))) @ back.rotation.T
    eye = back.translation
    with np.errstate(divide="ignore", invalid="ignore"):
        along = -eye[2] / directions[:, 2]
    met = eye + along[:, None] * directions
    met[~(along > 0)] = 1e6
    return np.asarray(met[:, :2], np.float64)


def _averaged(board: Board, plane: Floats, look: Look) -> Floats:
    bright, origin, pixels_per_mm = _sheet(board.spec)
    rows, columns = bright.shape
    across, down = (np.gradient(plane, axis=axis) for axis in (1, 0))
    total = np.zeros(plane.shape[:2])
    offsets = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    for dx in offsets:
        for dy in offsets:
            mm = (plane + dx * across + dy * down) * 1e3 + origin
            u, v = np.moveaxis(mm * pixels_per_mm - 0.5, 2, 0).astype(np.float32)
            value = cv2.remap(bright, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            on = (u > -0.5) & (v > -0.5) & (u < columns - 0.5) & (v < rows - 0.5)
            s, t = u / columns - 0.5, v / rows - 0.5
            warmth = look.gradient * (0.5 * s + 0.3 * t - 0.8 * s * s)
            total += np.where(on, look.dark + (look.bright - look.dark) * value + warmth, look.background)
    return total / _SAMPLES**2
