"""Triangles with a skin: what everything that moves in the street is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamfuse.io.synthetic.arrays import Floats, Ints, floats

__all__ = ["Mesh", "Skin", "grid", "join", "join_skinned", "tube"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skin:
    """A picture wrapped around a mesh: how it looks in light, and how warm it is."""

    paint: Floats
    """HxWx5: albedo R, G, B (0..1, linear), emission (times albedo, in units of white), gloss (0..1)."""
    heat_c: Floats
    """HxW: temperature in degrees Celsius."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mesh:
    """Triangles whose corners belong to rigid bones. Corners are in the frame of their bone, in metres."""

    corners: Floats
    """Vx3."""
    normals: Floats
    """Vx3, unit length, outwards."""
    uv: Floats
    """Vx2: column and row on the skin, each 0..1."""
    bones: Ints
    """V: bone of each corner."""
    triangles: Ints
    """Tx3, counter-clockwise seen from outside."""
    parts: Ints
    """T: 0 or 1, which of the (at most two) objects of an actor the triangle belongs to."""

    def on(self, bone: int, part: int = 0) -> Mesh:
        """The same triangles on another bone and part."""
        return Mesh(
            corners=self.corners,
            normals=self.normals,
            uv=self.uv,
            bones=np.full_like(self.bones, bone),
            triangles=self.triangles,
            parts=np.full_like(self.parts, part),
        )


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0, *(len(mesh.corners) for mesh in meshes[:-1])])
    return Mesh(
        corners=np.concatenate([mesh.corners for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        bones=np.concatenate([mesh.bones for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)]
        ),
        parts=np.concatenate([mesh.parts for mesh in meshes]),
    )


def join_skinned(first: tuple[Mesh, Skin], second: tuple[Mesh, Skin]) -> tuple[Mesh, Skin]:
    """One mesh and skin of two, the second skin below the first one and as wide."""
    (mesh, skin), (other, own) = first, second
    height, width = skin.heat_c.shape
    paint = np.repeat(np.repeat(own.paint, height // own.paint.shape[0], 0), width // own.paint.shape[1], 1)
    heat_c = np.repeat(np.repeat(own.heat_c, height // own.paint.shape[0], 0), width // own.paint.shape[1], 1)
    share = height / (height + len(heat_c))
    upper = replace(mesh, uv=mesh.uv * floats((1.0, share)))
    lower = replace(other, uv=other.uv * floats((1.0, 1 - share)) + floats((0.0, share)))
    both = Skin(
        paint=np.concatenate([skin.paint, paint]),
        heat_c=np.concatenate([skin.heat_c, heat_c]),
    )
    return join([upper, lower]), both


def grid(points: Floats, uv: Floats) -> Mesh:
    """A sheet of quads over points RxCx3 with skin coordinates RxCx2, smooth normals by differences.

    Outside is where (along a row) x (along a column) points; a sheet that closes on itself repeats its
    first column as its last.
    """
    rows, columns = points.shape[:2]
    along = np.gradient(points, axis=1)
    if np.allclose(points[:, 0], points[:, -1]):
        along[:, 0] = along[:, -1] = (points[:, 1] - points[:, -2]) / 2
    normals = np.cross(along, np.gradient(points, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    count = rows * columns
    return Mesh(
        corners=points.reshape(count, 3).astype(np.float32),
        normals=normals.reshape(count, 3).astype(np.float32),
        uv=uv.reshape(count, 2).astype(np.float32),
        bones=np.zeros(count, np.int32),
        triangles=triangles,
        parts=np.zeros(len(triangles), np.int32),
    )


def tube(
    rings: Sequence[tuple[float, float, float, float]],
    *,
    sides: int = 8,
    patch: tuple[float, float, float, float] = (0, 0, 1, 1),
) -> Mesh:
    """A closed tube down the z axis through elliptic rings ``(z, half x, half y, centre y)``, from the top.

    Column 0.5 of the patch ``(left, top, right, bottom)`` of the skin faces +y.
    """
    z, half_x, half_y, centre_y = np.array([_cap(rings[0]), *rings, _cap(rings[-1])], np.float32).T
    turn = np.linspace(0, 2 * np.pi, sides + 1, dtype=np.float32)  # from the back, over +x, to the front
    x = half_x[:, None] * np.sin(turn)
    y = centre_y[:, None] - half_y[:, None] * np.cos(turn)
    points = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1)[:, ::-1]
    span = (z[0] - z) / (z[0] - z[-1])
    left, top, right, bottom = patch
    u = np.broadcast_to(right + (left - right) * turn / np.float32(2 * np.pi), x.shape)
    v = np.broadcast_to((top + (bottom - top) * span)[:, None], x.shape)
    return grid(points, np.stack([u, v], axis=-1)[:, ::-1])


def _cap(ring: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """A ring shrunk nearly to a point, which closes the tube."""
    return (ring[0], ring[1] * 0.02, ring[2] * 0.02, ring[3])
