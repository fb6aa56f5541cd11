"""Steady contrast: what a video is stretched by, decided from numbers alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.core.steady import Limits, SteadyContrast, Survey, scene_change, tails

FRAME_NS = 33_333_333
S = 1_000_000_000
ADAPT_S, RELIEVE_S = 2.0, 0.2
SCENE = np.random.default_rng(5).uniform(0, 255, (12, 16)).astype(np.float32)
OTHER_SCENE = SCENE[::-1, ::-1]

levels = st.integers(0, 255)
frames = st.builds(
    lambda a, b, n: survey(min(a, b), max(a, b), pixels=n), levels, levels, st.integers(1, 10**6)
)
steps_ns = st.integers(0, 60 * S)


def survey(low: int, high: int, *, pixels: int = 300_000, sketch: np.ndarray = SCENE) -> Survey:
    """A grey frame whose levels fill ``low`` to ``high`` evenly."""
    histogram = np.zeros(256, np.int64)
    histogram[low : high + 1] = pixels
    return Survey(dark=histogram, bright=histogram, sketch=sketch)


def with_lamp(frame: Survey, share: float) -> Survey:
    """The frame with a share of its pixels at 255."""
    histogram = frame.dark.copy()
    histogram[255] += round(share / (1 - share) * int(histogram.sum()))
    return Survey(dark=histogram, bright=histogram, sketch=frame.sketch)


def burnt(frame: Survey, limits: Limits) -> float:
    """Share of pixels above the upper limit."""
    return float(frame.bright[math.floor(limits.high) + 1 :].sum() / frame.bright.sum())


def contrast() -> SteadyContrast:
    """With the numbers that the tests reckon with."""
    return SteadyContrast(adapt_s=ADAPT_S, relieve_s=RELIEVE_S, burnt_share=0.01)


# --- Following a scene --------------------------------------------------------------------------


def test_the_first_frame_is_stretched_by_its_own_extremes() -> None:
    """As the published chain would, from the first frame on."""
    assert contrast().limits(survey(30, 200), 7 * S) == (30, 200)


@given(frames, st.lists(steps_ns, max_size=20))
def test_what_does_not_change_is_not_changed(frame: Survey, steps: list[int]) -> None:
    """A constant scene has constant limits, however its frames come."""
    steady, now_ns = contrast(), 0
    first = steady.limits(frame, now_ns)
    for step in steps:
        now_ns += step
        assert steady.limits(frame, now_ns) == pytest.approx(first, abs=1e-9)


@given(st.lists(st.tuples(frames, steps_ns), min_size=1, max_size=30))
def test_limits_stay_within_bounds_and_move_no_faster_than_promised(story: list[tuple[Survey, int]]) -> None:
    """Whatever comes: within 0..255, at least 64 apart, and a bounded step for the time that has passed."""
    steady, now_ns, before = contrast(), 0, None
    for frame, step in story:
        now_ns += step
        limits = steady.limits(frame, now_ns)
        assert 0 <= limits.low <= limits.high <= 255
        assert limits.high - limits.low >= 64 - 1e-9
        if before is not None:
            bound = 255 * (1 - math.exp(-step / (RELIEVE_S * S))) + 1e-9
            assert abs(limits.low - before.low) <= bound
            assert abs(limits.high - before.high) <= bound
        before = limits


@given(frames, frames, st.integers(1, 12), st.integers(FRAME_NS, 3 * S))
def test_the_frame_rate_does_not_matter(start: Survey, end: Survey, count: int, whole_ns: int) -> None:
    """A limit that only adapts is where it would be after one step of the same time."""
    slow = SteadyContrast(adapt_s=ADAPT_S, relieve_s=ADAPT_S, burnt_share=0.01)
    fast = SteadyContrast(adapt_s=ADAPT_S, relieve_s=ADAPT_S, burnt_share=0.01)
    slow.limits(start, 0)
    fast.limits(start, 0)
    once = slow.limits(end, whole_ns)
    for number in range(count):
        often = fast.limits(end, whole_ns * (number + 1) // count)
    assert often == pytest.approx(once, abs=1e-3)


def test_a_change_is_followed_by_its_time_constant() -> None:
    """After 2 s the way is done but for 1/e; noise of one frame moves a limit by 2 % of itself."""
    steady = contrast()
    steady.limits(survey(0, 200), 0)
    assert steady.limits(survey(50, 200), FRAME_NS).low == pytest.approx(50 / 60, rel=0.02)
    assert steady.limits(survey(50, 200), 2 * S).low == pytest.approx(50 * (1 - 1 / math.e), rel=0.001)


def test_a_gap_in_time_is_time() -> None:
    """After a minute without frames the limits are those of the scene."""
    steady = contrast()
    steady.limits(survey(0, 255), 0)
    assert steady.limits(survey(60, 190), 60 * S) == pytest.approx((60, 190), abs=1e-6)


def test_a_frame_that_is_not_later_moves_nothing() -> None:
    """Two frames of one time, and a clock that steps back, leave the limits; then time counts again."""
    steady = contrast()
    first = steady.limits(survey(20, 220), 10 * S)
    assert steady.limits(survey(60, 180), 10 * S) == first
    assert steady.limits(survey(60, 180), 4 * S) == first
    assert steady.limits(survey(60, 180), 5 * S).low > first.low


# --- Lamps, and what burns out ------------------------------------------------------------------


def test_a_small_lamp_dims_the_picture_slowly() -> None:
    """Half a percent of the pixels may burn; the limit moves towards them with the slow constant."""
    steady, dim = contrast(), survey(0, 150)
    steady.limits(dim, 0)
    assert steady.limits(with_lamp(dim, 0.005), FRAME_NS).high < 152
    assert steady.limits(with_lamp(dim, 0.005), 10 * S).high > 250


def test_what_burns_out_is_relieved_within_a_second() -> None:
    """A light over a tenth of the image clips for a moment, and not in one step."""
    steady, dim = contrast(), survey(0, 150)
    lit = with_lamp(dim, 0.1)
    steady.limits(dim, 0)
    high = [steady.limits(lit, number * FRAME_NS).high for number in range(1, 31)]
    assert high[0] < 170
    assert high[-1] > 254
    assert all(later > earlier for earlier, later in itertools.pairwise(high))


@given(frames, st.floats(0.02, 0.9))
def test_no_more_than_a_small_share_stays_burnt(frame: Survey, share: float) -> None:
    """Two seconds after any light came on, at most one percent of the pixels lie half a level above white."""
    steady = contrast()
    steady.limits(frame, 0)
    lit = with_lamp(frame, share)
    for number in range(1, 61):
        limits = steady.limits(lit, number * FRAME_NS)
    assert burnt(lit, Limits(limits.low, limits.high + 0.5)) <= 0.01


# --- Cuts ---------------------------------------------------------------------------------------


def test_a_cut_is_followed_at_once() -> None:
    """Another scene is stretched by its own extremes from its first frame on."""
    steady = contrast()
    steady.limits(survey(0, 255), 0)
    assert steady.limits(survey(60, 160, sketch=OTHER_SCENE), FRAME_NS) == (60, 160)


@pytest.mark.parametrize(
    ("sketch", "what"),
    [
        (SCENE + 30, "a flat-field correction"),
        (SCENE * 2, "a light switched on"),
        (SCENE + np.pad(np.full((3, 3), 200.0), ((4, 5), (9, 4))), "a lamp"),
        (SCENE + np.random.default_rng(1).normal(0, 0.3, SCENE.shape), "noise"),
    ],
)
def test_a_change_of_light_is_no_cut(sketch: np.ndarray, what: str) -> None:
    """Brighter, with more contrast, or with a lamp in it, it is the same scene: limits move slowly."""
    steady = contrast()
    first = steady.limits(survey(20, 220), 0)
    later = steady.limits(survey(90, 170, sketch=sketch.astype(np.float32)), FRAME_NS)
    assert later == pytest.approx(first, abs=2), what


def test_a_blank_scene_is_no_cut_from_itself() -> None:
    """Noise over fog has no structure that could have changed; the end of the fog is a cut."""
    rng = np.random.default_rng(2)
    fog = [(100 + rng.normal(0, 0.4, SCENE.shape)).astype(np.float32) for _ in range(2)]
    assert scene_change(*fog) < 0.5
    assert scene_change(fog[0], SCENE) > 0.5


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_scene_change_is_a_distance_of_sorts(first_seed: int, second_seed: int) -> None:
    """0 from itself, the same both ways, never negative nor above 1."""
    a, b = (
        np.random.default_rng(seed).uniform(0, 255, (12, 16)).astype(np.float32)
        for seed in (first_seed, second_seed)
    )
    assert scene_change(a, a) == 0
    assert scene_change(a, b) == scene_change(b, a)
    assert 0 <= scene_change(a, b) <= 1


def test_an_image_of_one_tile_has_no_structure() -> None:
    """A single pixel cannot be told from any other, so it is never a cut."""
    one = np.zeros((1, 1), np.float32)
    assert scene_change(one, one + 200) == 0


# --- Reading a frame ----------------------------------------------------------------------------


def test_tails_leave_the_share_outside() -> None:
    """Of 1000 pixels evenly on 10..19, a tenth lies on each level."""
    frame = survey(10, 19, pixels=100)
    assert tails(frame, 0.0) == (10, 19)
    assert tails(frame, 0.15) == (11, 18)


def test_a_dead_pixel_does_not_count() -> None:
    """One pixel in a million at 0 and one at 255 leave the extremes of the others."""
    histogram = survey(40, 180, pixels=10_000).dark
    histogram[[0, 255]] = 1
    assert contrast().limits(Survey(dark=histogram, bright=histogram, sketch=SCENE), 0) == (40, 180)


@pytest.mark.parametrize(("level", "limits"), [(0, (0, 64)), (100, (68, 132)), (255, (191, 255))])
def test_a_flat_frame_is_not_stretched_to_noise(level: int, limits: tuple[float, float]) -> None:
    """64 levels are always shown together, also at the ends of the scale."""
    assert contrast().limits(survey(level, level), 0) == limits


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dark": np.zeros(256, np.int64)}, "must count the same pixels, got 0 and"),
        ({"bright": np.ones(64, np.int64)}, r"must have 256 bins, got \(256,\) and \(64,\)"),
        ({"sketch": np.zeros(4, np.float32)}, r"rows x columns, got \(4,\)"),
    ],
)
def test_a_survey_checks_itself(change: dict[str, np.ndarray], complaint: str) -> None:
    """Numbers that cannot be of one frame are refused."""
    good = survey(0, 255)
    parts = {"dark": good.dark, "bright": good.bright, "sketch": good.sketch} | change
    with pytest.raises(ValueError, match=complaint):
        Survey(**parts)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"adapt_s": 0.1}, "0 < relieve_s <= adapt_s, got 0.2 and 0.1"),
        ({"adapt_s": math.inf}, "relieve_s <= adapt_s"),
        ({"burnt_share": 0.5}, "burnt_share must be within 1e-05..0.5, got 0.5"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, float], complaint: str) -> None:
    """Refused, got and expected."""
    with pytest.raises(ValueError, match=complaint):
        SteadyContrast(**settings)
