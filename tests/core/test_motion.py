"""Motion energy: where an image has changed, at a price that nobody notices."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.motion import CHANNELS, MotionEnergy


def scene(box_xy: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A box of 40 pixels on a dark ground of 640x480."""
    image = np.full((480, 640), 20, np.uint8)
    left, top = box_xy
    image[top : top + 40, left : left + 40] = 200
    return image


def test_the_first_image_and_repeats_tell_nothing() -> None:
    """There is nothing to compare with, or nothing new."""
    motion = MotionEnergy()
    assert motion.of(scene((100, 100))) is None
    assert motion.of(scene((100, 100))) is None
    assert motion.of(scene((140, 100))) is not None


def test_what_moves_shows_in_its_bands() -> None:
    """A box that moves at the upper left raises the bands there and no others."""
    motion = MotionEnergy()
    motion.of(scene((0, 0)))
    energy = motion.of(scene((30, 0)))
    assert energy is not None
    assert energy.shape == (CHANNELS,)
    assert set(np.flatnonzero(energy)) == {0, 12, 13}


def test_thermal_counts_and_colours_move_as_luma_does() -> None:
    """16 bits and RGB of the same movement have the same energy."""
    energies = []
    for convert in (
        lambda gray: gray,
        lambda gray: gray.astype(np.uint16),
        lambda gray: np.repeat(gray[..., None], 3, axis=2),
    ):
        motion = MotionEnergy()
        motion.of(convert(scene((100, 100))))
        energy = motion.of(convert(scene((120, 130))))
        assert energy is not None
        energies.append(energy)
    assert np.array_equal(energies[0], energies[1])
    assert np.array_equal(energies[0], energies[2])


@given(width=st.integers(1, 700), height=st.integers(1, 300))
def test_any_size_has_all_bands(width: int, height: int) -> None:
    """From one pixel up, also when sides are not multiples of anything."""
    motion = MotionEnergy()
    assert motion.of(np.zeros((height, width), np.uint8)) is None
    energy = motion.of(np.full((height, width), 9, np.uint8))
    assert energy is not None
    assert np.allclose(energy, 3.0)


def test_an_image_without_two_sides_is_refused() -> None:
    """The error shows the shape."""
    with pytest.raises(ValueError, match=r"motion needs an HxW or HxWx3 image, got shape \(4, 4, 2\)"):
        MotionEnergy().of(np.zeros((4, 4, 2), np.uint8))


def test_motion_costs_less_than_a_third_of_a_millisecond() -> None:
    """At 640x480 (best of many: the machine may be busy)."""
    motion, images, times_s = MotionEnergy(), [scene((100, 100)), scene((104, 100))], []
    for number in range(100):
        start_s = time.perf_counter()
        motion.of(images[number % 2])
        times_s.append(time.perf_counter() - start_s)
    assert min(times_s) < 0.0003
