"""The offset between two recordings, on a scene of blobs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from streamfuse.core.motiontrack import MotionTrack, averages
from streamfuse.core.shiftdraws import drift_of, redrawn, summit
from streamfuse.core.timeshift import TimeShift, find_shift
from streamfuse.errors import CalibrationError
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.geometry.warp import Registration
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

_SIZE_WH = 160, 120
_DURATION_S = 8.0
_DARK = Image.from_gray(np.zeros(_SIZE_WH[::-1], np.uint8))


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
    for index in range(int(rough.get("duration_s", _DURATION_S) * fps)):
        says_s = index / fps
        moment_s = (
            says_s * (1 + rough.get("ppm", 0.0) * 1e-6) + late_s + rng.normal(0, rough.get("jitter_s", 0.0))
        )
        noisy = scene.at(moment_s, infrared=infrared) + rng.normal(0, 2, _SIZE_WH[::-1])
        noisy = np.roll(noisy, int(rough.get("right_px", 0)), axis=1)
        if rng.random() >= rough.get("lost", 0.0):
            track.add(np.clip(noisy, 0, 255).astype(np.uint8), round(says_s * 1e9))
    return track


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
        registered=True,
    )
    assert abs(found.offset_ms - late_ms) < 5
    assert found.interval_ms[0] <= late_ms <= found.interval_ms[1]
    assert found.interval_ms[1] - found.interval_ms[0] < 25
    assert found.displacement == (0.0, 0.0)


def test_the_sign_does_not_depend_on_who_is_bright() -> None:
    """Exchanging the streams exchanges the sign."""
    scene = _Scene(seed=3)
    first, second = _track(scene, fps=15), _track(scene, fps=15, late_s=0.06, infrared=True)
    ahead, back = (find_shift(*pair, registered=True) for pair in ((first, second), (second, first)))
    assert ahead.offset_ms == pytest.approx(60, abs=5)
    assert back.offset_ms == pytest.approx(-ahead.offset_ms, abs=2)


def test_pictures_that_are_not_registered_give_a_displacement_and_a_wider_interval() -> None:
    """An infrared picture 8 of 160 pixels to the right: the lag is found with it, and is less sure."""
    scene = _Scene(seed=3)
    visible = _track(scene, fps=15)
    infrared = _track(scene, fps=15, late_s=0.06, infrared=True, right_px=8)
    found = find_shift(visible, infrared, registered=False)
    assert found.displacement == pytest.approx((8 / 160, 0), abs=0.01)
    low, high = found.interval_ms
    assert low <= 60 <= high
    assert high - low > 25


def test_clocks_that_drift_are_refused() -> None:
    """No constant offset fits where the clocks part by 4 ms in each second."""
    scene = _Scene(seed=1)
    streams = [
        _track(scene, fps=10, infrared=infrared, ppm=4000.0 * infrared, duration_s=22) for infrared in (0, 1)
    ]
    with pytest.raises(CalibrationError, match=r"drifts by \+4\d{3} ppm"):
        find_shift(streams[0], streams[1], registered=True)


@pytest.mark.parametrize(("light", "seed"), [("day", 1), ("dusk", 9)])
def test_a_street_with_shadows_and_headlights_does_not_mislead(light: str, seed: int) -> None:
    """What is bright in one camera alone (day 1 was 28 ms off by brightness) leaves the truth inside."""
    uri = f"synthetic://street?seed={seed}&light={light}&size=160x120&fps=15&duration=8&skew_ms=37"
    matrix = Street(StreetSpec.from_uri(uri)).H_visible_from_infrared
    way = Registration(matrix, visible_size_wh=_SIZE_WH, infrared_size_wh=_SIZE_WH)
    tracks = []
    for stream in (StreamName.VISIBLE, StreamName.INFRARED):
        track, source = MotionTrack(), SyntheticSource(uri, stream=stream)
        while (frame := source.read()) is not None:
            image, late_ns = frame.image, 0
            if stream is StreamName.INFRARED:
                image, late_ns = way.apply(image, _DARK), 37_000_000
            track.add(gray8(image), frame.pts_ns - late_ns)
        tracks.append(track)
    found = find_shift(tracks[0], tracks[1], registered=True)
    assert found.interval_ms[0] <= 37 <= found.interval_ms[1]
    assert abs(found.offset_ms - 37) < 10


def test_a_still_scene_is_refused() -> None:
    """Noise alone says nothing of time."""
    still = [MotionTrack(), MotionTrack()]
    rng = np.random.default_rng(0)
    for index in range(120):
        for track in still:
            track.add(rng.normal(128, 3, (120, 160)).clip(0, 255).astype(np.uint8), index * 66_000_000)
    with pytest.raises(CalibrationError, match="too little moves"):
        find_shift(*still, registered=True)


def test_motion_that_repeats_itself_is_refused() -> None:
    """Two offsets a period apart cannot be told from each other."""
    scene = _Scene(period_s=0.7)
    with pytest.raises(CalibrationError, match="repeats itself"):
        find_shift(_track(scene, fps=15), _track(scene, fps=15, infrared=True), registered=True)


def test_recordings_of_different_times_are_refused() -> None:
    """Streams that share too little time are told how much is needed."""
    scene = _Scene()
    other = MotionTrack()
    for index in range(60):
        other.add(scene.at(index / 15, infrared=True).astype(np.uint8), round((100 + index / 15) * 1e9))
    with pytest.raises(CalibrationError, match=r"share 0\.0 s"):
        find_shift(_track(scene, fps=15), other, registered=True)


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


def test_the_top_of_a_hill_is_found_between_its_samples() -> None:
    """Exactly, where it is a parabola or a paraboloid; what is flat has none."""
    lags = np.arange(-9, 10)
    assert summit(-0.1 * (lags - 1.4) ** 2) == pytest.approx((0, 0, 1.4))
    down, across, lag = np.meshgrid((-1, 0, 1), (-1, 0, 1), lags, indexing="ij")
    hill = (
        -((down - 0.3) ** 2) - 2 * (across + 0.2) ** 2 - 0.1 * (lag - 1.4) ** 2 + 0.1 * across * (lag - 1.4)
    )
    found = summit(hill.astype(np.float64))
    assert found is not None
    gradient = np.array([-2 * (found[0] - 0.3), -4 * (found[1] + 0.2) + 0.1 * (found[2] - 1.4)])
    assert np.allclose(gradient, 0, atol=1e-9)
    assert summit(np.zeros((3, 3, 19))) is None
    assert summit(np.zeros(19)) is None


def test_parts_that_disagree_are_redrawn_to_a_spread() -> None:
    """Equal parts have none; parts at -1 and +1 have that of the mean of 24 coins."""
    lags = np.arange(-9, 10)
    hills = np.stack([-0.1 * (lags - where) ** 2 for where in (-1.0, 1.0)])
    assert redrawn(np.stack([hills[:1]] * 24)) == pytest.approx(0, abs=1e-9)
    assert redrawn(np.stack([hills[place % 2][None] for place in range(24)])) == pytest.approx(
        24**-0.5, rel=0.15
    )


def test_a_line_through_the_parts_is_a_drift() -> None:
    """A lag that falls by a step a second at 60 steps a second is 16667 ppm; a constant one is none."""
    lags = np.arange(-20, 21)
    drifting = np.stack([-((lags - 15 + 2.0 * window) ** 2.0) for window in range(15)])
    found = drift_of(drifting, window_s=2.0, rate_hz=60.0)
    assert found is not None
    assert found.ppm == pytest.approx(1e6 / 60, rel=0.02)
    assert drift_of(np.stack([drifting[3]] * 15), window_s=2.0, rate_hz=60.0) is None


def test_a_result_checks_itself() -> None:
    """An interval holds its offset."""
    with pytest.raises(ValueError, match="must hold"):
        TimeShift(
            offset_ms=9, interval_ms=(0, 5), spread_ms=1, confidence=0.5, displacement=(0, 0), overlap_s=10
        )
