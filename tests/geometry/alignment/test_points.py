from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.errors import CalibrationError, ConfigError
from streamfuse.geometry.alignment.points import fit_points, parse_points

WH = (640, 480)
TRUE = np.array([[1.05, -0.03, 12.0], [0.02, 1.04, -9.0], [2e-5, -1e-5, 1.0]])


def pairs(infrared: np.ndarray, matrix: np.ndarray = TRUE) -> np.ndarray:
    """Point pairs without an error."""
    moved = np.column_stack((infrared, np.ones(len(infrared)))) @ matrix.T
    return np.column_stack((moved[:, :2] / moved[:, 2:], infrared))


def scattered(count: int, seed: int = 0) -> np.ndarray:
    """Infrared points, the first near the corners."""
    rng = np.random.default_rng(seed)
    corners = np.array([(40, 40), (600, 50), (580, 430), (50, 440), (320, 240)])
    return np.concatenate((corners, rng.uniform((40, 40), (600, 440), (max(0, count - 5), 2))))[:count]


def parse(text: str) -> tuple[np.ndarray, list[int]]:
    """Read a file for a larger visible and a smaller infrared picture."""
    return parse_points(text, name="p.csv", visible_size_wh=WH, infrared_size_wh=(320, 240))


def test_exact_pairs_give_the_exact_homography() -> None:
    """Without noise nothing is left, and nothing is wrong."""
    fit = fit_points(pairs(scattered(8)), visible_size_wh=WH)
    np.testing.assert_allclose(
        fit.H_visible_from_infrared / fit.H_visible_from_infrared[2, 2], TRUE, rtol=1e-5, atol=1e-7
    )
    assert fit.rms_px < 1e-4
    assert fit.leave_one_out_px < 1e-3
    assert not fit.wrong.any()


@given(seed=st.integers(0, 10_000), wrong=st.sets(st.integers(0, 11), max_size=3))
def test_wrong_pairs_are_named_and_do_not_harm(seed: int, wrong: set[int]) -> None:
    """Up to a quarter of the pairs may be far off: exactly they are left out, by how much is said."""
    rng = np.random.default_rng(seed)
    points = pairs(scattered(12)) + rng.normal(0, 0.3, (12, 4)) * (1, 1, 0, 0)
    for index in wrong:
        angle = rng.uniform(0, 2 * np.pi)
        points[index, :2] += 60.0 * np.array((np.cos(angle), np.sin(angle)))
    fit = fit_points(points, visible_size_wh=WH)
    assert set(np.flatnonzero(fit.wrong)) == wrong
    assert all(50 < fit.residuals_px[index] < 70 for index in wrong)
    assert fit.rms_px < 1.0 < fit.rms_px + fit.leave_one_out_px + 1


def test_leave_one_out_is_the_honest_error() -> None:
    """With few pairs the residual flatters; what the others predict does not."""
    points = pairs(scattered(6)) + np.random.default_rng(1).normal(0, 1.0, (6, 4)) * (1, 1, 0, 0)
    fit = fit_points(points, visible_size_wh=WH)
    assert fit.leave_one_out_px > 2 * fit.rms_px


def test_affine_has_no_perspective() -> None:
    """The last row stays 0, 0, 1, and three pairs and one more are enough."""
    matrix = np.array([[1.1, 0.02, 5.0], [-0.03, 0.95, 8.0], [0, 0, 1.0]])
    fit = fit_points(pairs(scattered(4), matrix), visible_size_wh=WH, model="affine")
    np.testing.assert_allclose(fit.H_visible_from_infrared, matrix, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (pairs(scattered(4)), "4 point pairs are too few"),
        (pairs(np.column_stack((np.arange(8) * 70.0 + 20, np.arange(8) * 50.0 + 20))), "one line"),
        (np.tile(pairs(scattered(1)), (6, 1)), "one line, or in one place"),
        (np.random.default_rng(0).uniform(0, 480, (10, 4)), "contradict each other"),
        (
            pairs(np.array([(40.0, 40), (160, 100), (280, 160), (400, 220), (520, 280), (100, 400)])),
            "on one line but for one|depends on one",
        ),
        (
            pairs(np.array([(40.0, 40), (90, 44), (45, 92), (88, 90), (66, 60), (70, 75), (620, 440)])),
            "all depends on one",
        ),
    ],
    ids=["few", "collinear", "same", "random", "line", "lever"],
)
def test_points_that_determine_nothing_are_refused(points: np.ndarray, says: str) -> None:
    """The sentence says why, and nothing comes back."""
    if "depends" in says:
        points = points + np.random.default_rng(2).normal(0, 1.5, points.shape) * (1, 1, 0, 0)
    with pytest.raises(CalibrationError, match=says):
        fit_points(points, visible_size_wh=WH)


def test_a_file_is_read_with_its_lines() -> None:
    """A header may order the columns; comments and empty lines keep the count of lines right."""
    text = "# by hand\ninfrared_x,infrared_y,visible_x,visible_y\n\n1,2,30,40\n5.5, 6 ,70,80\n"
    points, lines = parse(text)
    np.testing.assert_array_equal(points, [(30, 40, 1, 2), (70, 80, 5.5, 6)])
    assert lines == [4, 5]


def test_all_mistakes_of_a_file_are_told_with_their_lines() -> None:
    """A cell too few, a word, NaN and a point outside: one line each."""
    with pytest.raises(ConfigError) as caught:
        parse("1,2,3,4\n1,2,3\n1,two,3,4\nnan,2,3,4\n1,2,320,4\n")
    assert caught.value.problems == (
        "p.csv:2: expected four numbers (visible_x, visible_y, infrared_x, infrared_y), got 3 values",
        "p.csv:3: visible_y: expected a number, got 'two'",
        "p.csv:4: visible_x: expected a finite number, got nan",
        "p.csv:5: infrared_x: 320 is outside of the picture, which has 0 to 319",
    )


def test_semicolons_are_told_once() -> None:
    """A file of another country gets one sentence, not one for each line."""
    with pytest.raises(ConfigError) as caught:
        parse("visible_x;visible_y;infrared_x;infrared_y\n1;2;3;4\n5,5;6;7;8\n")
    (problem,) = caught.value.problems
    assert problem.startswith("p.csv:1: separate the numbers by commas")


def test_one_wrong_pair_of_six_is_named() -> None:
    """It is left out, or the refusal names it; five pairs seldom agree on something else."""
    named = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        points = pairs(scattered(6, seed)) + rng.normal(0, 0.5, (6, 4))
        wrong = int(rng.integers(6))
        points[wrong, :2] += 90.0 * np.array(((-1) ** seed, 0.5))
        names = [f"p.csv:{line}" for line in range(2, 8)]
        try:
            fit = fit_points(points, visible_size_wh=WH, names=names)
        except CalibrationError as error:
            named += f"p.csv:{wrong + 2}" in str(error)
        else:
            named += list(np.flatnonzero(fit.wrong)) == [wrong]
    assert named >= 56


def test_a_cluster_says_nothing_about_the_rest() -> None:
    """Points in one corner of the picture are refused, as exact as they may be."""
    cluster = np.array([(40.0, 40), (90, 44), (45, 92), (88, 90), (66, 60), (70, 75)])
    with pytest.raises(CalibrationError, match=r"all points lie within .* say nothing about the rest"):
        fit_points(pairs(cluster), visible_size_wh=WH)
