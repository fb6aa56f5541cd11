"""What a calibration says it is worth, held against the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_views import INFRARED, RIG, VISIBLE, pairs_of, shifted

from streamfuse.geometry.calibration.stereo import calibrate_stereo
from streamfuse.geometry.lenses import Lenses, within

TRUTH = Lenses(visible=VISIBLE, infrared=INFRARED, T_visible_from_infrared=RIG)


def off_px(found: Lenses, distance_m: float) -> float:
    """How far a registration is from the true one: RMS over the common field."""
    grid = np.stack(np.meshgrid(np.linspace(0, 639, 9), np.linspace(0, 479, 7)), axis=-1).reshape(-1, 2)
    true, told = (each.visible_from_infrared(grid, distance_m) for each in (TRUTH, found))
    common = within(true, VISIBLE.size_wh)
    return float(np.sqrt(np.mean(np.sum((true - told)[common] ** 2, axis=1))))


def test_a_pair_is_predicted_as_well_as_its_corners_are_found() -> None:
    """Errors that are independent, and known lenses: nothing is worse than the noise."""
    held = calibrate_stereo(pairs_of(8), visible=VISIBLE, infrared=INFRARED).held_out
    assert held is not None
    assert len(held.parts) == len(held.miss_px) == 8
    assert held.median_px == pytest.approx(0.1 * math.sqrt(2), rel=0.3)


def test_the_registration_is_as_sure_as_it_says() -> None:
    """Over several rigs, near and far: the deviation and the true error are of one size."""
    ratios = []
    for seed in range(4):
        held = calibrate_stereo(pairs_of(6, seed=seed), visible=VISIBLE, infrared=INFRARED).held_out
        assert held is not None
        for distance_m in (1.0, math.inf):
            told = held.registration_px(distance_m)
            assert told is not None
            ratios.append(off_px(held.whole, distance_m) / told)
    assert 0.2 < np.median(ratios) < 2
    assert max(ratios) < 4


def test_corners_that_err_together_are_noticed() -> None:
    """Every picture shifted as a whole: the RMS hides it, the prediction does not."""
    rng = np.random.default_rng(3)
    pairs = {
        name: (visible, shifted(infrared, rng.normal(0, 1.0, 2)))
        for name, (visible, infrared) in pairs_of(8).items()
    }
    found = calibrate_stereo(pairs, visible=VISIBLE, infrared=INFRARED)
    assert found.held_out is not None
    assert found.held_out.median_px > 2 * found.rms_px


def test_many_pairs_are_held_out_in_ten_groups() -> None:
    """Each pair once, so that the time stays bounded."""
    held = calibrate_stereo(pairs_of(13), visible=VISIBLE, infrared=INFRARED).held_out
    assert held is not None
    assert len(held.parts) == 10
    assert len(held.miss_px) == 13


def test_three_pairs_are_too_few_to_hold_one_out() -> None:
    """The calibration stands; nothing is said about what it is worth."""
    found = calibrate_stereo(pairs_of(3), visible=VISIBLE, infrared=INFRARED)
    assert len(found.used) == 3
    assert found.held_out is None
