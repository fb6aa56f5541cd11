"""Bundle adjustment: the cameras, their pose and the poses of the board that explain all corners best.

Levenberg and Marquardt's method on the normal equations, from which the poses of the board are eliminated
(Schur's complement; Triggs et al., "Bundle adjustment: a modern synthesis", 2000). OpenCV's own solvers tell
no uncertainty of a fisheye or a stereo rig, weigh both cameras alike, and cannot leave single corners out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from streamfuse.geometry.boards.board import Floats
from streamfuse.geometry.calibration.lens import columns, numbers_of, project, with_numbers
from streamfuse.geometry.camera import Camera

__all__ = ["Bundle", "Observation", "Solution", "adjust", "residuals"]

_STEPS: Final = 60
_SETTLED: Final = 1e-8
"""Relative gain of a step below which the minimum is reached."""
_DAMPING: Final = (1e-12, 1e12)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """Corners of the board in one picture of one camera."""

    camera: int
    pose: int
    """Which pose of the board: the same for pictures of one moment."""
    points: Floats
    """Nx3, metres, on the board."""
    pixels: Floats
    """Nx2, where they were found."""
    weights: Floats
    """(N,), 1 over the standard deviation in pixels; 0 for a corner that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """What is to be found."""

    cameras: tuple[Camera, ...]
    """One, or two with ``offset`` between them."""
    poses: Floats
    """Px6: rotation vector and translation (metres) of the board in coordinates of the last camera."""
    offset: Floats | None = None
    """Six numbers: the first of two cameras from the last."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """A bundle at its minimum."""

    bundle: Bundle
    cost: float
    """Sum of squared, weighted residuals; of a robust run, what stands for it."""
    names: tuple[tuple[int, str], ...]
    """Camera and term (``offset0`` … ``offset5`` for the pose between the cameras) of the free numbers."""
    covariance: Floats
    """Of the free numbers, for residuals of unit variance; infinite where they are not determined."""
    shaky: bool
    """Whether the normal equations have no unique solution."""


def residuals(bundle: Bundle, seen: Observation) -> Floats:
    """Nx2 pixels: found minus projected."""
    return seen.pixels - _look(bundle, seen)[0]


def adjust(
    start: Bundle,
    observations: Sequence[Observation],
    *,
    free: Mapping[int, tuple[str, ...]],
    robust_px: float | None = None,
) -> Solution:
    """Minimise the weighted residuals of all observations.

    Args:
        start: Where to begin: focal lengths within a factor of about two.
        observations: Of every pose of the board there is at least one.
        free: For each camera, the terms that may change (``lens.BASE`` and ``lens.TERMS``).
        robust_px: Weighted residuals beyond this count less and less (Cauchy's loss); None: least squares.
    """
    names = tuple((index, term) for index, terms in free.items() for term in terms)
    if start.offset is not None:
        names += tuple((0, f"offset{axis}") for axis in range(6))
    bundle, damping = start, 1e-3
    system = _System.of(bundle, observations, free, robust_px)
    for _ in range(_STEPS):
        tried = _moved(bundle, system.step(damping), free)
        better = None if tried is None else _System.of(tried, observations, free, robust_px)
        if tried is not None and better is not None and better.cost <= system.cost:
            settled = system.cost - better.cost <= _SETTLED * system.cost
            bundle, system, damping = tried, better, max(damping / 10, _DAMPING[0])
            if settled:
                break
        else:
            damping *= 10
            if damping > _DAMPING[1]:
                break
    covariance, shaky = system.covariance()
    return Solution(bundle=bundle, cost=system.cost, names=names, covariance=covariance, shaky=shaky)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _System:
    """The normal equations: ``shared`` numbers (G of them) beside six for each pose."""

    cost: float
    shared: Floats
    """GxG"""
    coupling: Floats
    """PxGx6"""
    own: Floats
    """Px6x6"""
    slope: Floats
    """(G,): the gradient, downhill."""
    own_slope: Floats
    """Px6"""

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        observations: Sequence[Observation],
        free: Mapping[int, tuple[str, ...]],
        robust_px: float | None,
    ) -> _System:
        places, count = _places(bundle, free)
        poses = len(bundle.poses)
        system = cls(
            cost=0.0,
            shared=np.zeros((count, count)),
            coupling=np.zeros((poses, count, 6)),
            own=np.zeros((poses, 6, 6)),
            slope=np.zeros(count),
            own_slope=np.zeros((poses, 6)),
        )
        cost = 0.0
        for seen in observations:
            pixels, by_pose, by_offset, by_lens = _look(bundle, seen)
            weights, part = _weigh(seen, seen.pixels - pixels, robust_px)
            cost += part
            by_shared = np.zeros((2 * len(pixels), count))
            by_shared[:, places[seen.camera]] = by_lens @ columns(
                bundle.cameras[seen.camera], free.get(seen.camera, ())
            )
            if bundle.offset is not None and seen.camera == 0:
                by_shared[:, count - 6 :] = by_offset
            off = ((seen.pixels - pixels) * weights[:, None]).ravel()
            each = np.repeat(weights, 2)[:, None]
            by_shared, by_pose = by_shared * each, by_pose * each
            system.shared[...] += by_shared.T @ by_shared
            system.coupling[seen.pose] += by_shared.T @ by_pose
            system.own[seen.pose] += by_pose.T @ by_pose
            system.slope[...] += by_shared.T @ off
            system.own_slope[seen.pose] += by_pose.T @ off
        return replace(system, cost=cost)

    def step(self, damping: float) -> tuple[Floats, Floats]:
        """Of the shared numbers, and of the poses."""
        own = self.own + damping * _diagonals(self.own)
        solved = np.linalg.solve(own, np.swapaxes(self.coupling, 1, 2))
        reduced = self.shared + damping * np.diag(np.diag(self.shared)) - (self.coupling @ solved).sum(axis=0)
        own_part = np.linalg.solve(own, self.own_slope[..., None])
        slope = self.slope - (self.coupling @ own_part).sum(axis=0)[:, 0]
        shared = np.linalg.lstsq(reduced, slope, rcond=None)[0]
        return shared, own_part[..., 0] - solved @ shared

    def covariance(self) -> tuple[Floats, bool]:
        """Of the shared numbers, all that the poses leave open included; and whether it is unbounded."""
        solved = np.linalg.solve(self.own + 1e-12 * _diagonals(self.own), np.swapaxes(self.coupling, 1, 2))
        reduced = self.shared - (self.coupling @ solved).sum(axis=0)
        scale = np.sqrt(np.clip(np.diag(self.shared), 1e-300, None))
        unit = reduced / np.outer(scale, scale)
        values, vectors = np.linalg.eigh((unit + unit.T) / 2)
        values = np.clip(values, 1e-15, None)
        return (vectors / values) @ vectors.T / np.outer(scale, scale), bool((values <= 1e-13).any())


def _places(bundle: Bundle, free: Mapping[int, tuple[str, ...]]) -> tuple[list[slice], int]:
    """Where the lens of each camera is among the shared numbers, and how many there are."""
    places, count = [], 0
    for index in range(len(bundle.cameras)):
        places.append(slice(count, count + len(free.get(index, ()))))
        count = places[-1].stop
    return places, count + (0 if bundle.offset is None else 6)


def _look(bundle: Bundle, seen: Observation) -> tuple[Floats, Floats, Floats, Floats]:
    """Pixels, and their derivatives by the pose of the board, the offset and the lens."""
    camera, pose = bundle.cameras[seen.camera], bundle.poses[seen.pose]
    if bundle.offset is None or seen.camera == len(bundle.cameras) - 1:
        pixels, by_pose, by_lens = project(camera, pose, seen.points)
        return pixels, by_pose, np.zeros_like(by_pose), by_lens
    turned, moved, *slopes = cv2.composeRT(pose[:3], pose[3:], bundle.offset[:3], bundle.offset[3:])
    r_r1, r_t1, r_r2, r_t2, t_r1, t_t1, t_r2, t_t2 = slopes
    pixels, by_both, by_lens = project(camera, np.concatenate((turned.ravel(), moved.ravel())), seen.points)
    by_pose = by_both @ np.block([[r_r1, r_t1], [t_r1, t_t1]])
    by_offset = by_both @ np.block([[r_r2, r_t2], [t_r2, t_t2]])
    return pixels, by_pose, by_offset, by_lens


def _weigh(seen: Observation, off: Floats, robust_px: float | None) -> tuple[Floats, float]:
    """Weight of each corner, and the cost of all."""
    squares = np.sum(off**2, axis=1) * seen.weights**2
    if robust_px is None:
        return seen.weights, float(squares.sum())
    strained = 1 + squares / robust_px**2
    return seen.weights / np.sqrt(strained), robust_px**2 * float(np.log(strained).sum())


def _moved(bundle: Bundle, step: tuple[Floats, Floats], free: Mapping[int, tuple[str, ...]]) -> Bundle | None:
    """None if the step leads out of what cameras there are."""
    shared, own = step
    places, count = _places(bundle, free)
    if not (np.isfinite(shared).all() and np.isfinite(own).all()):
        return None
    try:
        cameras = tuple(
            with_numbers(camera, numbers_of(camera) + columns(camera, free.get(index, ())) @ shared[place])
            for index, (camera, place) in enumerate(zip(bundle.cameras, places, strict=True))
        )
    except ValueError:
        return None
    offset = None if bundle.offset is None else bundle.offset + shared[count - 6 :]
    return Bundle(cameras=cameras, poses=bundle.poses + own, offset=offset)


def _diagonals(blocks: Floats) -> Floats:
    return blocks * np.eye(blocks.shape[-1])
