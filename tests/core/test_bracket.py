"""Stories of a bracket: what counts as a bump, what mends it, and how far a correction may go."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_S
from streamfuse.core.bracket import BracketWatch, Misfit, SlowCorrection

WIDTH = 640
Place = tuple[float, float] | None


class Story:
    """A watch that is shown a place once a second."""

    def __init__(self) -> None:
        self.watch = BracketWatch(width_px=WIDTH)
        self.second = 0

    def show(self, place: Place, seconds: int, *, noise_px: float = 0.4) -> list[bool]:
        """Looks at one place; whether a bump went on after each."""
        rng = np.random.default_rng(self.second)
        told = []
        for _ in range(seconds):
            self.second += 1
            look = None
            if place is not None:
                x, y = np.add(place, rng.normal(0.0, noise_px, 2)).tolist()
                look = Misfit(x_px=x, y_px=y)
            self.watch.see(look, self.second * NS_PER_S)
            told.append(self.watch.bump is not None)
        return told


def test_a_bump_is_told_once_it_lasts_and_mended_once_it_is_back() -> None:
    """It takes five looks of seven either way, and the place and the first moment are told."""
    story = Story()
    assert not any(story.show((0.5, -0.3), 60))
    told = story.show((12.0, 3.0), 20)
    assert told.index(True) == 4
    bump = story.watch.bump
    assert bump is not None
    assert (bump.misfit.x_px, bump.misfit.y_px) == pytest.approx((12.0, 3.0), abs=0.6)
    assert bump.began_ns == 61 * NS_PER_S
    assert story.show((0.5, -0.3), 20).index(False) <= 5
    assert story.watch.bump is None


def test_a_rig_that_is_wrong_from_the_start_is_told() -> None:
    """Nothing has to be learnt first: what is usual is never far from nowhere."""
    assert Story().show((0.0, 12.0), 30).index(True) == 4


def test_what_is_usual_here_is_no_bump() -> None:
    """Objects before the plane are off by some pixels; that is learnt, and its neighbourhood with it."""
    story = Story()
    assert not any(story.show((3.0, 0.0), 40))
    assert not any(story.show((8.5, 0.0), 40))  # 5.5 from what is usual
    assert any(story.show((11.0, 0.0), 10))


def test_a_scene_without_evidence_says_nothing() -> None:
    """Neither a bump nor its end comes of images that say nothing, however long they last."""
    story = Story()
    assert not any(story.show(None, 300))
    story.show((20.0, 0.0), 10)
    assert all(story.show(None, 300))


def test_wrong_looks_are_outvoted() -> None:
    """Every third look far off, each elsewhere: no bump."""
    story = Story()
    rng = np.random.default_rng(5)
    for second in range(200):
        place = (0.0, 0.0) if second % 3 else tuple(rng.uniform(-40, 40, 2).tolist())
        assert not any(story.show(place, 1))


def test_evidence_that_is_old_does_not_count() -> None:
    """Four looks, two minutes of nothing, and a fifth: too few."""
    story = Story()
    story.show((20.0, 0.0), 4)
    story.show(None, 120)
    assert not any(story.show((20.0, 0.0), 4))
    assert any(story.show((20.0, 0.0), 1))


def test_time_that_begins_again_begins_anew() -> None:
    """A file that is played again: its first looks are not mixed with those of its end."""
    story = Story()
    story.show((20.0, 0.0), 4)
    story.second = 0
    assert not any(story.show((20.0, 0.0), 4))


def test_a_new_registration_forgets_what_was_usual() -> None:
    """After a change of the plane the old looks are of another one; a bump goes on until seen otherwise."""
    story = Story()
    story.show((3.0, 0.0), 30)
    story.watch.forget()
    assert story.watch.misfit is None
    assert any(story.show((8.5, 0.0), 10))


@given(st.lists(st.none() | st.tuples(st.floats(-60, 60), st.floats(-60, 60)), max_size=60))
def test_a_bump_needs_most_of_the_last_looks(places: list[Place]) -> None:
    """Whatever is shown: while fewer than five looks had evidence, nothing is told."""
    story = Story()
    for count, place in enumerate(places):
        told = story.show(place, 1)
        seen = sum(each is not None for each in places[: count + 1])
        assert not (told[0] and seen < 5)


def corrected(true_px: tuple[float, float], seconds: int, *, noise_px: float = 0.5) -> list[Misfit]:
    """A rig that is off by ``true_px``, corrected once a second; what is applied after each."""
    correction = SlowCorrection(width_px=WIDTH)
    rng = np.random.default_rng(3)
    applied = []
    for second in range(seconds):
        x, y = rng.normal(true_px, noise_px).tolist()
        correction.step(Misfit(x_px=x, y_px=y) - correction.applied, second * NS_PER_S)
        applied.append(correction.applied)
    return applied


def test_a_correction_converges() -> None:
    """12 pixels off: below 2 within two minutes, below 1 in the end."""
    applied = corrected((12.0, 0.0), 300)
    assert abs(applied[120].x_px - 12.0) < 2.0
    assert all(math.hypot(each.x_px - 12.0, each.y_px) < 1.0 for each in applied[200:])


@settings(max_examples=20)
@given(x=st.floats(-200, 200), y=st.floats(-200, 200))
def test_a_correction_is_bounded_in_a_minute_and_in_all(x: float, y: float) -> None:
    """Wherever the looks point: 8 pixels in a minute, 25.6 in all."""
    applied = corrected((x, y), 400)
    assert all(each.px <= 0.04 * WIDTH + 1e-9 for each in applied)
    for before, after in zip(applied, applied[60:], strict=False):
        assert (after - before).px <= 0.0125 * WIDTH * 70 / 60 + 1e-9


def test_a_correction_needs_evidence_that_agrees() -> None:
    """Nothing seen, or something else each time: the picture stays where it is."""
    correction = SlowCorrection(width_px=WIDTH)
    rng = np.random.default_rng(3)
    for second in range(100):
        x, y = rng.uniform(-30, 30, 2).tolist()
        look = Misfit(x_px=x, y_px=y) if second % 2 else None
        assert not correction.step(look, second * NS_PER_S)
    assert correction.applied.px == 0.0


def test_small_remains_are_left_alone() -> None:
    """What the looks cannot tell from noise moves nothing."""
    assert corrected((0.3, 0.1), 100, noise_px=0.1)[-1].px == 0.0


def test_a_misfit_is_a_number_and_tells_its_direction() -> None:
    """People read where to; what is no number is refused."""
    assert str(Misfit(x_px=-12.04, y_px=3.0)) == "12.0 px to the left and 3.0 px down"
    with pytest.raises(ValueError, match="must be finite, got nan"):
        Misfit(x_px=math.nan, y_px=0.0)
