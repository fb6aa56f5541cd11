"""A displacement that is known at the nodes of a grid, and bilinear between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["NodeGrid"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NodeGrid:
    """Nodes at 0, ``step_px``, 2 ``step_px``, … in both directions until an image is covered.

    Fields of displacements are RxCx2 float64 (x, y) in pixels, a row for each row of nodes.

    Raises:
        ValueError: a side below 2 pixels, or a step below 2.
    """

    size_wh: tuple[int, int]
    step_px: int

    def __post_init__(self) -> None:
        if min(*self.size_wh, self.step_px) < 2:
            raise ValueError(f"sides and step must be at least 2 pixels, got {self.size_wh}, {self.step_px}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of nodes, at least 2 each."""
        width, height = self.size_wh
        return -(-(height - 1) // self.step_px) + 1, -(-(width - 1) // self.step_px) + 1

    @cached_property
    def nodes(self) -> Floats:
        """RxCx2: where the nodes lie, in pixels."""
        rows, columns = self.shape
        x, y = np.meshgrid(np.arange(columns) * float(self.step_px), np.arange(rows) * float(self.step_px))
        return np.stack((x, y), axis=-1)

    def at(self, field: Floats, pixels: Floats) -> Floats:
        """The displacement at pixels …x2, bilinear; beyond the grid it goes on as at its edge."""
        rows, columns = self.shape
        x = np.clip(pixels[..., 0] / self.step_px, 0, columns - 1)
        y = np.clip(pixels[..., 1] / self.step_px, 0, rows - 1)
        left, top = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
        right_share, lower_share = (x - left)[..., None], (y - top)[..., None]
        upper = (1 - right_share) * field[top, left] + right_share * field[top, left + 1]
        lower = (1 - right_share) * field[top + 1, left] + right_share * field[top + 1, left + 1]
        return np.asarray((1 - lower_share) * upper + lower_share * lower, np.float64)

    @cached_property
    def bending(self) -> Floats:
        """NxN, N nodes row by row: ``v @ bending @ v`` is the bending energy of values v at the nodes.

        The sum of squared second differences, the mixed one twice: the thin plate of Duchon (1977) on a grid.
        """
        rows, columns = self.shape
        parts = (
            np.kron(np.eye(rows), _differences(columns, 2)),
            np.kron(_differences(rows, 2), np.eye(columns)),
            np.sqrt(2.0) * np.kron(_differences(rows, 1), _differences(columns, 1)),
        )
        return np.asarray(sum(part.T @ part for part in parts), np.float64)

    def least_area(self, field: Floats) -> float:
        """The smallest factor by which ``pixel + field`` scales an area; zero or less where it folds.

        Within a bilinear cell the factor is a linear function of x and y plus none of xy (the mixed terms of
        the determinant cancel), so that its smallest value is at a corner.
        """
        moved = (self.nodes + field) / self.step_px
        across, down = np.diff(moved, axis=1), np.diff(moved, axis=0)
        return min(
            float(_cross(across[top], down[:, left]).min())
            for top in (slice(None, -1), slice(1, None))
            for left in (slice(None, -1), slice(1, None))
        )


def _differences(count: int, order: int) -> Floats:
    """(count - order)xcount: differences of neighbours, of the first or a higher order."""
    return np.asarray(np.diff(np.eye(count), n=order, axis=0), np.float64)


def _cross(first: Floats, second: Floats) -> Floats:
    return np.asarray(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0], np.float64)
