"""Tracks: who is who from image to image, with the real ByteTrack."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.engine.tracking import Tracker
from streamfuse.frames import Detection

MS = 1_000_000
NAMES = ("person", "bicycle", "car")


def found(x: float, y: float = 100.0, name: str = "person", **more: object) -> Detection:
    """An object of 40x80 pixels with this middle."""
    plain = {"class_id": NAMES.index(name), "class_name": name, "confidence": 0.9, **more}
    return Detection(box_xyxy=(x - 20, y - 40, x + 20, y + 40), **plain)  # type: ignore[arg-type]


class Film:
    """A tracker and the time; images come at 30 per second."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.now_ns = 7_000_000_000_000

    def show(
        self,
        *detections: Detection,
        after_ms: float = 33,
        looked: bool = True,
        faint: Sequence[Detection] = (),
    ) -> tuple[Detection, ...]:
        """The next image."""
        self.now_ns += round(after_ms * MS)
        return self.tracker.update(detections, capture_ns=self.now_ns, looked=looked, faint=faint)

    def ids(self, *detections: Detection, after_ms: float = 33) -> list[int | None]:
        """The ids of the next image's objects."""
        return [each.track_id for each in self.show(*detections, after_ms=after_ms)]


def test_who_moves_keeps_its_id() -> None:
    """Two objects that pass each other at different heights stay who they are, in any order."""
    film = Film()
    for step in range(60):
        one, two = found(100 + 4 * step), found(340 - 4 * step, y=190)
        assert film.ids(one, two) == [1, 2]
        assert film.ids(two, one) == [2, 1]


def test_who_is_followed_is_found_where_the_network_is_less_sure() -> None:
    """A faint object where a track is expected is that one, with its own score; elsewhere it is nothing."""
    film = Film()
    for step in range(5):
        film.show(found(100 + 4 * step))
    for step in range(5, 12):
        dim = found(100 + 4 * step, confidence=0.12)
        (told,) = film.show(faint=[dim, found(400, confidence=0.2)])
        assert (told.track_id, told.confidence, told.box_xyxy) == (1, 0.12, dim.box_xyxy)
    assert film.ids(found(148)) == [1]
    assert film.show(faint=[found(400, confidence=0.2)]) == ()


def test_what_was_found_stays_as_it_is_but_for_its_id() -> None:
    """Box, score and mask are those of the network, not the filter's."""
    film = Film()
    seen = found(50, mask_rle=(0, 4), confidence=0.31)
    (told,) = film.show(seen)
    assert (told.box_xyxy, told.mask_rle, told.confidence) == (seen.box_xyxy, seen.mask_rle, 0.31)
    assert not told.is_predicted


def test_a_new_object_has_an_id_once_it_is_seen_again() -> None:
    """A blink of the detector is nobody; ids have no gaps for them."""
    film = Film()
    assert film.ids(found(100)) == [1]
    assert film.ids(found(100), found(400)) == [1, None]
    assert film.ids(found(100), found(200)) == [1, None]
    assert film.ids(found(100), found(200)) == [1, 2]


@pytest.mark.parametrize(("away_ms", "same"), [(300, True), (1_900, True), (2_100, False)])
def test_who_is_hidden_for_less_than_two_seconds_is_the_same(away_ms: float, same: bool) -> None:
    """A person behind a post keeps the id, also while walking; later it is somebody else."""
    film = Film()
    for step in range(30):
        film.show(found(100 + step))
    for _ in range(9):
        assert film.show(after_ms=away_ms / 10) == ()
    film.show(found(130 + away_ms / 33), after_ms=away_ms / 10)
    assert film.ids(found(131 + away_ms / 33)) == [1 if same else 2]


@pytest.mark.parametrize("lost", [5, 20, 60])
def test_frames_that_are_lost_lose_no_id(lost: int) -> None:
    """At 4 pixels a frame, 60 lost frames are six widths of the object: the time says where it must be."""
    film = Film()
    for step in range(30):
        film.show(found(4 * step))
    step = 30 + lost
    assert film.ids(found(4 * step), after_ms=33 * (lost + 1)) == [1]


def test_nobody_vouches_for_who_is_there_after_a_long_hole() -> None:
    """After more than five seconds without a picture the same sight is another object."""
    film = Film()
    film.show(found(100))
    assert film.ids(found(100), after_ms=4_900) == [1]
    film.show(found(100), after_ms=5_100)
    assert film.ids(found(100)) == [2]


def test_between_two_looks_the_boxes_move_on() -> None:
    """With ``every`` the pairs between carry where each object will be, as predicted and without a mask."""
    film = Film()
    for step in range(0, 60, 3):
        film.show(found(100 + 4 * step, mask_rle=(0, 4)), after_ms=99)
    for ahead in (1, 2, 3):
        (told,) = film.show(looked=False)
        left, top, right, bottom = told.box_xyxy
        assert (left + right) / 2 == pytest.approx(100 + 4 * (57 + ahead), abs=2)
        assert (right - left, bottom - top) == pytest.approx((40, 80), abs=1)
        assert (told.track_id, told.is_predicted, told.mask_rle) == (1, True, None)
        assert (told.class_name, told.confidence) == ("person", pytest.approx(0.9))
    assert film.ids(found(100 + 4 * 61)) == [1]


def test_only_who_was_there_at_the_last_look_is_predicted() -> None:
    """Neither the lost nor the unconfirmed, and nobody for more than five seconds."""
    film = Film()
    film.show(found(100), found(300))
    film.show(found(100), found(500))
    assert [each.track_id for each in film.show(looked=False)] == [1]
    assert film.show(looked=False, after_ms=5_000) == ()


def test_a_track_bears_the_class_that_it_mostly_was() -> None:
    """A look that takes a car for a bicycle neither renames nor renumbers it."""
    film = Film()
    for name in ("car", "car", "bicycle", "car", "bicycle"):
        (told,) = film.show(found(100, name=name))
        assert (told.track_id, told.class_name, told.class_id) == (1, "car", 2)
    for _ in range(3):
        (told,) = film.show(found(100, name="bicycle"))
    assert (told.track_id, told.class_name) == (1, "bicycle")


def test_rider_and_bicycle_do_not_take_each_others_ids() -> None:
    """They overlap by half; where one is missed for a while the other does not step in."""
    film = Film()
    rider, bicycle = found(100, 100), found(100, 125, "bicycle")
    assert film.ids(rider, bicycle) == [1, 2]
    for _ in range(10):
        assert film.ids(bicycle) == [2]
    for _ in range(10):
        assert film.ids(rider) == [1]
    assert film.ids(bicycle, rider) == [2, 1]


def test_one_object_that_two_networks_found_has_one_id() -> None:
    """Almost the same box and the same class: counts would see two. Masks and order are kept."""
    film = Film()
    for step in range(5):
        ids = film.ids(
            found(100 + step, confidence=0.6), found(101 + step, mask_rle=(0, 9)), found(150, name="car")
        )
        assert ids == [1, 1, 2]
    assert film.ids(found(106), found(107, name="car")) == [1, None]


def test_a_successor_goes_on_counting() -> None:
    """After a restart of the engine no id comes again."""
    tracker = Tracker(after_id=41)
    (told,) = tracker.update([found(100)], capture_ns=0, looked=True)
    assert told.track_id == 42


def test_nothing_for_an_hour_costs_nothing() -> None:
    """No objects at all, then somebody: the first sight is no different, and nothing has piled up."""
    film = Film()
    film.show(found(100))
    for _ in range(3_600):
        assert film.show(after_ms=1_000) == ()
    assert [film.ids(found(100)) for _ in range(2)] == [[None], [2]]


def test_ten_thousand_objects_do_not_stall_it() -> None:
    """The surest 300 are followed, the others go on without an id."""
    film = Film()
    crowd = [
        found(50.0 * (number % 100), 90.0 * (number // 100), confidence=(number * 7919 % 9973) / 9973)
        for number in range(10_000)
    ]
    for _ in range(3):
        began_s = time.perf_counter()
        told = film.show(*crowd)
        assert time.perf_counter() - began_s < 2, "a tenth of that is usual"
    followed = {each.track_id for each in told} - {None}
    assert len(told) == 10_000
    assert followed == set(range(1, 301))
    surest = sorted(told, key=lambda each: -each.confidence)[:300]
    assert {each.track_id for each in surest} == followed


def test_boxes_without_area_are_nobody() -> None:
    """They have no shape to follow."""
    film = Film()
    flat = Detection(box_xyxy=(5, 5, 5, 9), class_id=0, class_name="person", confidence=0.5)
    for _ in range(3):
        assert film.ids(flat, found(100)) == [None, 1]


sights = st.lists(
    st.lists(
        st.tuples(st.integers(0, 600), st.integers(0, 400), st.sampled_from(NAMES), st.floats(0, 1)),
        max_size=6,
    ),
    max_size=12,
)


@settings(max_examples=50)
@given(sights, st.lists(st.tuples(st.integers(1, 3_000), st.booleans()), min_size=12, max_size=12))
def test_every_answer_makes_sense(
    images: Sequence[Sequence[tuple[int, int, str, float]]], times: Sequence[tuple[int, bool]]
) -> None:
    """Whatever is found: its boxes in their order, new ids in a row, and no id between looks that is new."""
    film = Film()
    known: set[int] = set()
    for objects, (after_ms, looked) in zip(images, times, strict=False):
        given_ = [found(x, y, name, confidence=score) for x, y, name, score in objects]
        told = film.show(*given_, after_ms=after_ms, looked=looked)
        ids = [each.track_id for each in told if each.track_id is not None]
        if looked:
            assert [each.box_xyxy for each in told] == [each.box_xyxy for each in given_]
            fresh = sorted(set(ids) - known)
            assert fresh == list(range(len(known) + 1, len(known) + 1 + len(fresh)))
            known |= set(fresh)
        else:
            assert all(each.is_predicted for each in told)
            assert set(ids) <= known
            assert all(math.isfinite(edge) for each in told for edge in each.box_xyxy)
