"""How the rate of a stream is measured, and what follows from it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from streamfuse.core.pairing import Pairer, PairingPolicy
from streamfuse.core.pairing.pace import Pace
from streamfuse.frames import StreamName

MS = 1_000_000


def measured_ms(moments_ms: Sequence[float], nominal_ms: float = 1000 / 30) -> float:
    """The period after frames of these moments."""
    pace = Pace(round(nominal_ms * MS), measured=True)
    for moment_ms in moments_ms:
        pace.note(round(moment_ms * MS), round((moment_ms + 30) * MS))
    return pace.period_ns / MS


def test_the_nominal_rate_counts_until_there_are_enough_frames() -> None:
    """16 frames say nothing yet, 17 do."""
    assert measured_ms([number * 111 for number in range(16)]) == pytest.approx(1000 / 30)
    assert measured_ms([number * 111 for number in range(17)]) == 111


def test_the_shutter_and_lost_frames_do_not_slow_the_rate() -> None:
    """2 s of FFC and a lost frame within 33 frames change nothing."""
    moments = [number * 40 + 2000 * (number > 12) + 40 * (number > 20) for number in range(33)]
    assert measured_ms(moments) == 40


def test_frames_in_bursts_have_the_rate_of_the_bursts() -> None:
    """Three at a time, 100 ms apart, are 30 in a second, not 5000."""
    moments = [number // 3 * 100 + number % 3 * 0.2 for number in range(40)]
    assert measured_ms(moments) == pytest.approx(33, abs=7)


def test_jitter_of_the_stamps_evens_out() -> None:
    """Stamps that are 5 ms off either way give the period to 1 ms."""
    dice = random.Random(7)  # noqa: S311 - simulated jitter, not a secret
    assert measured_ms([number * 40 + dice.uniform(-5, 5) for number in range(33)]) == pytest.approx(
        40, abs=1
    )


@pytest.mark.parametrize(("every_frame", "limit_ms"), [(False, 111 / 2 + 5), (True, 1000 / 30 / 2 + 5)])
def test_the_automatic_skew_limit_follows_the_measured_rate_of_a_live_camera(
    every_frame: bool, limit_ms: float
) -> None:
    """Infrared says 30 fps and gives 9: half its true period counts, live; of files the nominal one does."""
    rules = PairingPolicy(visible_fps=30.0, infrared_fps=30.0, every_frame=every_frame)
    pairer: Pairer[int] = Pairer(rules)
    assert pairer.skew_limit_ms == pytest.approx(1000 / 30 / 2 + 5, abs=1e-3)
    for ms in range(0, 20 * 111, 111):
        pairer.push(StreamName.INFRARED, ms, capture_ns=ms * MS, now_ns=ms * MS)
    assert pairer.skew_limit_ms == pytest.approx(limit_ms, abs=1e-3)


def test_a_limit_that_was_given_stays() -> None:
    """Who asks for 10 ms gets 10 ms, whatever the cameras do."""
    pairer: Pairer[int] = Pairer(PairingPolicy(visible_fps=30.0, infrared_fps=30.0, max_skew_ms=10.0))
    for ms in range(0, 20 * 111, 111):
        pairer.push(StreamName.INFRARED, ms, capture_ns=ms * MS, now_ns=ms * MS)
    assert pairer.skew_limit_ms == 10.0
