"""How people walk, stand and ride: the bones of a body at each moment.

A body faces +y of its own frame, its feet on z = 0. Limbs hang down the z axis of their bone from the
joint at its origin; all joints turn in the sagittal plane, which is what walking and cycling need.
"""

from __future__ import annotations

import functools

import numpy as np

from streamfuse.io.synthetic.arrays import Doubles, Floats

__all__ = [
    "ARM",
    "ARM_M",
    "BONES",
    "FOOT",
    "FOREARM",
    "HEAD",
    "SHANK",
    "SHANK_M",
    "SOLE_M",
    "THIGH",
    "THIGH_M",
    "TORSO",
    "riding",
    "standing",
    "walking",
]

_STRIDE_M = 1.38
"""Distance covered by one full cycle of the legs, for a person of unit size (1.75 m)."""

TORSO, HEAD, THIGH, SHANK, FOOT, ARM, FOREARM = 0, 1, 2, 4, 6, 8, 10
"""Bones; the paired ones have their left side at the number given and their right side next to it."""
BONES = 12

THIGH_M, SHANK_M, ARM_M = 0.42, 0.43, 0.29
_HIP_X, _SHOULDER_X, _SHOULDER_Z = 0.092, 0.185, 0.475
SOLE_M = 0.075
_PHASES = 96
"""Entries of the tables of movement: a step is 2 cm, finer than a pixel shows."""


def walking(distance_m: float, size: float) -> Floats:
    """Bones (12x3x4, metres) after walking a distance."""
    return _between(_steps(), distance_m / (_STRIDE_M * size)) * np.float32(size)


def standing(t_s: float, size: float) -> Floats:
    """Bones (12x3x4, metres) of a person who shifts a little from foot to foot."""
    return _between(_rest(), 0.5 + 0.02 * float(np.sin(0.7 * t_s))) * np.float32(size)


def riding(crank_turns: float, size: float) -> Floats:
    """Bones (12x3x4, metres) of a rider in the frame of the bicycle, whose wheels stand on z = 0."""
    frames = _between(_strokes(), crank_turns)
    frames[:, :, :3] *= np.float32(size)
    return frames


def _between(table: Floats, turns: float) -> Floats:
    """Bones at a place of a cycle: matrices so close to each other mix well."""
    where = (turns % 1.0) * len(table)
    index, part = int(where) % len(table), np.float32(where % 1.0)
    return np.asarray(table[index] * (1 - part) + table[(index + 1) % len(table)] * part)


@functools.cache
def _steps() -> Floats:
    """A full cycle of walking."""
    return np.stack([_walk(2 * np.pi * k / _PHASES, 1.0) for k in range(_PHASES)])


@functools.cache
def _rest() -> Floats:
    """A cycle of hardly lifting the feet."""
    return np.stack([_walk(2 * np.pi * k / _PHASES, 0.12) for k in range(_PHASES)])


@functools.cache
def _strokes() -> Floats:
    """A full cycle of riding."""
    return np.stack([_ride(k / _PHASES) for k in range(_PHASES)])


def _walk(phase: float, vigour: float) -> Floats:
    """Bones at a phase of the walk; vigour 0 stands still."""
    frames = np.zeros((BONES, 3, 4), np.float32)
    legs = []
    for side in (0, 1):
        turn = phase + np.pi * side
        hip = vigour * (0.07 + 0.40 * np.cos(turn))
        knee = 0.06 + vigour * (
            1.0 * max(0.0, np.sin(turn - 2.92)) ** 1.4 + 0.14 * max(0.0, np.sin(turn + 0.4))
        )
        legs.append((hip, knee))
    reach = [THIGH_M * np.cos(hip) + SHANK_M * np.cos(hip - knee) + SOLE_M for hip, knee in legs]
    pelvis = np.array([0.0, 0.0, max(reach)])
    lean = 0.05 * vigour
    twist = 0.10 * vigour * np.sin(phase - np.pi / 2)
    _set(frames, TORSO, pelvis, -lean, twist)
    neck = pelvis + np.array([0.0, np.sin(lean) * 0.57, 0.572])
    _set(frames, HEAD, neck, -0.04, 0.0)
    for side, (hip, knee) in enumerate(legs):
        sign = 2 * side - 1
        joint = pelvis + np.array([sign * _HIP_X, 0.0, 0.0])
        lower = _limb(frames, (THIGH + side, SHANK + side), joint, (hip, hip - knee), THIGH_M)
        ankle = lower + SHANK_M * _down(hip - knee)
        _set(frames, FOOT + side, ankle, min(0.5, 0.35 * (hip - knee)) if vigour else 0.0, 0.0)
        swing = -0.55 * vigour * np.cos(phase + np.pi * side) - 0.02
        shoulder = pelvis + np.array(
            [
                sign * _SHOULDER_X,
                np.sin(lean) * _SHOULDER_Z - sign * twist * 0.12,
                _SHOULDER_Z,
            ]
        )
        bend = swing + 0.22 + 0.25 * vigour + 0.2 * max(0.0, swing)
        _limb(frames, (ARM + side, FOREARM + side), shoulder, (swing, bend), ARM_M)
    return frames


def _ride(crank_turns: float) -> Floats:
    """Bones of a rider."""
    frames = np.zeros((BONES, 3, 4), np.float32)
    pelvis, lean = np.array([0.0, -0.27, 0.94]), 0.42
    _set(frames, TORSO, pelvis, -lean, 0.0)
    along = np.array([0.0, np.sin(lean), np.cos(lean)])
    _set(frames, HEAD, pelvis + 0.572 * along, -0.12, 0.0)
    for side in (0, 1):
        sign = 2 * side - 1
        turn = 2 * np.pi * crank_turns + np.pi * side
        pedal = np.array([sign * 0.11, 0.02 + 0.17 * np.sin(turn), 0.29 + 0.17 * np.cos(turn)])
        joint = pelvis + np.array([sign * _HIP_X, 0.0, 0.0])
        angles = _reach(pedal + np.array([0, -0.04, SOLE_M]) - joint, THIGH_M, SHANK_M, forward=True)
        lower = _limb(frames, (THIGH + side, SHANK + side), joint, angles, THIGH_M)
        _set(frames, FOOT + side, lower + SHANK_M * _down(angles[1]), -0.15, 0.0)
        shoulder = pelvis + _SHOULDER_Z * along + np.array([sign * _SHOULDER_X * 0.9, 0.0, 0.0])
        grip = np.array([sign * 0.24, 0.36, 1.03])
        angles = _reach(grip - shoulder, ARM_M, 0.34, forward=False)
        _limb(frames, (ARM + side, FOREARM + side), shoulder, angles, ARM_M)
    return frames


def _down(angle: float) -> Doubles:
    """Direction of a limb swung forwards by an angle from straight down."""
    return np.array([0.0, np.sin(angle), -np.cos(angle)])


def _reach(to: Doubles, upper: float, lower: float, *, forward: bool) -> tuple[float, float]:
    """Angles from straight down of two bones whose end is at ``to``; the middle joint ahead or behind."""
    distance = float(np.clip(np.hypot(to[1], to[2]), 0.05, (upper + lower) * 0.999))
    straight = float(np.arctan2(to[1], -to[2]))
    inner = float(np.arccos((upper**2 + distance**2 - lower**2) / (2 * upper * distance)))
    outer = float(np.arccos((lower**2 + distance**2 - upper**2) / (2 * lower * distance)))
    return (straight + inner, straight - outer) if forward else (straight - inner, straight + outer)


def _limb(
    frames: Floats,
    bones: tuple[int, int],
    joint: Doubles,
    angles: tuple[float, float],
    upper_m: float,
) -> Doubles:
    """Place two bones, each at its own angle from straight down; gives the joint between them."""
    _set(frames, bones[0], joint, angles[0], 0.0)
    middle = joint + upper_m * _down(angles[0])
    _set(frames, bones[1], middle, angles[1], 0.0)
    return np.asarray(middle)


def _set(frames: Floats, bone: int, origin: Doubles, swing: float, turn: float) -> None:
    """A bone at ``origin``, its lower end swung forwards by ``swing``, then turned about the vertical."""
    cs, ss, ct, st = np.cos(swing), np.sin(swing), np.cos(turn), np.sin(turn)
    swung = np.array([[1, 0, 0], [0, cs, -ss], [0, ss, cs]])
    frames[bone, :, :3] = np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]]) @ swung
    frames[bone, :, 3] = origin
