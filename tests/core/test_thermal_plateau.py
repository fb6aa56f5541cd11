"""Plateau equalisation: against its definition, and over time."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.config.sources import Agc
from streamfuse.core.thermal.agc import PlateauAgc, SteadyAgc, agc_percentile, make_agc

MS = 1_000_000
S = 1000 * MS
FRAME = 33 * MS
Counts = npt.NDArray[np.uint16]


def street(seed: int = 3, shape: tuple[int, int] = (120, 160)) -> Counts:
    """A cold sky, a structured ground and a warm wall, with sensor noise of 4 counts."""
    height, width = shape
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    heat = np.where(y < 0.3, 6000 + 300 * y, 7600 + 250 * np.sin(9 * x) * y)
    heat[(x > 0.8) & (y > 0.2)] = 8100
    return np.rint(heat + rng.normal(0, 4, shape)).astype(np.uint16)


def with_person(counts: Counts, heat: int = 9_500) -> Counts:
    """Somebody of 4 % of the picture has walked in."""
    height, width = counts.shape
    hot = counts.copy()
    hot[height // 2 : height, : width // 12] = heat
    return hot


def equalised(
    counts: Counts, *, plateau_percent: float, low_percent: float, high_percent: float
) -> np.ndarray:
    """The definition, written down pixel by pixel and level by level; levels unrounded.

    Count the pixels of each of 256 levels between two percentiles, no level with more than its plateau;
    a count's brightness is the share of pixels below it. A quarter is a straight line; the slope is
    limited where eight grey levels would show the noise.
    """
    values = sorted(counts.ravel().tolist())
    rows, columns = counts.shape
    steps = sorted(
        abs(int(counts[r, c + 1]) - int(counts[r, c])) for r in range(rows) for c in range(columns - 1)
    )
    noise = float(np.median(steps)) / (0.6745 * math.sqrt(2))
    min_span = max(16.0, 255 / 8 * noise)
    low, high = np.percentile(values, (low_percent, high_percent))
    widen = max(0.0, min_span - (high - low)) / 2
    bottom, top = math.floor(low - widen), math.ceil(high + widen)
    bins = min(256, top - bottom)
    width = (top - bottom) / bins
    shares = [0.0] * bins
    for value in values:
        if bottom <= value < top:
            level = min(bins - 1, int((value - bottom) / width))
            shares[level] += 1 / len(values)
    shares = [min(share, plateau_percent / 100) for share in shares]
    rises = [min(255 * share / sum(shares), 255 / min_span * width) for share in shares]
    levels = [0.75 * rise + (255 - 0.75 * sum(rises)) / bins for rise in rises]
    out = np.empty(counts.shape)
    for (row, column), value in np.ndenumerate(counts):
        at = min(max((value + 0.5 - bottom) / width, 0.0), bins) if value < top else bins
        at = 0.0 if value < bottom else at
        whole = min(int(at), bins - 1)
        out[row, column] = sum(levels[:whole]) + (at - whole) * levels[whole]
    return out


@pytest.mark.parametrize("plateau_percent", [0.5, 7.0, 100.0])
def test_a_single_image_follows_the_definition(plateau_percent: float) -> None:
    """To one level at every pixel, plateau biting or not, tails included."""
    counts = with_person(street(shape=(60, 80)))
    settings = {"plateau_percent": plateau_percent, "low_percent": 1.0, "high_percent": 98.0}
    gray = make_agc(Agc(**settings)).apply(counts, 0)
    assert gray.dtype == np.uint8
    assert np.abs(gray - equalised(counts, **settings)).max() <= 0.51


def test_a_low_plateau_keeps_the_ground_from_taking_all_contrast() -> None:
    """With a plateau the sky, a third of all pixels in few counts, gets fewer levels than without."""
    counts = street()
    contrast = [
        np.ptp(make_agc(Agc(plateau_percent=percent)).apply(counts, 0)[:20].astype(int))
        for percent in (0.5, 100)
    ]
    assert contrast[0] < contrast[1]


def test_the_whole_range_is_used_from_the_first_image_on() -> None:
    """Nothing has to fade in: black and white are there, and half of the levels between."""
    gray = make_agc(Agc()).apply(street(), 0)
    assert (gray.min(), gray.max()) == (0, 255)
    assert len(np.unique(gray)) > 128


@given(st.integers(0, 2**32 - 1), st.sampled_from(["plateau", "percentile"]), st.integers(1, 9_000))
def test_hotter_is_never_darker(seed: int, method: str, spread: int) -> None:
    """Whatever came before: of two pixels of an image the one with more counts is not the darker one."""
    rng = np.random.default_rng(seed)
    agc = make_agc(Agc(method=method, low_percent=0.5, high_percent=99.5))
    for number in range(3):
        middle = rng.integers(0, 65_000)
        counts = np.clip(rng.normal(middle, spread, (24, 32)), 0, 65_535).astype(np.uint16)
        gray = agc.apply(counts, number * FRAME)
    order = np.argsort(counts, axis=None, kind="stable")
    assert np.all(np.diff(gray.ravel()[order].astype(int)) >= 0)


@pytest.mark.parametrize("method", ["plateau", "percentile"])
def test_blank_walls_stay_calm(method: str) -> None:
    """Noise of two counts does not become a picture, and a constant image is mid-grey."""
    noise = np.random.default_rng(3).integers(7000, 7003, (48, 64)).astype(np.uint16)
    assert np.ptp(make_agc(Agc(method=method)).apply(noise, 0)) < 50
    flat = make_agc(Agc(method=method)).apply(np.full((4, 4), 9, np.uint16), 0)
    assert np.unique(flat).tolist() == [pytest.approx(128, abs=12)]


def test_the_noise_of_a_blank_wall_is_bounded_whatever_the_camera() -> None:
    """With a standard deviation of 40 counts it shows with at most 16 levels, not with 64."""
    wall = np.random.default_rng(3).normal(29_000, 40, (120, 160)).astype(np.uint16)
    assert make_agc(Agc()).apply(wall, 0).std() < 16
    assert agc_percentile(wall).std() > 50


def test_hot_pixels_change_nothing() -> None:
    """Ten dead pixels at the end of the scale leave every other pixel within a level."""
    counts = street()
    broken = counts.copy()
    broken.flat[:: counts.size // 10] = 65_535
    broken.flat[7 :: counts.size // 10] = 0
    whole, hot = (make_agc(Agc()).apply(image, 0).astype(int) for image in (counts, broken))
    assert np.abs(whole - hot)[counts == broken].max() <= 1


# --- over time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["plateau", "percentile"])
def test_somebody_walking_in_does_not_make_the_picture_pump(method: str) -> None:
    """The background's mean moves by less than 3 levels a frame, and no pixel by more than the bound."""
    agc = make_agc(Agc(method=method, high_percent=99.9))
    before = agc.apply(street(), 0).astype(float)
    bound = 255 * (1 - math.exp(-FRAME / S)) + 1
    calm = (slice(0, 60), slice(20, 160))
    for number in range(1, 60):
        after = agc.apply(with_person(street()), number * FRAME).astype(float)
        assert abs(after[calm].mean() - before[calm].mean()) < 3
        assert np.abs(after[calm] - before[calm]).max() <= bound
        before = after


def test_undamped_the_same_picture_would_pump() -> None:
    """The scene of the test above is one that makes a difference."""
    alone, together = (agc_percentile(x, high_percent=99.9) for x in (street(), with_person(street())))
    calm = (slice(0, 60), slice(20, 160))
    assert abs(float(alone[calm].mean()) - float(together[calm].mean())) > 20


def test_the_frame_rate_does_not_matter() -> None:
    """After the same second the picture is the same at 9 and at 60 fps, to a level."""
    pictures = []
    for fps in (9, 60):
        agc = make_agc(Agc())
        agc.apply(street(), 0)
        for number in range(1, fps + 1):
            gray = agc.apply(with_person(street()), round(number * S / fps))
        pictures.append(gray.astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize("method", ["plateau", "percentile"])
@pytest.mark.parametrize("jump", [-900, 350, 2_500])
def test_a_flat_field_correction_does_not_flash(method: str, jump: int) -> None:
    """All counts jump behind the closed shutter, and have fresh noise: every grey stays what it was."""
    agc = make_agc(Agc(method=method))
    before = agc.apply(with_person(street()), 0).astype(float)
    corrected = (with_person(street(seed=4)).astype(int) + jump).astype(np.uint16)
    after = agc.apply(corrected, 2 * S).astype(float)
    ground = (slice(40, 60), slice(20, 120))
    assert abs(after[ground].mean() - before[ground].mean()) < 2


@pytest.mark.parametrize("method", ["plateau", "percentile"])
def test_an_offset_is_found_though_somebody_has_moved(method: str) -> None:
    """Somebody left while the shutter was closed: what they leave behind follows slowly, nothing flashes."""
    agc = make_agc(Agc(method=method))
    before = agc.apply(with_person(street()), 0).astype(float)
    after = agc.apply(street(seed=4) + np.uint16(800), FRAME).astype(float)
    ground = (slice(40, 60), slice(20, 120))
    assert abs(after[ground].mean() - before[ground].mean()) < 3


def test_a_new_scene_is_no_offset() -> None:
    """When the camera turns, the picture follows with its time constant, not at once and not never."""
    agc = make_agc(Agc())
    agc.apply(street(), 0)
    turned = np.ascontiguousarray(street()[::-1, ::-1]) // 2
    soon = agc.apply(turned, FRAME)
    late = agc.apply(turned, 20 * S)
    alone = make_agc(Agc()).apply(turned, 0)
    assert np.abs(soon.astype(int) - alone).mean() > 20
    assert np.abs(late.astype(int) - alone).max() <= 1


def test_the_same_frame_again_is_the_same_picture() -> None:
    """A held frame, or one whose time goes back, changes nothing."""
    agc = make_agc(Agc())
    agc.apply(street(), 0)
    first = agc.apply(with_person(street()), FRAME)
    assert np.array_equal(agc.apply(with_person(street()), FRAME), first)
    assert np.array_equal(agc.apply(with_person(street()), 0), first)


def test_the_size_of_the_images_may_change() -> None:
    """A camera that comes back with another size goes on with the curve it has."""
    agc = make_agc(Agc())
    agc.apply(street(), 0)
    assert agc.apply(street(shape=(60, 80)), FRAME).shape == (60, 80)


def test_the_configuration_chooses_the_method() -> None:
    """Plateau unless told otherwise."""
    assert isinstance(make_agc(Agc()), PlateauAgc)
    assert isinstance(make_agc(Agc(method="percentile")), SteadyAgc)


def test_it_is_fast_enough_for_every_frame() -> None:
    """At 640x512 it takes less than 6 ms of processor time (best of many; 2 ms on a free machine)."""
    agc = make_agc(Agc())
    images = [street(seed, shape=(512, 640)) for seed in range(3)]
    times_ns = []
    for number in range(40):
        start_ns = time.process_time_ns()
        agc.apply(images[number % 3], number * FRAME)
        times_ns.append(time.process_time_ns() - start_ns)
    assert min(times_ns) < 6 * MS
