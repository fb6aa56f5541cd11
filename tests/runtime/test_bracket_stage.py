"""The watch in the compute thread: how often it looks, what it says, how its correction feeds back."""

from __future__ import annotations

import numpy as np
import pytest

from streamfuse.clock import NS_PER_S
from streamfuse.config.pipeline import RegistrationConfig
from streamfuse.core.bracket import Misfit
from streamfuse.core.resemblance import Gray, Likeness
from streamfuse.runtime.stages.bracket import Bracket
from streamfuse.testing import FakeClock

PICTURE = np.zeros((96, 128), np.uint8)


class Eyes:
    """An estimate that takes its time, and sees what is left of a misfit with the correction made."""

    def __init__(self, clock: FakeClock, *, true_px: float = 0.0, took_ms: float = 2.0) -> None:
        self.clock, self.true_px, self.took_ms = clock, true_px, took_ms
        self.bracket: Bracket | None = None

    def __call__(self, *_images: Gray) -> Likeness:
        self.clock.advance_ms(self.took_ms)
        applied = self.bracket.applied if self.bracket is not None else None
        misfit = Misfit(x_px=self.true_px, y_px=0.0)
        return Likeness(score=0.5, misfit=misfit if applied is None else misfit - applied)


def watched(eyes: Eyes, *, spares_time: bool = True, **wanted: bool) -> Bracket:
    """A bracket seen through these eyes."""
    bracket = Bracket(
        RegistrationConfig(**wanted),
        estimate=eyes,
        width_px=640,
        clock=eyes.clock,
        spares_time=spares_time,
    )
    eyes.bracket = bracket
    return bracket


def play(bracket: Bracket, seconds: float, *, from_s: float = 0.0) -> int:
    """Show pairs at 25 per second; how many were looked at."""
    looks = 0
    for number in range(round(seconds * 25)):
        moment_ns = round((from_s + number / 25) * NS_PER_S)
        if bracket.is_due(moment_ns):
            bracket.look(PICTURE, PICTURE, moment_ns)
            looks += 1
    return looks


def test_it_looks_once_a_second() -> None:
    """Not at every pair; and a file that begins again is looked at at once."""
    bracket = watched(Eyes(FakeClock()))
    assert play(bracket, 10.0) == 10
    assert play(bracket, 10.0) == 10


@pytest.mark.parametrize(("spares_time", "looks"), [(True, 3), (False, 10)])
def test_a_slow_machine_looks_less_often(spares_time: bool, looks: int) -> None:
    """Looking takes at most a hundredth of the time, unless the result must not depend on the machine."""
    bracket = watched(Eyes(FakeClock(), took_ms=40.0), spares_time=spares_time)
    assert play(bracket, 10.0) == looks


def test_who_asks_for_nothing_pays_nothing() -> None:
    """Neither watched nor corrected: no look, and nothing in the summary."""
    bracket = watched(Eyes(FakeClock()), watch=False)
    assert play(bracket, 5.0) == 0
    assert bracket.stats == {}
    assert bracket.bump is None


def test_a_bump_is_told_with_its_numbers() -> None:
    """What the summary, the metrics and the health read."""
    eyes = Eyes(FakeClock())
    bracket = watched(eyes)
    play(bracket, 30.0)
    assert bracket.stats["apart_px"] is None
    eyes.true_px = 12.0
    play(bracket, 10.0, from_s=30.0)
    assert bracket.bump is not None
    assert bracket.stats == {
        "score": 0.5,
        "shift_px": [12.0, 0.0],
        "corrected_px": None,
        "bumped": True,
        "apart_px": 12.0,
        "looks": 40,
        "evidence": 40,
        "look_ms": 2.0,
    }


def test_a_corrected_bump_goes_on_and_does_no_harm() -> None:
    """The bracket is still bumped, so the event goes on; the images fit again, so nothing is amiss."""
    bracket = watched(Eyes(FakeClock(), true_px=12.0), correct=True)
    play(bracket, 150.0)
    assert bracket.applied is not None
    assert abs(bracket.applied.x_px - 12.0) < 1.0
    assert bracket.bump is not None
    assert bracket.bump.misfit.x_px == pytest.approx(12.0)
    assert (bracket.stats["bumped"], bracket.stats["apart_px"]) == (True, None)
    assert bracket.stats["corrected_px"][0] == pytest.approx(12.0, abs=1.0)


def test_it_can_correct_without_a_watch() -> None:
    """The two keys do not need each other."""
    bracket = watched(Eyes(FakeClock(), true_px=6.0), watch=False, correct=True)
    play(bracket, 100.0)
    assert bracket.applied is not None
    assert bracket.bump is None
    assert bracket.stats["corrected_px"][0] == pytest.approx(6.0, abs=1.0)


def test_another_registration_begins_anew() -> None:
    """What was corrected belongs to the old one."""
    bracket = watched(Eyes(FakeClock(), true_px=6.0), correct=True)
    play(bracket, 60.0)
    bracket.forget()
    assert bracket.applied is None
    assert bracket.stats["corrected_px"] == [0.0, 0.0]


def test_a_score_is_a_share() -> None:
    """An estimate that gives something else is wrong."""
    with pytest.raises(ValueError, match=r"within 0\.\.1, got 1.5"):
        Likeness(score=1.5, misfit=None)
