"""Trails of tracks."""

from __future__ import annotations

from streamfuse.clock import NS_PER_S
from streamfuse.core.trails import Trail, Trails
from streamfuse.frames import Detection


def person(x: float, track_id: int | None = 1) -> Detection:
    """One that stands at (x + 5, 20)."""
    return Detection(
        box_xyxy=(x, 0, x + 10, 20), class_id=0, class_name="person", confidence=0.9, track_id=track_id
    )


def test_a_trail_has_the_places_of_its_track_in_order() -> None:
    """The middles of the lower edges, oldest first; who is not tracked has none."""
    trails = Trails()
    trails.see([person(0), person(50, track_id=2)], capture_ns=0)
    seen = trails.see([person(3), person(90, track_id=None)], capture_ns=NS_PER_S)
    assert seen == (Trail(class_id=0, points=((5, 20), (8, 20))),)


def test_what_is_old_is_forgotten() -> None:
    """Points older than the length go, also those of a track that is away; it may come back before."""
    trails = Trails(length_s=2)
    for second in range(5):
        (trail,) = trails.see([person(second)], capture_ns=second * NS_PER_S)
    assert [x for x, _ in trail.points] == [7, 8, 9]
    assert trails.see([], capture_ns=5 * NS_PER_S) == ()
    (trail,) = trails.see([person(6)], capture_ns=6 * NS_PER_S)
    assert [x for x, _ in trail.points] == [9, 11]
    trails.see([], capture_ns=60 * NS_PER_S)
    (trail,) = trails.see([person(7)], capture_ns=60 * NS_PER_S)
    assert [x for x, _ in trail.points] == [12]


def test_a_trail_does_not_tremble_with_the_boxes() -> None:
    """A box whose middle jumps by 8 px leaves a line that varies by less than a quarter; its end is true."""
    trails = Trails()
    for number in range(30):
        (trail,) = trails.see([person(8 * (number % 2))], capture_ns=number * NS_PER_S // 10)
    settled = [x for x, _ in trail.points[4:-1]]
    assert max(settled) - min(settled) < 2
    assert trail.points[-1] == (13, 20)
