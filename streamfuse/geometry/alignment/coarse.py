"""The first guess: every scale, every angle and every shift of a range, none left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.geometry.alignment.descriptor import Descriptor
from streamfuse.geometry.alignment.level import Floats, Level, SizeWH, corners_of, mapped, shift

__all__ = ["Guess", "SearchRange", "guesses"]

_PEAKS = 3
"""That are kept of each scale and angle."""
_APART_PX = 4
_LEAST_OVERLAP = 0.25
"""Of the energy of the best overlap: chance agrees well on little."""


class Guess(NamedTuple):
    """A homography from visible to infrared pixels, and the normalised correlation there."""

    H_infrared_from_visible: Floats
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRange:
    """How far from the start the truth may be.

    Raises:
        ValueError: a number outside its range.
    """

    scale: float = 0.10
    """The picture may be larger or smaller by this share."""
    angle_deg: float = 6.0
    shift: float = 0.14
    """Share of the width of the visible picture."""

    def __post_init__(self) -> None:
        if not (0 <= self.scale <= 0.6 and 0 <= self.angle_deg <= 45 and 0 < self.shift <= 0.5):
            raise ValueError(
                "a search takes scale 0…0.6, angle_deg 0…45 and shift up to 0.5, "
                f"got {self.scale}, {self.angle_deg}, {self.shift}"
            )

    @property
    def scales(self) -> Floats:
        """Steps of 2 %."""
        steps = round(np.log1p(self.scale) / 0.02)
        return np.asarray(np.exp(np.linspace(-1, 1, 2 * steps + 1) * np.log1p(self.scale)), np.float64)

    @property
    def angles_deg(self) -> Floats:
        """Steps of about a degree."""
        return np.linspace(-self.angle_deg, self.angle_deg, 2 * round(self.angle_deg) + 1)


def guesses(level: Level, start: Floats, search: SearchRange, *, most: int) -> list[Guess]:
    """The best similarities on top of a start, best first, each some pixels from all better ones.

    Args:
        level: the pairs, about 160 pixels wide.
        start: 3x3 of this level, from visible to infrared.
        search: how far to look around it.
        most: how many.
    """
    width, height = level.size_wh
    reach = round(search.shift * width)
    canvas = (cv2.getOptimalDFTSize(width + 2 * reach), cv2.getOptimalDFTSize(height + 2 * reach))
    fixed = [_Spectra.of(one, np.ones(one.shape[:2], np.float32), canvas) for one in level.visible]
    found: list[Guess] = []
    for scale in search.scales:
        for angle in search.angles_deg:
            turned = start @ _turn(level.size_wh, scale, angle)
            surface = np.zeros((2 * reach + 1, 2 * reach + 1))
            for index, spectra in enumerate(fixed):
                there, seen = level.moved(index, turned, reach)
                surface += spectra.match(_Spectra.of(there, seen.astype(np.float32), canvas), reach)
            for dx, dy, score in _peaks(surface / len(fixed), reach):
                found.append(Guess(turned @ shift(dx, dy), score))
    found.sort(key=lambda guess: -guess.score)
    return _distinct(found, level.size_wh, most)


class _Spectra(NamedTuple):
    edges: npt.NDArray[np.complexfloating]
    energy: npt.NDArray[np.complexfloating]
    seen: npt.NDArray[np.complexfloating]
    canvas: SizeWH

    @classmethod
    def of(cls, edges: Descriptor, seen: npt.NDArray[np.float32], canvas: SizeWH) -> _Spectra:
        size = canvas[::-1]
        energy = np.fft.rfft2(np.sum(edges * edges, axis=-1), s=size)
        pairs = np.ascontiguousarray(edges).view(np.complex64)
        return cls(np.fft.fft2(pairs, s=size, axes=(0, 1)), energy, np.fft.rfft2(seen, s=size), canvas)

    def match(self, other: _Spectra, reach: int) -> Floats:
        """Correlation at every shift, normalised by what overlaps there."""
        span, size = 2 * reach + 1, self.canvas[::-1]
        common = np.fft.ifft2(np.sum(np.conj(self.edges) * other.edges, axis=-1)).real[:span, :span]
        mine = np.fft.irfft2(np.conj(self.energy) * other.seen, s=size)[:span, :span]
        its = np.fft.irfft2(np.conj(self.seen) * other.energy, s=size)[:span, :span]
        mine, its = (np.maximum(one, max(_LEAST_OVERLAP * one.max(), 1e-3)) for one in (mine, its))
        return np.asarray(common / np.sqrt(mine * its), np.float64)


def _peaks(surface: Floats, reach: int) -> list[tuple[int, int, float]]:
    """The highest places, each apart from the higher ones: shift in pixels, and height."""
    left, peaks = surface.copy(), []
    for _ in range(_PEAKS):
        y, x = (int(at) for at in np.unravel_index(np.argmax(left), left.shape))
        peaks.append((x - reach, y - reach, float(surface[y, x])))
        left[max(0, y - _APART_PX) : y + _APART_PX + 1, max(0, x - _APART_PX) : x + _APART_PX + 1] = -np.inf
    return peaks


def _distinct(found: list[Guess], size_wh: SizeWH, most: int) -> list[Guess]:
    kept: list[Guess] = []
    places: list[Floats] = []
    for guess in found:
        place = mapped(guess.H_infrared_from_visible, corners_of(size_wh))
        if all(np.abs(place - other).max() > _APART_PX for other in places):
            kept.append(guess)
            places.append(place)
        if len(kept) == most:
            break
    return kept


def _turn(size_wh: SizeWH, scale: float, angle_deg: float) -> Floats:
    """About the middle of the picture."""
    x, y = (size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2
    c, s = scale * np.cos(np.radians(angle_deg)), scale * np.sin(np.radians(angle_deg))
    return np.array([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y], [0.0, 0.0, 1.0]])
