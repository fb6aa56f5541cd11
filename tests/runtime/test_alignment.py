"""The engine's watch over the offset: what it tells, and when it moves the pairing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.frames import Frame, Image, StreamName
from streamfuse.runtime.stages.alignment import Alignment

PERIOD_NS = 40 * NS_PER_MS


RNG = np.random.default_rng(5)
NOISE = np.random.default_rng(6)
LEAVES_S = np.cumsum(RNG.uniform(0.3, 2.0, 60))
PLACES = RNG.uniform(0, 1, (61, 2))


def picture(t_s: float) -> Image:
    """A box that darts about, never twice the same way and never after the same time, and sensor noise."""
    leg = int(np.searchsorted(LEAVES_S, t_s))
    share = 1.0 if leg == 0 else min(1.0, (t_s - LEAVES_S[leg - 1]) / 0.2)
    left, top = ((PLACES[leg - 1] * (1 - share) + PLACES[leg] * share) * (240, 160)).astype(int)
    pixels = NOISE.integers(28, 33, (240, 320), dtype=np.uint8)
    pixels[top : top + 60, left : left + 60] += 180
    return Image.from_gray(pixels)


def watched(
    mode: Literal["off", "report", "apply"], *, late_ms: float, known_ms: float = 0.0, may_apply: bool = True
) -> tuple[Alignment, list[float]]:
    """An alignment after 24 seconds of both streams, and every offset that it asked the pairing for."""
    alignment = Alignment(mode, known_ms=known_ms, may_apply=may_apply)
    asked = []
    for number in range(600):
        true_ns = NS_PER_S + number * PERIOD_NS
        for stream, late in ((StreamName.VISIBLE, 0.0), (StreamName.INFRARED, late_ms)):
            image = picture(number * PERIOD_NS / NS_PER_S)
            stamp_ns = true_ns + round(late * NS_PER_MS)
            alignment.see(
                Frame(
                    stream=stream, seq=number, image=image, pts_ns=0, capture_ns=stamp_ns, arrival_ns=true_ns
                )
            )
        if (offset_ms := alignment.offset_ms(true_ns)) is not None:
            asked.append(offset_ms)
    return alignment, asked


def test_apply_moves_the_pairing_in_small_steps_to_where_the_images_agree() -> None:
    """Stamps 160 ms late of which the file knows 50: the pairing ends at -160 in all."""
    alignment, asked = watched("apply", late_ms=160, known_ms=-50)
    assert asked[-1] == pytest.approx(-160, abs=5)
    assert all(abs(step) <= 20 + 1e-6 for step in np.diff([-50, *asked]))
    told = alignment.stats()["offset"]
    assert told["estimate_ms"] == pytest.approx(-110, abs=5)
    assert told["applied_ms"] == pytest.approx(-110, abs=5)
    assert told["confidence"] > 0.3


@pytest.mark.parametrize(("mode", "may_apply"), [("report", True), ("apply", False)])
def test_without_leave_it_only_tells(mode: Literal["report", "apply"], may_apply: bool) -> None:
    """``report``, and ``apply`` in ``every_frame``: the pairing is not touched."""
    alignment, asked = watched(mode, late_ms=160, may_apply=may_apply)
    assert not asked
    told = alignment.stats()["offset"]
    assert told["estimate_ms"] == pytest.approx(-160, abs=5)
    assert told["applied_ms"] == 0.0


def test_off_is_silent() -> None:
    """Nothing is looked at and nothing is told."""
    alignment, asked = watched("off", late_ms=160)
    assert not asked
    assert alignment.stats() == {}


def test_before_anything_is_known_there_is_no_number() -> None:
    """None, and not 0, which would be an answer."""
    alignment = Alignment("report", known_ms=0.0)
    assert alignment.offset_ms(0) is None
    assert alignment.stats() == {"offset": {"estimate_ms": None, "confidence": None, "applied_ms": 0.0}}
