"""Our ByteTrack against that of Ultralytics, made to count milliseconds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.core.counting import GONE_S
from streamfuse.engine import bytetrack
from streamfuse.engine.bytetrack import ByteTrack, overlaps
from streamfuse.engine.tasks.library import ultralytics

MS = 1_000_000
_boxes = ultralytics("engine.results").Boxes


class Theirs(ultralytics("trackers.byte_tracker").BYTETracker):  # type: ignore[misc]  # it has no types
    """The tracker of Ultralytics with milliseconds for images, and the same price on another class."""

    def __init__(self) -> None:
        super().__init__(
            SimpleNamespace(
                track_high_thresh=1.0,
                track_low_thresh=0.0,
                new_track_thresh=1.0,
                track_buffer=round(GONE_S * 1000),
                match_thresh=0.8,
                fuse_score=False,
            )
        )

    def look(self, rows: np.ndarray, *, now_ms: int) -> dict[int, tuple[int, list[float], bool]]:
        """What is seen: by row, key, box and whether it is confirmed."""
        tracks = [*self.tracked_stracks, *self.lost_stracks]
        bytetrack._move([_Moved(track) for track in tracks], (now_ms - max(0, self.frame_id - 1)) * 30 / 1000)  # type: ignore[misc]  # the one part that is ours in both
        self.frame_id = now_ms
        self.lost_stracks = [
            one for one in self.lost_stracks if now_ms - one.end_frame <= self.max_frames_lost
        ]
        self.update(_boxes(rows, (1, 1)))
        seen = [track for track in self.tracked_stracks if track.frame_id == self.frame_id]
        return {int(t.idx): (t.track_id, t.xyxy.tolist(), t.is_activated) for t in seen}

    def multi_predict(self, tracks: list[Any]) -> None:
        """Nothing: they are moved by the time that has passed."""

    def get_dists(self, tracks: list[Any], detections: list[Any]) -> np.ndarray:
        """With the price on another class."""
        distances = super().get_dists(tracks, detections)
        differs = np.not_equal.outer([each.cls for each in tracks], [each.cls for each in detections])
        distances[differs & (distances > 0.3)] = 1.0
        return distances + differs * np.float32(0.3)


class _Moved:
    """One of their tracks as our filter moves it."""

    def __init__(self, track: Any) -> None:
        object.__setattr__(self, "track", track)

    def __getattr__(self, name: str) -> Any:
        return self.track.state != 1 if name == "is_lost" else getattr(self.track, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.track, name, value)


def street(seed: int, *, images: int) -> list[tuple[int, np.ndarray]]:
    """A made-up film: (ms, rows of box, score and class); who is there goes, hides, fades, is mistaken."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    place, speed = rng.uniform(0, 500, (count, 2)), rng.uniform(-6, 6, (count, 2))
    size, kind = rng.uniform(20, 120, (count, 2)), rng.integers(0, 3, count)
    now_ms = 0
    film = []
    for _ in range(images):
        there = rng.random(count) < 0.85
        low = place[there] + rng.normal(0, 2, (there.sum(), 2))
        score = np.where(rng.random(there.sum()) < 0.8, 1.0, 0.5)
        told = np.where(rng.random(there.sum()) < 0.95, kind[there], 2)
        film.append((now_ms, np.column_stack([low, low + size[there], score, told])))
        step_ms = int(rng.choice([33, 40, 66, 100, 900], p=[0.5, 0.2, 0.2, 0.08, 0.02]))
        now_ms += step_ms
        place += speed * step_ms / 33
    return film


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_follows_as_that_of_ultralytics(seed: int) -> None:
    """The same boxes belong to the same tracks, confirmed at the same time, in the same places."""
    ours, theirs = ByteTrack(), Theirs()
    for now_ms, rows in street(seed, images=60):
        seen = ours.look(
            rows[:, :4],
            rows[:, 5].astype(int).tolist(),
            is_sure=rows[:, 4] == 1.0,
            capture_ns=7_000_000_000_000 + now_ms * MS,
        )
        expected = theirs.look(rows, now_ms=now_ms)
        assert {track.row: (track.key, track.is_confirmed) for track in seen} == {
            row: (key, confirmed) for row, (key, _, confirmed) in expected.items()
        }
        for track in seen:
            assert track.box_xyxy == pytest.approx(expected[track.row][1], abs=0.01)


def test_a_box_without_area_is_nobody() -> None:
    """It can be no track: its proportions are no number."""
    boxes = np.array([[10.0, 10, 10, 30], [10, 10, 30, 10]])
    assert ByteTrack().look(boxes, [0, 0], is_sure=np.ones(2, np.bool_), capture_ns=0) == []


def test_overlaps_are_shared_over_joint_area() -> None:
    """A half, a seventh, nothing."""
    first = np.array([[0.0, 0, 2, 2]])
    second = np.array([[0.0, 0, 1, 2], [1, 1, 3, 3], [5, 5, 6, 6]])
    assert overlaps(first, second)[0].tolist() == pytest.approx([1 / 2, 1 / 7, 0.0])
    assert overlaps(first, np.empty((0, 4))).shape == (1, 0)
