"""Tiles cover an image once, reach a halo around what is kept, and have one shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.tiling import plan_tiles

sides = st.integers(1, 3000)
halos = st.integers(0, 40)
grids = st.sampled_from([1, 2, 4])


@given(width=sides, height=sides, halo=halos, grid=grids, many=grids, most=st.integers(40_000, 300_000))
def test_every_pixel_is_kept_once_with_its_halo(
    width: int, height: int, halo: int, grid: int, many: int, most: int
) -> None:
    """Each pixel comes from one tile, which reaches a halo around it or ends with the image."""
    tiling = plan_tiles((width, height), most_px=most, halo_px=halo, grid_px=grid, multiple_px=many)
    full_width, full_height = tiling.size_wh
    assert (full_width % grid, full_height % grid) == (0, 0)
    assert 0 <= full_width - width < grid
    assert 0 <= full_height - height < grid
    assert tiling.tile_wh[0] * tiling.tile_wh[1] <= most
    for side, length in zip(tiling.tile_wh, tiling.size_wh, strict=True):
        assert side % many == 0 or side == length
    covered = np.zeros((full_height, full_width), np.uint8)
    tiles = list(tiling)
    assert len(tiles) == len(tiling)
    for tile in tiles:
        covered[tile.place] += 1
        ends = zip(
            tile.cut, tile.kept, tile.place, (full_height, full_width), tiling.tile_wh[::-1], strict=True
        )
        for cut, kept, place, length, side in ends:
            assert 0 <= cut.start <= cut.stop <= length
            assert cut.stop - cut.start == side
            assert (cut.start + kept.start, cut.start + kept.stop) == (place.start, place.stop)
            assert cut.start % grid == 0
            assert cut.start == 0 or place.start - cut.start >= halo
            assert cut.stop == length or cut.stop - place.stop >= halo
    assert covered.min() == covered.max() == 1


def test_what_is_small_enough_stays_whole() -> None:
    """One tile, which is the image."""
    tiling = plan_tiles((640, 480), most_px=640 * 480, halo_px=19, grid_px=2)
    assert (tiling.tile_wh, len(tiling), tiling.computed_px) == ((640, 480), 1, 640 * 480)
    assert plan_tiles((1, 1), most_px=100, halo_px=19, grid_px=2).tile_wh == (2, 2)


@pytest.mark.parametrize("size_wh", [(1920, 1080), (8192, 8192), (4000, 3000), (20_000, 64)])
def test_halos_cost_little(size_wh: tuple[int, int]) -> None:
    """Tiles of a common frame's size spend less than a fifth of the arithmetic twice."""
    tiling = plan_tiles(size_wh, most_px=640 * 480, halo_px=19, grid_px=2)
    assert tiling.computed_px < 1.2 * size_wh[0] * size_wh[1]


@pytest.mark.parametrize(
    ("size_wh", "most_px", "halo_px", "complaint"),
    [
        ((0, 5), 1000, 1, r"must be positive, got \(0, 5\)"),
        ((500, 500), 1000, 19, "tiles of 1000 px are too small for a halo of 19 px"),
    ],
)
def test_what_cannot_be_cut(size_wh: tuple[int, int], most_px: int, halo_px: int, complaint: str) -> None:
    """Numbers that make no sense are named."""
    with pytest.raises(ValueError, match=complaint):
        plan_tiles(size_wh, most_px=most_px, halo_px=halo_px)
