"""Cuts images that are too large for a device into equal tiles whose middles are exact.

A network that sees ``halo_px`` far computes a pixel rightly wherever the tile reaches that far around it,
or ends where the image ends: there it pads as it does with the whole image. So the outer tiles are flush
with the borders of the image, neighbours overlap by two halos, and of each tile only the middle is kept.
All tiles of an image have one shape, for graphs are compiled by shape.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Tile", "Tiling", "plan_tiles"]

_THINNEST_PX: Final = 16
"""What a tile adds to its neighbour at least, beside half of their overlap."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a tile is cut out of an image, and what of it is kept: slices of rows and columns."""

    cut: tuple[slice, slice]
    """In the image."""
    kept: tuple[slice, slice]
    """In the tile."""
    place: tuple[slice, slice]
    """Of the kept part, in the image."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles that cover an image."""

    size_wh: tuple[int, int]
    """Of the image, padded to the grid of the network."""
    tile_wh: tuple[int, int]
    columns: tuple[int, ...]
    """First column of each tile, from the left."""
    rows: tuple[int, ...]
    halo_px: int

    def __len__(self) -> int:
        return len(self.columns) * len(self.rows)

    @property
    def computed_px(self) -> int:
        """Pixels of all tiles together."""
        return len(self) * self.tile_wh[0] * self.tile_wh[1]

    def __iter__(self) -> Iterator[Tile]:
        """The tiles, row by row."""
        (width, height), (tile_width, tile_height) = self.size_wh, self.tile_wh
        down = _spans(self.rows, tile_height, height, self.halo_px)
        across = _spans(self.columns, tile_width, width, self.halo_px)
        for (cut_y, kept_y, place_y), (cut_x, kept_x, place_x) in itertools.product(down, across):
            yield Tile((cut_y, cut_x), (kept_y, kept_x), (place_y, place_x))


def plan_tiles(
    size_wh: tuple[int, int], *, most_px: int, halo_px: int, grid_px: int = 1, multiple_px: int = 1
) -> Tiling:
    """Tiles of at most ``most_px`` pixels that need the least arithmetic.

    Args:
        size_wh: of the image, in pixels.
        most_px: pixels of a tile.
        halo_px: how far an output pixel of the network sees.
        grid_px: the network works on blocks of so many pixels: sizes and places of tiles are multiples of it.
        multiple_px: of this the sides of tiles are multiples, but for those as long as the image.

    Returns:
        One tile where the image is small enough. ``size_wh`` of the result is rounded up to the grid.

    Raises:
        ValueError: numbers that make no sense, or tiles that would be all halo.
    """
    if min(*size_wh, grid_px, multiple_px) < 1 or halo_px < 0:
        raise ValueError(f"size and grid must be positive, got {size_wh}, {grid_px} and a halo of {halo_px}")
    multiple = math.lcm(grid_px, multiple_px)
    width, height = (_up(side, grid_px) for side in size_wh)
    overlap = _up(2 * halo_px, grid_px)
    tall = _sides(height, overlap, multiple)
    choices: list[tuple[int, int, int]] = []
    for tile_width, columns in _sides(width, overlap, multiple).items():
        tile_height = max((side for side in tall if side * tile_width <= most_px), default=0)
        if tile_height:
            computed_px = tile_width * columns * tile_height * tall[tile_height]
            choices.append((computed_px, tile_width, tile_height))
    if not choices:
        raise ValueError(f"tiles of {most_px} px are too small for a halo of {halo_px} px")
    _, tile_width, tile_height = min(choices)
    return Tiling(
        size_wh=(width, height),
        tile_wh=(tile_width, tile_height),
        columns=_places(width, tile_width, overlap),
        rows=_places(height, tile_height, overlap),
        halo_px=halo_px,
    )


def _sides(length: int, overlap: int, multiple: int) -> dict[int, int]:
    """Sides that tiles may have along one axis, with how many of them it takes: one, two and so on."""
    sides: dict[int, int] = {}
    for count in itertools.count(1):
        side = min(_up(-(-(length + (count - 1) * overlap) // count), multiple), length)
        if count > 1 and side - overlap < max(_THINNEST_PX, overlap // 2):
            break
        sides.setdefault(side, count)
    return sides


def _places(length: int, side: int, overlap: int) -> tuple[int, ...]:
    """Where tiles of one side begin: equally far apart, the last flush with the end."""
    if side == length:
        return (0,)
    count = -(-(length - overlap) // (side - overlap))
    return tuple(min(index * (side - overlap), length - side) for index in range(count))


def _spans(places: tuple[int, ...], side: int, length: int, halo: int) -> list[tuple[slice, slice, slice]]:
    """Of each tile along one axis: cut in the image, kept in the tile, kept in the image."""
    starts = [0, *(place + halo for place in places[1:])]
    stops = [*starts[1:], length]
    return [
        (slice(place, place + side), slice(start - place, stop - place), slice(start, stop))
        for place, start, stop in zip(places, starts, stops, strict=True)
    ]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
