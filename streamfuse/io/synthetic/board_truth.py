"""The exact truth of a synthetic calibration board: both cameras, how they stand, where the board is when.

Camera axes are x right, y down, z forward, metres; pixel centres lie at integers. A motion takes coordinates
of the second frame of its name to the first: ``x_visible = R @ x_infrared + t``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamfuse.frames import StreamName
from streamfuse.io.synthetic.arrays import Doubles, Floats, floats
from streamfuse.io.synthetic.board_pattern import BoardPattern
from streamfuse.io.synthetic.board_spec import BoardSpec, Inside

__all__ = ["BoardTruth", "Lens", "Motion"]

_VISIBLE: Final = (0.86, 0.012, -0.009, (-0.26, 0.09, 0.0006, -0.0008, -0.01))
_INFRARED: Final = (0.93, -0.015, 0.013, (-0.33, 0.14, -0.0009, 0.0005, -0.02))
"""Focal length and offset of the principal point in widths, distortion."""
_TURN_DEG: Final = (0.7, -1.3, 0.9)
_BASELINE_M: Final = (0.058, -0.006, 0.009)
"""Where the infrared camera stands in the visible one's frame."""
_SHARES: Final = (0.36, 0.5, 0.62)
"""How much of the picture's width a board fills."""
_TILTS: Final = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Right side back, bottom back, in tilts."""
_EDGE_PX: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """``x_a = rotation @ x_b + translation_m``."""

    rotation: Doubles
    """3x3."""
    translation_m: Doubles
    """Three metres."""

    def apply(self, points: ArrayLike) -> Doubles:
        """Points Nx3 of frame b in frame a."""
        moved: Doubles = np.asarray(points, np.float64) @ self.rotation.T + self.translation_m
        return moved

    @property
    def rotation_vector(self) -> Doubles:
        """Axis times angle in radians."""
        return np.asarray(cv2.Rodrigues(self.rotation)[0], np.float64).ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A pinhole camera whose lens bends as Brown and Conrady say (k1, k2, p1, p2, k3)."""

    size_wh: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]

    @property
    def matrix(self) -> Doubles:
        """3x3."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(self, points: ArrayLike) -> Doubles:
        """Pixels Nx2 of points Nx3 in front of the camera."""
        xyz = np.asarray(points, np.float64).reshape(-1, 1, 3)
        found = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), self.matrix, np.array(self.distortion))[0]
        return np.asarray(found, np.float64).reshape(-1, 2)

    def rays(self) -> Floats:
        """HxWx2: where the ray of each pixel crosses the plane z = 1."""
        width, height = self.size_wh
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        flat = pixels.reshape(-1, 1, 2).astype(np.float64)
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-8)
        found = cv2.undistortPoints(flat, self.matrix, np.array(self.distortion), criteria=stop)
        return floats(found.reshape(height, width, 2))


class BoardTruth:
    """Everything that a calibration should find out.

    Args:
        spec: of the scene.
    """

    def __init__(self, spec: BoardSpec) -> None:
        self.spec = spec
        self.pattern = BoardPattern.parse(spec.board)
        self.visible = _lens(spec.size_wh, _VISIBLE)
        self.infrared = _lens(spec.infrared_wh, _INFRARED)
        self.T_visible_from_infrared = Motion(
            rotation=_rotation(*_TURN_DEG), translation_m=np.array(_BASELINE_M)
        )
        self._poses: dict[int, tuple[Doubles, Doubles]] = {}

    @property
    def points_m(self) -> Doubles:
        """Nx3 on the board, z = 0."""
        return self.pattern.points_m

    def lens(self, stream: StreamName) -> Lens:
        """Of one of the cameras."""
        return self.visible if stream is StreamName.VISIBLE else self.infrared

    def T_camera_from_board(self, t_s: float, stream: StreamName = StreamName.VISIBLE) -> Motion:  # noqa: N802 - T names a motion
        """Where the board is, seen from a camera."""
        angles, place = self._pose(t_s)
        return self._seen_from(stream, angles, place)

    def pixels(self, t_s: float, stream: StreamName) -> Doubles:
        """Nx2: where the points of the board are in a picture."""
        return self.lens(stream).project(self.T_camera_from_board(t_s, stream).apply(self.points_m))

    def is_held(self, t_s: float) -> bool:
        """Whether the board is still at that time."""
        return t_s % self._period_s < self.spec.hold_s

    @property
    def _period_s(self) -> float:
        return self.spec.hold_s + self.spec.move_s

    def _pose(self, t_s: float) -> tuple[Doubles, Doubles]:
        """Angles in degrees and the place of the board's middle in the visible camera's frame."""
        number = math.floor(t_s / self._period_s)
        share = max(0.0, (t_s - number * self._period_s - self.spec.hold_s) / self.spec.move_s)
        share = share**3 * (10 - 15 * share + 6 * share**2)  # starts and stops without a jerk
        (angles, place), (next_angles, next_place) = self._stop(number), self._stop(number + 1)
        return angles + share * (next_angles - angles), place + share * (next_place - place)

    def _stop(self, number: int) -> tuple[Doubles, Doubles]:
        """The pose in which the board is held for the ``number``-th time."""
        if number not in self._poses:
            self._poses[number] = self._choose(number)
        return self._poses[number]

    def _choose(self, number: int) -> tuple[Doubles, Doubles]:
        """Nine stops go once through all parts of the picture, and fifteen through all sizes and tilts."""
        round_, turn = divmod(number, 9)
        rng = np.random.default_rng([self.spec.seed & 0xFFFFFFFF, 11, round_ & 0xFFFFFFFF])
        cell = int(rng.permutation(9)[turn])
        rng = np.random.default_rng([self.spec.seed & 0xFFFFFFFF, 12, number & 0xFFFFFFFF])
        share = _SHARES[number % 3] * rng.uniform(0.95, 1.05)
        tilt = np.array(_TILTS[number % 5]) * rng.uniform(20, 32) + rng.uniform(-4, 4, 2)
        angles = np.array([tilt[1], tilt[0], rng.uniform(-9, 9)])
        camera = self.infrared if self.spec.inside is Inside.INFRARED else self.visible
        board_m = float(np.ptp(self.points_m[:, 0]))
        far = board_m * camera.fx / (share * camera.size_wh[0])
        aside = (np.array([cell % 3, cell // 3]) - 1) * np.array(camera.size_wh) / (2 * camera.fx)
        return angles, self._kept_inside(angles, aside, far)

    def _kept_inside(self, angles: Doubles, aside: Doubles, far: float) -> Doubles:
        """The place nearest to the wanted one at which the whole board is in the pictures that count."""
        while True:
            for reach in np.linspace(1.0, 0.0, 41):
                place = far * np.array([*(reach * aside), 1.0])
                if self._fits(angles, place):
                    return place
            far *= 1.1  # too large for one of the pictures, wherever it is

    def _fits(self, angles: Doubles, place: Doubles) -> bool:
        wanted = {Inside.BOTH: tuple(StreamName), Inside.VISIBLE: (StreamName.VISIBLE,)}
        for stream in wanted.get(self.spec.inside, (StreamName.INFRARED,)):
            lens = self.lens(stream)
            points = self._seen_from(stream, angles, place).apply(self._outline())
            pixels = lens.project(points)
            if (pixels < _EDGE_PX).any() or (pixels > np.array(lens.size_wh) - 1 - _EDGE_PX).any():
                return False
        return True

    def _outline(self) -> Doubles:
        """The points, with the squares or dots around them."""
        reach = self.pattern.spacing_m if self.pattern.cells.size else self.pattern.dot_radius_m
        around = [np.array([x, y, 0.0]) for x in (-reach, reach) for y in (-reach, reach)]
        return np.concatenate([self.points_m + offset for offset in around])

    def _seen_from(self, stream: StreamName, angles: Doubles, place: Doubles) -> Motion:
        rotation = _rotation(*angles)
        start = place - rotation @ self._middle
        if stream is StreamName.VISIBLE:
            return Motion(rotation=rotation, translation_m=start)
        back = self.T_visible_from_infrared.rotation.T
        offset = start - self.T_visible_from_infrared.translation_m
        return Motion(rotation=back @ rotation, translation_m=back @ offset)

    @cached_property
    def _middle(self) -> Doubles:
        middle: Doubles = (self.points_m.min(axis=0) + self.points_m.max(axis=0)) / 2
        return middle


def _lens(size_wh: tuple[int, int], made: tuple[float, float, float, tuple[float, ...]]) -> Lens:
    width, height = size_wh
    focal, right, down, distortion = made
    return Lens(
        size_wh=size_wh,
        fx=focal * width,
        fy=focal * width * 1.002,
        cx=(width - 1) / 2 + right * width,
        cy=(height - 1) / 2 + down * width,
        distortion=distortion,
    )


def _rotation(about_x_deg: float, about_y_deg: float, about_z_deg: float) -> NDArray[np.float64]:
    """About z, then y, then x; positive y takes the right side back, positive x the bottom."""
    x, y, z = (math.radians(angle) for angle in (-about_x_deg, -about_y_deg, about_z_deg))
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_x @ about_y @ about_z
    return turned
