"""Flicker, jitter and contrast of made-up videos whose measures are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.errors import UsageError
from streamfuse.metrics.temporal import TemporalMeter, TemporalReport

Gray = npt.NDArray[np.uint8]
Frames = tuple[Gray, Gray, Gray]


def measure(frames: Iterable[Frames]) -> TemporalReport:
    """The report on (visible, infrared, fused) frames."""
    meter = TemporalMeter()
    for visible, infrared, fused in frames:
        meter.add(visible=visible, infrared=infrared, fused=fused)
    return meter.report()


def flat(level: float) -> Gray:
    """A frame of one level."""
    return np.full((6, 8), level, np.uint8)


def static(levels: Iterable[float]) -> TemporalReport:
    """A fused picture of these levels over sources that stand still."""
    return measure((flat(100), flat(50), flat(level)) for level in levels)


RULES: dict[str, Callable[[Gray, Gray], Gray]] = {
    "visible": lambda visible, _infrared: visible,
    "infrared": lambda _visible, infrared: infrared,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rule=st.sampled_from(sorted(RULES)))
def test_what_follows_its_sources_does_not_flicker(seed: int, rule: str) -> None:
    """Whatever the sources do, choosing between them pixel by pixel adds no flicker."""
    rng = np.random.default_rng(seed)
    sources = rng.integers(0, 256, (5, 2, 6, 8)).astype(np.uint8)
    report = measure((v, i, RULES[rule](v, i)) for v, i in sources)
    assert report.mean()["flicker"] == 0


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0, 0.25, 0.5, 1]))
def test_a_fixed_mix_does_not_jitter(seed: int, share: float) -> None:
    """Brightness that moves with the sources' is theirs, not the fusion's."""
    rng = np.random.default_rng(seed)
    sources = (4 * rng.integers(0, 64, (6, 2, 6, 8))).astype(np.uint8)  # quarters of it are whole levels
    report = measure((v, i, (share * v + (1 - share) * i).astype(np.uint8)) for v, i in sources)
    assert report.mean()["jitter"] == pytest.approx(0, abs=1e-9)


def test_an_alternating_gain_is_measured_at_its_height() -> None:
    """Levels 100 and 110 in turn: ten levels of flicker and of jitter on every frame."""
    report = static([100, 110] * 4)
    assert report.flicker == pytest.approx(np.full(7, 10))
    assert report.jitter == pytest.approx(np.full(6, 10))


def test_a_gain_per_frame_on_a_picture_scales_with_its_brightness() -> None:
    """A gain g on a static picture of mean m jitters by the bend of g times m."""
    rng = np.random.default_rng(1)
    picture = (2 * rng.integers(10, 40, (20, 30))).astype(np.uint8)
    gains = [1.0, 1.5, 1.0, 2.0, 2.0]
    report = measure((picture, picture, (gain * picture).astype(np.uint8)) for gain in gains)
    bends = [0.5, -0.75, 0.5]
    assert report.jitter == pytest.approx(np.abs(bends) * picture.mean())
    assert report.flicker == pytest.approx(np.abs(np.diff(gains)) * picture.mean())
    assert report.sd == pytest.approx(np.array(gains) * picture.std())


def test_a_slow_fade_is_no_jitter() -> None:
    """A straight ramp of the fused brightness counts nothing, though it is change beyond the sources'."""
    report = static([100 + 2 * step for step in range(20)])
    assert report.mean()["jitter"] == pytest.approx(0, abs=1e-9)
    assert report.mean()["flicker"] == pytest.approx(2)


def test_a_flash_and_a_step_count_as_documented() -> None:
    """A flash of 8 counts 4, 8, 4; a step of 8 counts 4 twice."""
    assert static([50, 50, 58, 50, 50]).jitter == pytest.approx([4, 8, 4])
    assert static([50, 50, 58, 58, 58]).jitter == pytest.approx([4, 4, 0])


def test_a_jump_of_a_source_excuses_the_fused_frame() -> None:
    """The thermal shutter: infrared jumps by 40, fused follows by 30: nothing; by 50: ten levels too much."""
    levels = [80, 80, 120, 120]
    follows = measure((flat(10), flat(i), flat(f)) for i, f in zip(levels, [60, 60, 90, 90], strict=True))
    assert follows.worst() == {"flicker": 0, "jitter": 0, "SD": 0}
    exceeds = measure((flat(10), flat(i), flat(f)) for i, f in zip(levels, [60, 60, 110, 110], strict=True))
    assert exceeds.worst() == {"flicker": 10, "jitter": 5, "SD": 0}


def test_changes_do_not_wrap_around() -> None:
    """From 255 to 0 is 255 levels."""
    assert static([255, 0, 255]).flicker == pytest.approx([255, 255])


def test_planes_may_be_reused_by_the_caller() -> None:
    """A decoder that writes every frame into the same memory is measured right."""
    meter, plane, still = TemporalMeter(), flat(0), flat(9)
    for level in (10, 30, 10):
        plane[:] = level
        meter.add(visible=still, infrared=still, fused=plane)
    assert meter.report().flicker == pytest.approx([20, 20])


def test_too_few_frames_and_other_sizes_are_refused() -> None:
    """Three frames of one size are needed."""
    with pytest.raises(UsageError, match="3 frames to be judged, got 2"):
        static([1, 2])
    meter = TemporalMeter()
    with pytest.raises(UsageError, match="must all be"):
        meter.add(visible=flat(1), infrared=flat(1)[:, :4], fused=flat(1))
    meter.add(visible=flat(1), infrared=flat(1), fused=flat(1))
    with pytest.raises(UsageError, match=r"must all be \(6, 8\)"):
        meter.add(visible=flat(1)[:2], infrared=flat(1)[:2], fused=flat(1)[:2])
