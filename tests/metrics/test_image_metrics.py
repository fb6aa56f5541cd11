"""The image metrics by name: invariants, ranges, mistakes and cost."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.errors import UsageError
from streamfuse.metrics.arrays import Gray
from streamfuse.metrics.convention import Convention
from streamfuse.metrics.fusion import METRICS, fusion_metrics

NAMES = (
    "EN SD SF AG MI SCD CC MSE PSNR VIF Qabf Nabf FMI SSIM MS-SSIM CV CHECKER".split()  # noqa: SIM905 - as tables head it
)
SMALL = [name for name in NAMES if name != "MS-SSIM"]
"""What images of 48 pixels are large enough for."""

few = settings(max_examples=15, deadline=None)  # the first example compiles


def scene(seed: int, *, size: tuple[int, int] = (48, 56)) -> Gray:
    """Slopes, edges and noise: a picture as far as metrics can tell."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    image = 60.0 + rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y + rng.normal(0, rng.uniform(1, 12), size)
    for _ in range(6):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        image[top : top + 14, left : left + 17] += rng.uniform(-80, 120)
    return np.clip(image, 0, 255).astype(np.uint8)


seeds = st.integers(0, 2**32 - 1)
conventions = st.sampled_from(Convention)


def test_all_metrics_in_the_order_of_the_tables() -> None:
    """Seventeen values under their names, in order; every metric says unit, source and direction."""
    visible, infrared, fused = (scene(seed, size=(161, 170)) for seed in range(3))
    values = fusion_metrics(visible, infrared, fused)
    assert list(values) == list(METRICS) == NAMES
    assert all(type(value) is float and math.isfinite(value) for value in values.values())
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert metric.source
        assert metric.better in {"higher", "lower", "neither"}


def test_only_the_metrics_asked_for() -> None:
    """Names choose; the order stays that of the tables."""
    visible, infrared, fused = (scene(seed) for seed in range(3))
    assert list(fusion_metrics(visible, infrared, fused, names=("Qabf", "EN"))) == ["EN", "Qabf"]


@few
@given(seeds, seeds, seeds, conventions)
def test_the_sources_have_no_order(first: int, second: int, third: int, convention: Convention) -> None:
    """Swapping visible and infrared changes no metric."""
    a, b, f = scene(first), scene(second), scene(third)
    values = fusion_metrics(a, b, f, convention=convention, names=SMALL)
    swapped = fusion_metrics(b, a, f, convention=convention, names=SMALL)
    assert swapped == pytest.approx(values, rel=1e-9, abs=1e-12, nan_ok=True)


@few
@given(seeds, seeds, seeds)
def test_a_transposed_scene_is_as_good(first: int, second: int, third: int) -> None:
    """Metrics without a preferred direction do not mind rows and columns exchanged."""
    names = "EN SD SF AG MI SCD CC MSE PSNR VIF SSIM CHECKER".split()  # noqa: SIM905
    images = [scene(seed) for seed in (first, second, third)]
    values = fusion_metrics(*images, names=names)
    turned = fusion_metrics(*(np.ascontiguousarray(image.T) for image in images), names=names)
    assert turned == pytest.approx(values, rel=1e-9, nan_ok=True)


@few
@given(seeds)
def test_three_equal_images_are_perfect(seed: int) -> None:
    """F = A = B reaches the best value of every metric that has one."""
    image = scene(seed, size=(161, 161))
    values = fusion_metrics(image, image, image)
    perfect = {"CC": 1, "MSE": 0, "PSNR": math.inf, "Nabf": 0, "FMI": 1, "SSIM": 1, "MS-SSIM": 1}
    perfect |= {"CV": 0, "CHECKER": 0, "MI": 2 * values["EN"], "VIF": 2}
    assert {name: values[name] for name in perfect} == pytest.approx(perfect, rel=1e-6, abs=1e-9)
    assert 0.97 < values["Qabf"] <= 0.9994 * 0.9879
    assert math.isnan(values["SCD"]), "a difference of 0 everywhere has no correlation"


@few
@given(seeds, seeds, seeds, conventions)
def test_values_stay_in_their_ranges(first: int, second: int, third: int, convention: Convention) -> None:
    """No metric leaves the range its docstring names."""
    a, b, f = scene(first), scene(second), scene(third)
    values = fusion_metrics(a, b, f, convention=convention, names=SMALL)
    ranges = {"EN": (0, 8), "SD": (0, 127.5), "SCD": (-2, 2), "CC": (-1, 1), "MSE": (0, 1), "Qabf": (0, 1)}
    ranges |= {"Nabf": (0, 1), "SSIM": (-1, 1), "CHECKER": (0, 510), "VIF": (0, math.inf)}
    for name, (low, high) in ranges.items():
        assert low <= values[name] <= high or math.isnan(values[name]), name
    assert values["MI"] <= 2 * values["EN"] + 0.5, "no more than the fused image holds (a shared bin aside)"


@few
@given(st.integers(1, 60))
def test_a_checkerboard_is_found_where_qabf_sees_nothing(amplitude: int) -> None:
    """Levels 128 - a and 128 + a over a flat scene give CHECKER 4a; its Sobel gradient is 0 inside."""
    y, x = np.mgrid[:48, :48]
    flat = np.full((48, 48), 128, np.uint8)
    grid = (128 + amplitude * (1 - 2 * ((x + y) % 2))).astype(np.uint8)
    assert fusion_metrics(flat, flat, grid, names=["CHECKER"]) == {"CHECKER": 4.0 * amplitude}
    edge = flat.copy()
    edge[:, 24:] = 60
    with_grid = (edge + grid.astype(int) - 128).astype(np.uint8)
    clean, dirty = (fusion_metrics(edge, edge, f, names=["Qabf", "CHECKER"]) for f in (edge, with_grid))
    assert dirty["CHECKER"] > 3.5 * amplitude > clean["CHECKER"] == 0.0
    assert dirty["Qabf"] > 0.6 * clean["Qabf"], "a screen over the whole image, and Qabf hardly minds"


def test_a_checkerboard_of_the_sources_is_theirs() -> None:
    """CHECKER counts only what the fusion adds."""
    y, x = np.mgrid[:48, :48]
    grid = (128 + 40 * (1 - 2 * ((x + y) % 2))).astype(np.uint8)
    flat = np.full((48, 48), 128, np.uint8)
    assert fusion_metrics(grid, flat, grid, names=["CHECKER"]) == {"CHECKER": 0.0}


def test_better_pictures_score_better() -> None:
    """The mean of two sources beats noise in every metric that compares with the sources."""
    a, b = scene(1, size=(176, 176)), scene(2, size=(176, 176))
    mean = ((a.astype(int) + b) // 2).astype(np.uint8)
    noise = np.random.default_rng(3).integers(0, 256, a.shape).astype(np.uint8)
    good, bad = fusion_metrics(a, b, mean), fusion_metrics(a, b, noise)
    comparing = [name for name in NAMES if name not in {"EN", "SD", "SF", "AG", "CHECKER"}]
    for name in comparing:
        sign = 1 if METRICS[name].better == "higher" else -1
        assert sign * good[name] > sign * bad[name], name


@pytest.mark.parametrize("level", [0, 7, 255])
def test_constant_images_are_no_accident(level: int) -> None:
    """A covered lens gives numbers or nan, never an exception or a warning."""
    flat = np.full((176, 176), level, np.uint8)
    values = fusion_metrics(flat, flat, flat)
    assert (values["EN"], values["SD"], values["MSE"], values["SSIM"]) == (0.0, 0.0, 0.0, pytest.approx(1.0))
    assert all(math.isnan(values[name]) for name in ("CC", "SCD", "VIF"))
    against = fusion_metrics(scene(1, size=(176, 176)), flat, flat)
    assert against["FMI"] < 0.7
    assert math.isnan(against["CC"])


def test_images_of_different_sizes_are_refused() -> None:
    """The message names all three sizes."""
    with pytest.raises(UsageError, match=r"one size.*visible 48x56, infrared 48x60, fused 48x56"):
        fusion_metrics(scene(0), scene(1, size=(48, 60)), scene(2))


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (scene(0).astype(np.uint16), "infrared 48x56 uint16"),
        (scene(0) / 255.0, "infrared 48x56 float64"),
        (np.dstack([scene(0)] * 3), "infrared 48x56x3 uint8"),
    ],
)
def test_anything_but_8_bit_grey_is_refused(image: np.ndarray, got: str) -> None:
    """The message says which image it is, what it is, and what to do."""
    with pytest.raises(UsageError, match=f"{got}.*gray_of"):
        fusion_metrics(scene(0), image, scene(1))


def test_small_images_say_which_metric_needs_more() -> None:
    """The largest window decides; the message says what to leave out, and doing so works."""
    small = scene(0, size=(30, 200))
    with pytest.raises(
        UsageError, match=r"MS-SSIM needs at least 161 rows and columns.*leave out VIF, MS-SSIM"
    ):
        fusion_metrics(small, small, small)
    left = [name for name in NAMES if name not in {"VIF", "MS-SSIM"}]
    assert list(fusion_metrics(small, small, small, names=left)) == left


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_of_each_metric_is_enough(name: str) -> None:
    """At its minimum side a metric has a value; one pixel less is refused."""
    side = METRICS[name].min_side
    a, b, f = (scene(seed, size=(side, side)) for seed in range(3))
    value = fusion_metrics(a, b, f, names=[name])[name]
    assert math.isfinite(value) or name in {"CC", "SCD"}
    a, b, f = (np.ascontiguousarray(image[:-1]) for image in (a, b, f))
    with pytest.raises(UsageError, match=f"{name} needs at least {side} rows"):
        fusion_metrics(a, b, f, names=[name])


@pytest.mark.parametrize(("wrong", "nearest"), [("qab", "Qabf"), ("ms_ssim", "MS-SSIM"), ("psnr", "PSNR")])
def test_an_unknown_metric_names_the_nearest(wrong: str, nearest: str) -> None:
    """A typing error is told from its message."""
    image = scene(0)
    with pytest.raises(UsageError, match=f"no metric '{wrong}'; nearest: '{nearest}'"):
        fusion_metrics(image, image, image, names=["EN", wrong])


def test_images_of_any_memory_layout() -> None:
    """Crops, transposed and read-only arrays give what their copies give."""
    wide = [scene(seed, size=(60, 120)) for seed in range(3)]
    crops = [image[3:51, 5:109:2] for image in wide]
    copies = [crop.copy() for crop in crops]
    for crop in crops:
        crop.flags.writeable = False
    assert fusion_metrics(*crops, names=SMALL) == fusion_metrics(*copies, names=SMALL)


def test_all_metrics_of_a_video_frame_within_a_second() -> None:
    """640x480, one thread, compiled: at most 1 s of processor time."""
    images = [scene(seed, size=(480, 640)) for seed in range(3)]
    fusion_metrics(*images)
    spent = []
    for _ in range(3):
        begin = time.thread_time()
        fusion_metrics(*images)
        spent.append(time.thread_time() - begin)
    assert min(spent) <= 1.0


def test_metrics_load_no_network_library() -> None:
    """Importing the image metrics loads neither torch nor OpenCV."""
    code = "import sys, streamfuse.metrics.fusion; sys.exit(bool({'torch', 'cv2'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
