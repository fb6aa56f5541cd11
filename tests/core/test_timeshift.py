"""The offset between two recordings, on a scene of blobs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from streamfuse.core.motiontrack import MotionTrack, averages
from streamfuse.core.shiftdraws import vertex
from streamfuse.core.timeshift import TimeShift, find_shift
from streamfuse.errors import CalibrationError

_SIZE_WH = 160, 120
_DURATION_S = 12.0


class _Scene:
    """Blobs that wander; what is bright for one camera may be dark for the other."""

    def __init__(self, *, seed: int = 0, period_s: float | None = None) -> None:
        rng = np.random.default_rng(seed)
        self._count = 14
        self._rates = rng.uniform(0.15, 1.6, (self._count, 4, 2)) if period_s is None else None
        self._period_s = period_s
        self._phases = rng.uniform(0, 2 * np.pi, (self._count, 4, 2))
        self._signs = rng.choice((-1.0, 1.0), self._count)
        self._middle = rng.uniform((20, 20), (140, 100), (self._count, 2))

    def at(self, t_s: float, *, infrared: bool) -> np.ndarray:
        rates = self._rates if self._period_s is None else 1.0 / self._period_s
        swings = np.sin(2 * np.pi * rates * t_s + self._phases).sum(axis=1) * 6
        x, y = np.arange(_SIZE_WH[0]), np.arange(_SIZE_WH[1])[:, None]
        picture = np.full(_SIZE_WH[::-1], 128.0)
        for (px, py), sign in zip(self._middle + swings, self._signs, strict=True):
            height = 60.0 if infrared else 60.0 * sign
            picture += height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 60.0)
        return np.clip(picture, 0, 255)


def _track(
    scene: _Scene, *, fps: float, late_s: float = 0.0, infrared: bool = False, **rough: float
) -> MotionTrack:
    """Frames that show the scene ``late_s`` after the time that they say."""
    rng = np.random.default_rng(int(infrared) + 5)
    track = MotionTrack()
    for index in range(int(_DURATION_S * fps)):
        says_s = index / fps
        moment_s = (
            says_s * (1 + rough.get("ppm", 0.0) * 1e-6) + late_s + rng.normal(0, rough.get("jitter_s", 0.0))
        )
        noisy = scene.at(moment_s, infrared=infrared) + rng.normal(0, 2, _SIZE_WH[::-1])
        if rng.random() >= rough.get("lost", 0.0):
            track.add(np.clip(noisy, 0, 255).astype(np.uint8), round(says_s * 1e9))
    return track


@pytest.mark.slow
@pytest.mark.parametrize(
    ("late_ms", "fps", "rough"),
    [
        (17.0, (15.0, 15.0), {}),
        (-240.0, (30.0, 10.0), {}),
        (95.0, (15.0, 15.0), {"lost": 0.2, "jitter_s": 0.004}),
    ],
)
def test_a_known_offset_is_found_to_a_tenth_of_a_frame(
    late_ms: float, fps: tuple[float, float], rough: dict[str, float]
) -> None:
    """Whatever the rates, with jitter and lost frames, the offset comes out within 5 ms, in its interval."""
    scene = _Scene()
    found = find_shift(
        _track(scene, fps=fps[0], **rough),
        _track(scene, fps=fps[1], late_s=late_ms / 1e3, infrared=True, **rough),
    )
    assert abs(found.offset_ms - late_ms) < 5
    assert found.interval_ms[0] - 2 <= late_ms <= found.interval_ms[1] + 2


@pytest.mark.slow
def test_the_sign_does_not_depend_on_who_is_bright() -> None:
    """Exchanging the streams exchanges the sign."""
    scene = _Scene(seed=3)
    first, second = _track(scene, fps=15), _track(scene, fps=15, late_s=0.06, infrared=True)
    ahead, back = find_shift(first, second), find_shift(second, first)
    assert ahead.offset_ms == pytest.approx(60, abs=5)
    assert back.offset_ms == pytest.approx(-ahead.offset_ms, abs=3)


def test_a_still_scene_is_refused() -> None:
    """Noise alone says nothing of time."""
    still = [MotionTrack(), MotionTrack()]
    rng = np.random.default_rng(0)
    for index in range(120):
        for track in still:
            track.add(rng.normal(128, 3, (120, 160)).clip(0, 255).astype(np.uint8), index * 66_000_000)
    with pytest.raises(CalibrationError, match="too little moves"):
        find_shift(*still)


def test_motion_that_repeats_itself_is_refused() -> None:
    """Two offsets a period apart cannot be told from each other."""
    scene = _Scene(period_s=0.7)
    with pytest.raises(CalibrationError, match="repeats itself"):
        find_shift(_track(scene, fps=15), _track(scene, fps=15, infrared=True))


def test_recordings_of_different_times_are_refused() -> None:
    """Streams that share too little time are told how much is needed."""
    scene = _Scene()
    other = MotionTrack()
    for index in range(60):
        other.add(scene.at(index / 15, infrared=True).astype(np.uint8), round((100 + index / 15) * 1e9))
    with pytest.raises(CalibrationError, match=r"share 0\.0 s"):
        find_shift(_track(scene, fps=15), other)


def test_averages_keep_the_mean_at_any_size() -> None:
    """Area means weigh every pixel alike, whether it is divided or not."""
    for length in (30, 60, 77, 480):
        rows = averages(length, 60)
        assert np.allclose(rows.sum(axis=1), 1.0, atol=1e-5)
        assert np.allclose(rows.mean(axis=0), 1 / length, atol=1e-5)


def test_a_track_refuses_time_that_stands_still_and_other_sizes() -> None:
    """Bad frames are named; a repeat of the last one is left out."""
    track = MotionTrack()
    plane = np.zeros((48, 64), np.uint8)
    track.add(plane, 5)
    track.add(plane, 9)
    assert len(track) == 1
    with pytest.raises(ValueError, match="forward"):
        track.add(plane, 5)
    with pytest.raises(ValueError, match="one size"):
        track.add(plane[:-1], 20)


def test_the_top_of_a_paraboloid_is_found_between_its_samples() -> None:
    """Exactly, where it is one."""
    down, across, lag = np.meshgrid((-1, 0, 1), (-1, 0, 1), np.arange(-9, 10), indexing="ij")
    hill = (
        -((down - 0.3) ** 2) - 2 * (across + 0.2) ** 2 - 0.1 * (lag - 1.4) ** 2 + 0.1 * across * (lag - 1.4)
    )
    found = vertex(hill.astype(np.float64))
    assert found is not None
    gradient = np.array([-2 * (found[0] - 0.3), -4 * (found[1] + 0.2) + 0.1 * (found[2] - 1.4)])
    assert np.allclose(gradient, 0, atol=1e-9)
    assert vertex(np.zeros((3, 3, 19))) is None


def test_a_result_checks_itself() -> None:
    """An interval holds its offset."""
    with pytest.raises(ValueError, match="must hold"):
        TimeShift(
            offset_ms=9, interval_ms=(0, 5), spread_ms=1, confidence=0.5, displacement=(0, 0), overlap_s=10
        )
