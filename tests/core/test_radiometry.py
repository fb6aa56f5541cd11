"""Temperatures from counts, and of objects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.config import sources
from streamfuse.core.masks import encode_mask
from streamfuse.core.thermal.radiometry import Radiometry
from streamfuse.frames import Detection, Temperature


def of(**settings: float) -> Radiometry:
    """A radiometry with FLIR's T-Linear scale unless told otherwise."""
    return Radiometry(sources.Radiometry(**settings))


def found(*box: float, mask: np.ndarray | None = None) -> Detection:
    """An object in a box."""
    left, top, right, bottom = box
    return Detection(
        box_xyxy=(left, top, right, bottom),
        class_id=0,
        class_name="person",
        confidence=0.9,
        mask_rle=None if mask is None else encode_mask(mask),
    )


@pytest.mark.parametrize(("counts", "celsius"), [(27_315, 0.0), (31_015, 37.0), (0, -273.15)])
def test_a_black_body_follows_the_scale(counts: int, celsius: float) -> None:
    """Hundredths of a kelvin, as FLIR's T-Linear gives them."""
    assert of().celsius(counts) == pytest.approx(celsius, abs=1e-9)


def test_a_grey_body_is_hotter_than_it_looks() -> None:
    """Emissivity 0.95 in a room of 20 °C: what looks like 100 °C has 103.0 °C (by hand, T^4 in kelvin)."""
    apparent, room = 373.15**4, 293.15**4
    by_hand = ((apparent - 0.05 * room) / 0.95) ** 0.25 - 273.15
    assert of(emissivity=0.95).celsius(37_315) == pytest.approx(by_hand, abs=1e-9)
    assert by_hand == pytest.approx(103.0, abs=0.1)


@given(st.floats(0.05, 1.0), st.floats(-40, 200))
def test_what_is_as_warm_as_its_surroundings_shows_its_temperature(emissivity: float, room_c: float) -> None:
    """Whatever the emissivity: it radiates and mirrors the same."""
    radiometry = of(emissivity=emissivity, reflected_c=room_c, scale=1.0, offset=room_c)
    assert radiometry.celsius(0) == pytest.approx(room_c, abs=1e-6)


def test_colder_than_its_reflections_is_no_error() -> None:
    """A mirror in a hot room that shows the cold sky: absolute zero at the least, never NaN."""
    assert of(emissivity=0.1, reflected_c=100.0).celsius(20_000) == pytest.approx(-273.15)


def test_an_object_is_measured_within_its_box() -> None:
    """Minimum, mean and maximum of the pixels inside; the rest of the picture does not matter."""
    counts = np.full((20, 30), 65_535, np.uint16)
    counts[5:9, 10:14] = 30_315
    counts[5, 10], counts[8, 13] = 29_315, 31_315
    heat = of().measure(found(10, 5, 14, 9), counts)
    assert heat is not None
    assert (heat.min_c, heat.max_c) == (pytest.approx(20.0), pytest.approx(40.0))
    assert heat.mean_c == pytest.approx(30.0)


def test_a_mask_leaves_the_background_out() -> None:
    """Of a box half full of cold wall only the object counts."""
    counts = np.full((20, 30), 28_315, np.uint16)
    counts[5:9, 12:14] = 31_015
    mask = counts > 30_000
    heat = of().measure(found(10, 5, 14, 9, mask=mask), counts)
    assert heat is not None
    assert (heat.min_c, heat.max_c) == (pytest.approx(37.0), pytest.approx(37.0))


def test_only_what_the_infrared_camera_sees_counts() -> None:
    """Half in sight: that half is measured. Out of sight, or out of the picture: no temperature."""
    counts = np.zeros((20, 30), np.uint16)
    counts[:, :15] = 30_315
    seen = np.zeros(counts.shape, np.bool_)
    seen[:, :15] = True
    heat = of().measure(found(10, 5, 20, 9), counts, seen=seen)
    assert heat is not None
    assert heat.min_c == pytest.approx(30.0)
    assert of().measure(found(16, 5, 20, 9), counts, seen=seen) is None
    assert of().measure(found(31, 5, 40, 9), counts) is None


@given(st.tuples(*[st.floats(-50, 80)] * 4))
def test_any_box_is_measured_or_not(sides: tuple[float, float, float, float]) -> None:
    """Boxes across the edges or without area never fail, and never show what lies outside."""
    left, right = sorted(sides[::2])
    top, bottom = sorted(sides[1::2])
    heat = of().measure(found(left, top, right, bottom), np.full((20, 30), 30_315, np.uint16))
    assert heat is None or heat.max_c == pytest.approx(30.0)


def test_temperatures_must_rise() -> None:
    """The error shows the three."""
    with pytest.raises(ValueError, match=r"temperatures must rise: 3.0, 2.0, 1.0"):
        Temperature(min_c=3.0, mean_c=2.0, max_c=1.0)
