from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.config.rig import DenseConfig
from streamfuse.geometry.alignment.dense_grid import NodeGrid


@given(width=st.integers(2, 300), height=st.integers(2, 300), step=st.integers(2, 64))
def test_nodes_cover_the_image_as_the_rig_file_wants_it(width: int, height: int, step: int) -> None:
    """The last node is at or beyond the last pixel, and the shape is the one of the file."""
    grid = NodeGrid(size_wh=(width, height), step_px=step)
    assert (grid.nodes[-1, -1] >= (width - 1, height - 1)).all()
    zeros = np.zeros((2, 2)).tolist()
    assert grid.shape == DenseConfig(step_px=step, dx_px=zeros, dy_px=zeros).shape_for((width, height))


def test_planes_are_interpolated_exactly_and_do_not_bend() -> None:
    """A linear field is linear between the nodes too, and has no bending energy."""
    grid = NodeGrid(size_wh=(101, 77), step_px=16)
    field = grid.nodes @ np.array([[0.1, 0.02], [-0.03, 0.2]]) + (3.0, -1.0)
    pixels = np.random.default_rng(0).uniform((0, 0), (100, 76), (50, 2))
    np.testing.assert_allclose(
        grid.at(field, pixels), pixels @ np.array([[0.1, 0.02], [-0.03, 0.2]]) + (3, -1)
    )
    for axis in (0, 1):
        values = field[..., axis].ravel()
        assert values @ grid.bending @ values == pytest.approx(0, abs=1e-9)


@given(seed=st.integers(0, 1000), size=st.floats(0.1, 12.0))
def test_least_area_is_the_smallest_anywhere(seed: int, size: float) -> None:
    """No place within any cell is squeezed more than the least area says."""
    grid = NodeGrid(size_wh=(65, 49), step_px=16)
    field = np.random.default_rng(seed).normal(0, size, (*grid.shape, 2))
    inside = np.random.default_rng(seed + 1).uniform((0.1, 0.1), (63.9, 47.9), (300, 2))
    tiny = 1e-4
    across, down = (
        (grid.at(field, inside + step) - grid.at(field, inside - step)) / (2 * tiny) + np.array(step) / tiny
        for step in ((tiny, 0.0), (0.0, tiny))
    )
    areas = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    cell_inside = (np.abs(inside / 16 - np.round(inside / 16)) > 1e-3).all(axis=1)
    assert areas[cell_inside].min() >= grid.least_area(field) - 1e-3


def test_a_fold_is_seen() -> None:
    """Two neighbouring nodes that change places fold the picture."""
    grid = NodeGrid(size_wh=(65, 49), step_px=16)
    field = np.zeros((*grid.shape, 2))
    field[1, 1, 0], field[1, 2, 0] = 12.0, -12.0
    assert grid.least_area(np.zeros_like(field)) == 1.0
    assert grid.least_area(field) < 0
