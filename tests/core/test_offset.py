"""The offset between two streams, seen from what moves in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.clock import NS_PER_S
from streamfuse.core.motion import CHANNELS, Energy, MotionEnergy
from streamfuse.core.offset import OffsetEstimate, OffsetEstimator, OffsetSteering
from streamfuse.frames import StreamName
from streamfuse.io.synthetic.spec import StreetSpec
from streamfuse.io.synthetic.street import Street

START_S = 100.0
Timed = tuple[float, Energy | None]


def activity(seconds: float, *, seed: int = 3) -> Callable[[float], npt.NDArray[np.float64]]:
    """How much moves in each band at a time: things come and go within a few tenths of a second."""
    rng = np.random.default_rng(seed)
    count = round(3 * seconds)
    when_s = rng.uniform(0, seconds, (count, 1))
    size = rng.exponential(1.0, (count, CHANNELS)) * (rng.random((count, CHANNELS)) < 0.2)
    return lambda t_s: (size * np.exp(-(((t_s - when_s) / 0.15) ** 2))).sum(axis=0)


def camera(
    world: Callable[[float], npt.NDArray[np.float64]], *, fps: float, seconds: float, noise: float = 0.1
) -> Iterator[Timed]:
    """What one camera sees of the activity, with noise of its own."""
    rng = np.random.default_rng(round(fps * 10))
    period_s = 1 / fps
    yield 0.0, None
    for number in range(1, round(seconds * fps)):
        seen = world((number - 0.5) * period_s) + np.abs(rng.normal(0, noise, CHANNELS)) + 0.3
        yield number * period_s, np.sqrt(seen).astype(np.float32)


def estimate_of(
    visible: Iterable[Timed], infrared: Iterable[Timed], *, late_ms: float = 0.0
) -> OffsetEstimate | None:
    """The estimate after both streams, when the infrared stamps are ``late_ms`` too late."""
    estimator = OffsetEstimator()
    arrivals = [(t_s, StreamName.VISIBLE, energy) for t_s, energy in visible]
    arrivals += [(t_s + late_ms / 1e3, StreamName.INFRARED, energy) for t_s, energy in infrared]
    for t_s, stream, energy in sorted(arrivals, key=lambda arrival: arrival[0]):
        estimator.add(stream, energy, round((START_S + t_s) * NS_PER_S))
    return estimator.estimate()


@pytest.mark.parametrize("infrared_fps", [30.0, 25.0, 8.7])
@pytest.mark.parametrize("late_ms", [0.0, 80.0, -120.0, 200.0, -430.0])
def test_the_offset_of_a_moving_scene_is_found_at_any_rate(late_ms: float, infrared_fps: float) -> None:
    """Within 10 ms, 30 with 30, 25 and 8.7 frames per second; the sign is what has to be added."""
    world = activity(25)
    found = estimate_of(
        camera(world, fps=30, seconds=22), camera(world, fps=infrared_fps, seconds=22), late_ms=late_ms
    )
    assert found is not None
    assert found.offset_ms == pytest.approx(-late_ms, abs=10)
    assert found.confidence > 0.3


def test_a_still_scene_says_unknown() -> None:
    """Nothing but the noise of two sensors: never a number, whatever the noise."""
    for seed in range(20):
        still = activity(25, seed=seed)
        found = estimate_of(
            camera(lambda t, s=still: 0 * s(t), fps=30, seconds=22),  # type: ignore[misc]
            camera(lambda t, s=still: 0 * s(t), fps=9, seconds=22),  # type: ignore[misc]
        )
        assert found is None


def test_two_scenes_that_have_nothing_to_do_with_each_other_say_unknown() -> None:
    """Two cameras that look at different places."""
    found = estimate_of(
        camera(activity(25, seed=1), fps=30, seconds=22), camera(activity(25, seed=2), fps=30, seconds=22)
    )
    assert found is None


def test_what_repeats_itself_says_unknown() -> None:
    """A pendulum of 0.4 s: every swing fits every other."""

    def pendulum(t_s: float) -> npt.NDArray[np.float64]:
        return np.full(CHANNELS, 1 + np.sin(2 * np.pi * t_s / 0.4))

    assert estimate_of(camera(pendulum, fps=30, seconds=22), camera(pendulum, fps=30, seconds=22)) is None


def test_an_offset_beyond_the_search_says_unknown() -> None:
    """Half a second is the limit; 0.9 s is not reported as 0.5 s."""
    world = activity(25)
    streams = [camera(world, fps=30, seconds=22) for _ in range(2)]
    assert estimate_of(*streams, late_ms=900) is None


def test_a_shutter_that_closes_for_two_seconds_does_not_matter() -> None:
    """FFC every 15 s: the frozen frames are missing from the stream, the rest tells the offset."""
    world = activity(25)
    infrared = ((t_s, energy) for t_s, energy in camera(world, fps=9, seconds=22) if not 12 < t_s % 15 < 14)
    found = estimate_of(camera(world, fps=30, seconds=22), infrared, late_ms=90)
    assert found is not None
    assert found.offset_ms == pytest.approx(-90, abs=12)


def test_too_little_is_unknown() -> None:
    """Nothing at all, one stream alone, and the first seconds."""
    world = activity(25)
    assert OffsetEstimator().estimate() is None
    assert estimate_of(camera(world, fps=30, seconds=22), []) is None
    assert estimate_of(camera(world, fps=30, seconds=5), camera(world, fps=30, seconds=5)) is None


def test_a_stream_that_fell_silent_is_unknown() -> None:
    """What was known ten seconds ago is not told for ever."""
    world = activity(40)
    assert estimate_of(camera(world, fps=30, seconds=30), camera(world, fps=30, seconds=18)) is None


def test_a_clock_that_went_back_begins_anew() -> None:
    """Times before the step are forgotten: eight seconds later there is an estimate again."""
    world, estimator = activity(25), OffsetEstimator()
    for back_s in (0.0, 50.0):
        for stream in StreamName:
            for t_s, energy in camera(world, fps=30, seconds=22):
                estimator.add(stream, energy, round((START_S - back_s + t_s) * NS_PER_S))
    found = estimator.estimate()
    assert found is not None
    assert found.offset_ms == pytest.approx(0, abs=5)


# --- pictures -----------------------------------------------------------------------------------


def as_bytes(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The image as what it is: 8 bits."""
    return np.asarray(image, np.uint8)


def motion_of(images: Iterable[tuple[float, npt.NDArray[np.uint8]]]) -> list[Timed]:
    """The motion energy of timed images."""
    motion = MotionEnergy()
    return [(t_s, motion.of(image)) for t_s, image in images]


@pytest.fixture(scope="module")
def street_motion() -> dict[str, list[Timed]]:
    """The motion of 14 seconds of a busy street, the infrared at 30 and at 10 frames per second."""
    street = Street(StreetSpec(seed=9, size_wh=(128, 96), cars=10, people=20))
    times_s = [number / 30 for number in range(420)]
    luma = ((t, as_bytes(cv2.cvtColor(street.visible(t), cv2.COLOR_RGB2GRAY))) for t in times_s)
    heat = [(t, as_bytes(street.infrared(t))) for t in times_s]
    return {"visible": motion_of(luma), "30 fps": motion_of(heat), "10 fps": motion_of(heat[::3])}


@pytest.mark.parametrize(("infrared", "tolerance_ms"), [("30 fps", 25.0), ("10 fps", 45.0)])
@pytest.mark.parametrize("late_ms", [0.0, 120.0, -200.0])
def test_the_offset_of_the_synthetic_street_is_found(
    street_motion: dict[str, list[Timed]], infrared: str, tolerance_ms: float, late_ms: float
) -> None:
    """Two cameras side by side see what passes at different places, which costs most of the accuracy."""
    found = estimate_of(street_motion["visible"], street_motion[infrared], late_ms=late_ms)
    assert found is not None
    assert found.offset_ms == pytest.approx(-late_ms, abs=tolerance_ms)


def _luma(path: Path) -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            yield number / 30, as_bytes(frame.to_ndarray(format="gray"))


@pytest.mark.parametrize("clip", ["0117_1605", "0117_1620"])
@pytest.mark.parametrize("infrared_every", [1, 3])
def test_the_offset_of_real_cameras_is_found(data_dir: Path, clip: str, infrared_every: int) -> None:
    """30 with 30 and 10 frames per second: within a frame of 0, and a shift within 15 ms.

    The clips were made even by repeating frames, so they are not in step to better than a frame.
    """
    folder = data_dir / "m3svd" / "video"
    visible = motion_of(_luma(folder / "visible" / f"{clip}.mp4"))
    infrared = motion_of(list(_luma(folder / "infrared" / f"{clip}.mp4"))[::infrared_every])
    as_it_is = estimate_of(visible[:407], infrared[: 407 // infrared_every])
    assert as_it_is is not None
    assert abs(as_it_is.offset_ms) < 34
    for late_ms in (80.0, -120.0, 200.0):
        shifted = estimate_of(visible[:407], infrared[: 407 // infrared_every], late_ms=late_ms)
        assert shifted is not None
        assert shifted.offset_ms - as_it_is.offset_ms == pytest.approx(-late_ms, abs=15)


# --- steering -----------------------------------------------------------------------------------


def sure(offset_ms: float) -> OffsetEstimate:
    """An estimate."""
    return OffsetEstimate(offset_ms=offset_ms, confidence=0.5)


def test_an_offset_is_applied_in_small_steps_and_then_kept() -> None:
    """120 ms take eight estimates: the first two are heard only, then 20 ms each."""
    steering = OffsetSteering()
    applied = [steering.step(sure(120)) for _ in range(12)]
    assert applied == [0, 0, 20, 40, 60, 80, 100, 120, 120, 120, 120, 120]
    assert steering.step(None) == 120


def test_what_is_less_than_a_frame_is_left_alone() -> None:
    """Estimates scatter by that much; pairs that are right must not be moved by them."""
    steering = OffsetSteering()
    assert {steering.step(sure(offset_ms)) for offset_ms in (25, -25, 29, 10, -29, 20)} == {0.0}


def test_single_wrong_estimates_do_nothing() -> None:
    """One in five points elsewhere; the applied offset does not."""
    steering = OffsetSteering()
    applied = [steering.step(sure(400 if number % 5 == 4 else 60)) for number in range(40)]
    assert applied[-1] == pytest.approx(60)
    assert max(abs(later - earlier) for earlier, later in pairwise(applied)) <= 20
    assert max(applied) == pytest.approx(60)


def test_numbers_that_make_no_sense_are_refused() -> None:
    """The errors name the values."""
    with pytest.raises(ValueError, match=r"confidence must be within 0\.\.1, got 1\.5"):
        OffsetEstimate(offset_ms=0, confidence=1.5)
    with pytest.raises(ValueError, match=r"above; got 30\.0, 0"):
        OffsetSteering(max_change_ms=0)
