"""Sixteen bits squeezed into eight between two percentiles; other methods in test_thermal_plateau.py."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.core.thermal import SteadyAgc, agc_percentile

MS = 1_000_000
S = 1000 * MS


def scene(
    mean: float = 7000.0, spread: float = 150.0, shape: tuple[int, int] = (480, 640)
) -> npt.NDArray[np.uint16]:
    """A noisy thermal image."""
    return np.random.default_rng(3).normal(mean, spread, shape).astype(np.uint16)


def test_the_percentiles_become_black_and_white() -> None:
    """A ramp of 10 000 counts from 1 % to 99 % fills 0..255, in order."""
    ramp = np.arange(10_000, dtype=np.uint16).reshape(100, 100) + 3000
    grey = agc_percentile(ramp).ravel()
    assert grey.dtype == np.uint8
    assert np.all(np.diff(grey.astype(int)) >= 0)
    assert grey[:100].max() == 0
    assert grey[9900:].min() == 255
    assert grey[5000] == pytest.approx(127.5, abs=1)


def test_one_hot_pixel_does_not_darken_the_scene() -> None:
    """A welding spark drowns in white and leaves the rest as it was."""
    image = scene()
    spark = image.copy()
    spark[1, 1] = 65535
    assert agc_percentile(spark)[1, 1] == 255
    assert np.array_equal(np.delete(agc_percentile(spark), 1, 0), np.delete(agc_percentile(image), 1, 0))


def test_percentiles_of_a_sample_are_those_of_the_image() -> None:
    """Looking at a grid of pixels only, the shares of black and white stay close to 1 %."""
    grey = agc_percentile(scene())
    assert np.mean(grey == 0) == pytest.approx(0.01, abs=0.004)
    assert np.mean(grey == 255) == pytest.approx(0.01, abs=0.004)


def test_a_blank_wall_stays_calm() -> None:
    """Noise of two counts is not blown up to full contrast, and a constant image is mid-grey."""
    noise = np.random.default_rng(3).integers(7000, 7003, (48, 64)).astype(np.uint16)
    assert np.ptp(agc_percentile(noise)) < 40
    assert np.unique(agc_percentile(np.full((4, 4), 9, np.uint16))).tolist() == [128]


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 1), np.uint16), np.zeros((0, 4), np.uint16)]
)
def test_agc_takes_thermal_images_only(bad: npt.NDArray[np.uint16]) -> None:
    """The error shows dtype and shape."""
    with pytest.raises(ValueError, match="AGC needs an HxW uint16 image, got"):
        agc_percentile(bad)


@pytest.mark.parametrize(("low", "high"), [(5.0, 5.0), (-1.0, 99.0), (1.0, 101.0)])
def test_percentiles_must_rise_within_0_to_100(low: float, high: float) -> None:
    """Both faces of the AGC check their percentiles."""
    with pytest.raises(ValueError, match=r"percentiles must rise within 0\.\.100"):
        agc_percentile(scene(shape=(4, 4)), low_percent=low, high_percent=high)
    with pytest.raises(ValueError, match=r"percentiles must rise within 0\.\.100"):
        SteadyAgc(low_percent=low, high_percent=high)


def test_steady_agc_starts_with_the_limits_of_the_first_image() -> None:
    """Nothing has to fade in."""
    agc = SteadyAgc()
    assert agc.limits is None
    assert np.array_equal(agc.apply(scene(), 0), agc_percentile(scene()))


def test_steady_agc_follows_a_change_with_its_time_constant() -> None:
    """One second after the contrast doubled, 63 % of the way is done; after ten more, all of it."""
    agc = SteadyAgc(time_constant_s=1.0)
    agc.apply(scene(spread=150), 0)
    assert agc.limits is not None
    before = np.ptp(agc.limits)
    agc.apply(scene(spread=300), 1 * S)
    assert np.ptp(agc.limits) / before == pytest.approx(2 - np.exp(-1), abs=0.01)
    agc.apply(scene(spread=300), 11 * S)
    assert np.ptp(agc.limits) / before == pytest.approx(2, abs=0.01)


def test_steady_agc_does_not_depend_on_the_frame_rate() -> None:
    """After the same second, limits are the same at 9 and at 60 fps."""
    limits = []
    for fps in (9, 60):
        agc = SteadyAgc()
        agc.apply(scene(shape=(48, 64)), 0)
        for number in range(1, fps + 1):
            agc.apply(scene(spread=300, shape=(48, 64)), round(number * S / fps))
        limits.append(agc.limits)
    assert limits[0] == pytest.approx(limits[1], rel=1e-9)


def test_a_hot_object_that_comes_and_goes_does_not_make_the_picture_pump() -> None:
    """A vehicle passing for 100 ms dims the background by less than a third of what it would unsteadied."""
    with_vehicle = scene()
    with_vehicle[:120] += 2000
    agc = SteadyAgc(time_constant_s=1.0)
    calm = agc.apply(scene(), 0)[300:].astype(float)
    steady = agc.apply(with_vehicle, 100 * MS)[300:].astype(float)
    sudden = agc_percentile(with_vehicle)[300:].astype(float)
    assert abs(steady.mean() - calm.mean()) < abs(sudden.mean() - calm.mean()) / 3


def test_a_capture_time_that_goes_back_changes_nothing() -> None:
    """No time has passed, so the limits stay."""
    agc = SteadyAgc()
    agc.apply(scene(7000), 1 * S)
    before = agc.limits
    agc.apply(scene(8000, spread=300), 0)
    assert agc.limits == before


def test_an_offset_of_all_counts_does_not_flash() -> None:
    """After a flat-field correction every pixel has 400 counts more; the picture stays within one level."""
    agc = SteadyAgc()
    before = agc.apply(scene(7000), 0)
    after = agc.apply(scene(7400), 33 * MS)
    assert np.abs(after.astype(int) - before).max() <= 1


def test_a_time_constant_must_be_positive() -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match="time_constant_s must be a positive number, got 0"):
        SteadyAgc(0)


def test_agc_is_fast_enough_for_every_frame() -> None:
    """At 640x480, steady AGC takes less than 3 ms (best of many: the machine may be busy)."""
    agc, image = SteadyAgc(), scene()
    times_s = []
    for number in range(50):
        start_s = time.perf_counter()
        agc.apply(image, number * 33 * MS)
        times_s.append(time.perf_counter() - start_s)
    assert min(times_s) < 0.003
