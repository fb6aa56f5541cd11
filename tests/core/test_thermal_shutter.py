"""Frozen thermal cameras: what says so, and what is found by its repeats."""

from __future__ import annotations

import numpy as np
import pytest

from streamfuse.core.thermal import FreezeDetector, ShutterWatch, image_digest

MS = 1_000_000
S = 1000 * MS


def test_a_live_camera_is_never_frozen() -> None:
    """Images that differ are live, however slowly they come."""
    detector = FreezeDetector(min_frozen_ms=150)
    assert not any(detector.is_frozen(number, number * 1000 * MS) for number in range(10))


def test_repeats_count_as_frozen_once_the_image_is_old_enough() -> None:
    """A 9 fps camera delivered at 27 fps repeats each image twice; a closed shutter repeats for longer."""
    detector = FreezeDetector(min_frozen_ms=150)
    repeats = [detector.is_frozen("same", 40 * number * MS) for number in range(6)]
    assert repeats == [False, False, False, False, True, True]


def test_the_first_new_image_ends_the_freeze() -> None:
    """After FFC the very next live image counts, and a later freeze is timed from its own start."""
    detector = FreezeDetector(min_frozen_ms=100)
    detector.is_frozen("a", 0)
    assert detector.is_frozen("a", 100 * MS)
    assert not detector.is_frozen("b", 200 * MS)
    assert not detector.is_frozen("b", 299 * MS)
    assert detector.is_frozen("b", 300 * MS)


def test_a_digest_of_none_is_a_digest_like_any_other() -> None:
    """The first frame is never a repeat, whatever its digest."""
    assert not FreezeDetector(min_frozen_ms=0).is_frozen(None, 0)


def test_digests_differ_when_one_count_differs() -> None:
    """Equal images have equal digests, also when one is a view; one count more is another image."""
    image = np.random.default_rng(3).integers(0, 65536, (48, 64), np.uint16)
    other = image.copy()
    other[7, 9] += 1
    assert image_digest(image) == image_digest(np.asfortranarray(image))
    assert image_digest(image) != image_digest(other)


def test_a_negative_freeze_time_is_refused() -> None:
    """The error names the value."""
    with pytest.raises(ValueError, match="min_frozen_ms must be a number of at least 0, got -1"):
        FreezeDetector(-1)


# --- ShutterWatch: stories -----------------------------------------------------------------------

FPS = 30
PERIOD_S, CLOSED_S = 15, 2
"""The shutter closes for 2 s at the end of each 15 s."""


def live_digest(number: int) -> int:
    """Of an image with sensor noise, which is like no other."""
    return image_digest(np.random.default_rng(number).integers(7000, 7050, (12, 16), np.uint16))


def closed_at(number: int) -> bool:
    """Whether the shutter is closed at a frame."""
    return number / FPS % PERIOD_S >= PERIOD_S - CLOSED_S


def story(*, flag: bool, noise: bool, minutes: float = 1.0) -> list[tuple[int, bool]]:
    """(number, whether the watch says closed) of each frame of a camera with a shutter.

    Args:
        flag: the camera tells of its shutter.
        noise: behind the shutter it goes on measuring, so no two images are equal.
        minutes: how long it is watched.
    """
    watch = ShutterWatch(min_frozen_ms=150)
    says, shown = [], 0
    for number in range(round(minutes * 60 * FPS)):
        closed = closed_at(number)
        shown = shown if closed and not noise else number
        flagged = flag and closed
        says.append((number, watch.is_closed(live_digest(shown), number * S // FPS, flagged=flagged)))
    return says


@pytest.mark.parametrize("noise", [False, True])
def test_a_camera_that_tells_of_its_shutter_is_believed_at_once(noise: bool) -> None:
    """With a flag every frame behind the shutter is out, whether its noise goes on or not, and no other."""
    assert [closed for _, closed in story(flag=True, noise=noise)] == [
        closed_at(number) for number, _ in story(flag=True, noise=noise)
    ]


def test_a_silent_camera_is_found_out_by_its_repeats() -> None:
    """Without a flag the first 150 ms of each closure pass for a slow camera; everything else is right."""
    wrong = [number for number, closed in story(flag=False, noise=False) if closed != closed_at(number)]
    assert all(closed_at(number) for number in wrong), "a live frame was taken for a repeat"
    first = (PERIOD_S - CLOSED_S) * FPS
    assert wrong[:4] == [first, first + 1, first + 2, first + 3]
    assert len(wrong) == 4 * 4  # closures; the last live image is 150 ms old at the fifth frame


def test_without_flag_and_with_noise_nothing_can_be_told() -> None:
    """The watch does not guess: pictures that differ count as live."""
    assert not any(closed for _, closed in story(flag=False, noise=True))


def test_after_a_flag_a_repeat_is_as_old_as_its_first_showing() -> None:
    """A camera whose flag falls before its image moves on is still frozen."""
    watch = ShutterWatch(min_frozen_ms=150)
    assert not watch.is_closed("a", 0, flagged=False)
    assert watch.is_closed("a", 100 * MS, flagged=True)
    assert watch.is_closed("a", 200 * MS, flagged=False)
    assert not watch.is_closed("b", 233 * MS, flagged=False)
