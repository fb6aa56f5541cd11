"""The synthetic street: determinism, truth, geometry, warmth, smoke, the shutter and speed."""

from __future__ import annotations

import dataclasses
import itertools
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamfuse.io.synthetic.spec import Light, StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.io.synthetic.truth import TruthObject

SMALL = (320, 240)


@pytest.fixture(scope="module")
def night() -> Street:
    """A night street in small pictures."""
    return Street(StreetSpec(seed=7, light=Light.NIGHT, size_wh=SMALL))


@pytest.fixture(scope="module")
def warped() -> Street:
    """A street whose infrared camera has a size of its own and gives counts."""
    return Street(
        StreetSpec(seed=3, light=Light.NIGHT, size_wh=(640, 480), infrared_size_wh=SMALL, gray16=True)
    )


def _near(street: Street, name: str, times: range) -> tuple[float, TruthObject]:
    """The largest fully framed object of a class over some seconds, and when it was seen."""
    width, height = street.spec.size_wh
    found = [
        (int(thing.mask.sum()), t, thing)
        for t in times
        for thing in street.truth(t)
        if thing.class_name == name
        and min(thing.box_xyxy[:2]) > 2
        and thing.box_xyxy[2] < width - 2
        and thing.box_xyxy[3] < height - 2
    ]
    _, t, thing = max(found, key=lambda entry: entry[0])
    return t, thing


def test_the_same_spec_renders_the_same_bytes() -> None:
    """Two streets of one spec agree in every pixel and every truth, another seed does not."""
    spec = StreetSpec(seed=11, size_wh=(160, 120))
    first, second, other = Street(spec), Street(spec), Street(StreetSpec(seed=12, size_wh=(160, 120)))
    assert np.array_equal(first.visible(2.5), second.visible(2.5))
    assert np.array_equal(first.infrared(2.5), second.infrared(2.5))
    assert [thing.box_xyxy for thing in first.truth(2.5)] == [thing.box_xyxy for thing in second.truth(2.5)]
    assert np.abs(first.infrared(2.5).astype(int) - other.infrared(2.5)).mean() > 3


@settings(max_examples=8, deadline=None)
@given(times=st.lists(st.floats(0, 300), min_size=2, max_size=4))
def test_any_frame_stands_alone(night: Street, times: list[float]) -> None:
    """A frame does not depend on which ones were rendered before it."""
    forth = [(night.visible(t), night.infrared(t)) for t in times]
    back = [(night.visible(t), night.infrared(t)) for t in reversed(times)]
    for (visible, infrared), (again, once_more) in zip(forth, reversed(back), strict=True):
        assert np.array_equal(visible, again)
        assert np.array_equal(infrared, once_more)


def test_two_frames_of_a_still_scene_differ_by_noise_alone() -> None:
    """Without actors only the grain changes: the mean of the difference is nought, its spread is not."""
    street = Street(StreetSpec(people=0, cyclists=0, cars=0, size_wh=SMALL))
    for render in (street.visible, street.infrared):
        change = render(1.0).astype(float) - render(2.0)
        assert abs(change.mean()) < 0.1
        assert 0.3 < change.std() < 12


@pytest.mark.parametrize("light", Light)
def test_truth_masks_lie_in_their_boxes_and_do_not_overlap(light: Light) -> None:
    """Every mask is inside its box, no pixel belongs to two objects, and all three classes occur."""
    street = Street(StreetSpec(seed=5, light=light, size_wh=SMALL))
    names = set()
    for t in range(0, 30, 3):
        taken = np.zeros(SMALL[::-1], bool)
        for thing in street.truth(t):
            names.add(thing.class_name)
            rows, columns = np.nonzero(thing.mask)
            left, top, right, bottom = thing.box_xyxy
            assert left - 1 <= columns.min() <= columns.max() <= right + 1
            assert top - 1 <= rows.min() <= rows.max() <= bottom + 1
            assert not (taken & thing.mask).any()
            assert thing.distance_m > 0
            taken |= thing.mask
    assert names == {"person", "bicycle", "car"}


def test_boxes_move_smoothly() -> None:
    """From frame to frame each box has a successor that has moved by little for its size."""
    street = Street(StreetSpec(seed=7, size_wh=(640, 480)))
    scenes = [street.truth(10 + frame / 30) for frame in range(12)]
    for before, after in itertools.pairwise(scenes):
        for thing in before:
            box = np.array(thing.box_xyxy)
            if thing.mask.sum() < 200:
                continue  # about to be hidden
            steps = [
                np.abs(np.array(other.box_xyxy) - box).max()
                for other in after
                if other.class_name == thing.class_name
            ]
            assert min(steps) < 3 + 0.12 * (box[3] - box[1])


def test_the_drawn_picture_is_where_the_truth_says() -> None:
    """Pixels of the masks differ from the empty street, pixels far from all objects do not."""
    spec = {"seed": 7, "light": Light.DAY, "size_wh": SMALL}
    full, empty = Street(StreetSpec(**spec)), Street(StreetSpec(**spec, people=0, cyclists=0, cars=0))
    t = 5.0
    change = np.abs(full.visible(t).astype(int) - empty.visible(t)).max(axis=2)
    things = np.logical_or.reduce([thing.mask for thing in full.truth(t)])
    around = cv2.dilate(things.astype(np.uint8), np.ones((61, 61), np.uint8)).astype(bool)
    assert np.median(change[things]) > 30
    assert np.percentile(change[~around], 99) < 20


def test_the_homography_puts_heat_where_the_visible_camera_sees_it(warped: Street) -> None:
    """A person's mask, carried to infrared by the homography, covers warm pixels there and little else."""
    t, person = _near(warped, "person", range(0, 60, 2))
    warm = warped.infrared(t) > 27315 + 100 * 15
    H = warped.H_visible_from_infrared  # noqa: N806 - H names a matrix
    carried = cv2.warpPerspective(
        person.mask.astype(np.uint8), H, SMALL, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    ).astype(bool)
    assert warm[carried].mean() > 0.8
    ring = cv2.dilate(carried.astype(np.uint8), np.ones((13, 13), np.uint8)).astype(bool)
    others = cv2.warpPerspective(
        np.logical_or.reduce([thing.mask for thing in warped.truth(t)]).astype(np.uint8), H, SMALL,
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )  # fmt: skip
    outside = ring & ~cv2.dilate(others, np.ones((5, 5), np.uint8)).astype(bool)
    assert warm[outside].mean() < 0.1


def test_the_homography_is_mild_and_normalised() -> None:
    """It moves no corner by more than a tenth of the width, and its last element is 1."""
    street = Street(StreetSpec())
    H = street.H_visible_from_infrared  # noqa: N806 - H names a matrix
    corners = np.array([[[0, 0]], [[639, 0]], [[639, 479]], [[0, 479]]], np.float64)
    moved = cv2.perspectiveTransform(corners, H)
    assert H[2, 2] == 1.0
    assert 3 < np.abs(moved - corners).max() < 64


@pytest.mark.parametrize("light", [Light.NIGHT, Light.DUSK, Light.SMOKE])
def test_people_are_warmer_than_the_road(light: Light) -> None:
    """In infrared a person stands out from the asphalt by more than the noise, whatever the light."""
    street = Street(StreetSpec(seed=3, light=light))
    t, person = _near(street, "person", range(0, 60, 4))
    infrared = cv2.warpPerspective(street.infrared(t), street.H_visible_from_infrared, (640, 480))
    road = infrared[430:470, 60:200]
    assert infrared[person.mask].mean() > road.mean() + 40


def test_smoke_hides_from_the_visible_camera_alone() -> None:
    """With smoke the local contrast of the visible image falls by half, that of the infrared one stays."""

    def contrast(image: NDArray[np.generic]) -> float:
        gray = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5)
        gray = gray.mean(axis=2) if gray.ndim == 3 else gray
        return float(np.abs(cv2.Laplacian(gray[100:300], cv2.CV_32F)).mean())

    smoke, day = (Street(StreetSpec(seed=2, light=light)) for light in (Light.SMOKE, Light.DAY))
    assert contrast(smoke.visible(4.0)) < 0.5 * contrast(day.visible(4.0))
    assert contrast(smoke.infrared(4.0)) > 0.7 * contrast(day.infrared(4.0))


def test_light_falls_from_day_to_night() -> None:
    """The visible image gets darker, the infrared one keeps its level."""
    streets = [
        Street(StreetSpec(light=light, size_wh=SMALL)) for light in (Light.DAY, Light.DUSK, Light.NIGHT)
    ]
    visible = [float(street.visible(3.0).mean()) for street in streets]
    infrared = [float(street.infrared(3.0).mean()) for street in streets]
    assert visible[0] > 1.4 * visible[1]
    assert visible[1] > 1.4 * visible[2]
    assert max(infrared) < 2.0 * min(infrared)


def test_gray16_counts_are_hundredths_of_a_kelvin(warped: Street) -> None:
    """Raw infrared is uint16, the road near its temperature, the sky far below it."""
    counts = warped.infrared(1.0)
    assert counts.dtype == np.uint16
    celsius = counts.astype(float) / 100 - 273.15
    assert 4 < np.median(celsius[200:]) < 14
    assert celsius.min() < -10


def test_the_shutter_repeats_the_last_image_exactly() -> None:
    """While the shutter is closed, all frames are that of the last open instant; then the scene goes on."""
    spec = StreetSpec(size_wh=SMALL, fps=25, skew_ms=4, ffc_every_s=2.0, ffc_s=0.4)
    street = Street(spec)
    frames = [street.infrared(round(i * 1e9 / 25 + 4e6) / 1e9) for i in range(62)]
    same = [np.array_equal(a, b) for a, b in itertools.pairwise(frames)]
    closed = [i + 1 for i, repeat in enumerate(same) if repeat]
    assert closed == list(range(40, 50))


def test_a_pair_is_rendered_fast_enough_for_video() -> None:
    """A 640x480 pair takes less than 40 ms: the fastest of a few tries, since others share the cores."""
    street = Street(StreetSpec(seed=7))
    street.visible(0.0), street.infrared(0.0)

    def pair_s(t: float) -> float:
        start = time.perf_counter()
        street.visible(t), street.infrared(t)
        return time.perf_counter() - start

    assert np.mean([min(pair_s(t) for _ in range(5)) for t in (1.0, 6.0, 12.0, 19.0)]) < 0.040


def test_a_bump_turns_the_infrared_camera_from_its_moment_on() -> None:
    """Before it every byte is as without; after it the scene lies 8 visible pixels further left."""
    spec = StreetSpec(seed=3, size_wh=(160, 120), people=0, cyclists=0, cars=0)
    still = Street(spec)
    bumped = Street(dataclasses.replace(spec, bump_at_s=2.0, bump_px=8.0))
    assert np.array_equal(still.infrared(1.9), bumped.infrared(1.9))
    assert np.array_equal(still.visible(2.5), bumped.visible(2.5))
    fits, off = (
        cv2.warpPerspective(street.infrared(2.5), street.H_visible_from_infrared, spec.size_wh)
        for street in (still, bumped)
    )
    difference = np.abs(fits[20:-20, 28:-20].astype(int) - off[20:-20, 20:-28]).mean()
    assert difference < np.abs(fits[20:-20, 20:-20].astype(int) - off[20:-20, 20:-20]).mean() / 2
