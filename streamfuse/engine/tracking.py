"""Identities over time: ByteTrack, as Ultralytics has it, on the clock of the cameras.

Ultralytics counts frames. Here frames are lost, held and left out (``every``), so each step is as long as the
time since the last look: tracks move on by that much, and are forgotten after seconds instead of frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.counting import GONE_S
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.frames import Detection

__all__ = ["Tracker"]

_BLIND_S: Final = 5.0
"""After so long without a look nobody is taken for who was there before."""
_SURE, _FAINT = 1.0, 0.5
"""Scores that ByteTrack gets, whose first association takes the one, and its second the other."""
_MOST: Final = 300
"""Objects of one image that are followed, the surest: the effort grows with their square and more."""
_TWINS: Final = 0.75
"""IoU above which two boxes of a class are one object that two networks found; within a network YOLO's NMS,
at 0.7, leaves no such pair, but for boxes that the edge of the picture cuts."""
_RELABELLED: Final = 0.7
"""IoU from which a track may go on with an object of another class. Rider and bicycle overlap less."""

_Floats = npt.NDArray[np.float64]
_Label = tuple[int, str]
_matching: Final = ultralytics("trackers.utils.matching")
_boxes: Final = ultralytics("engine.results").Boxes


class Tracker:
    """Follows objects from image to image. Belongs to one thread.

    Every detection may begin a track; it is confirmed, and has an id, when it is seen a second time (in the
    very first image, at once). A track bears the class that it was found to be most often.

    Args:
        after_id: the last id that a predecessor has given away.
    """

    def __init__(self, *, after_id: int = 0) -> None:
        self._byte_track = _ByteTrack()
        self._stories: dict[int, _Story] = {}
        self._classes: dict[str, int] = {}
        self._last_id = after_id

    def update(
        self,
        detections: Sequence[Detection],
        *,
        capture_ns: int,
        looked: bool,
        faint: Sequence[Detection] = (),
    ) -> tuple[Detection, ...]:
        """The objects of the next image, in their order, with the ids of their tracks where they have one.

        Args:
            detections: what the networks found; two that are one object get one id.
            faint: what they are less sure of. It begins no track, but where a confirmed one is expected it
                is the object, and is given behind the others.
            capture_ns: when the image was captured; monotonic.
            looked: False where no network ran (``every``): the answer is then where the confirmed tracks of
                the last look will have moved to.
        """
        if not looked:
            return self._predicted(capture_ns)
        found = [*detections, *faint]
        is_sure = [index < len(detections) for index in range(len(found))]
        surest = sorted(range(len(found)), key=lambda i: (is_sure[i], found[i].confidence), reverse=True)[
            :_MOST
        ]
        rows = self._rows([found[index] for index in surest])
        rows[:, 4] = [_SURE if is_sure[index] else _FAINT for index in surest]
        twin_of = _twins(rows)
        leaders = np.flatnonzero(twin_of == np.arange(len(rows)))
        ids: dict[int, int] = {}
        for track in self._byte_track.look(rows[leaders], capture_ns=capture_ns):
            place = int(leaders[track.idx])
            ids[place] = track.track_id
            self._tell(track, found[surest[place]])
        known: set[int] = set()
        for place, index in enumerate(surest):
            ids.setdefault(place, ids.get(int(twin_of[place]), 0))
            if (story := self._stories.get(ids[place])) is not None and story.id is not None:
                found[index] = story.of(found[index])
                known.add(index)
        self._forget()
        return tuple(one for index, one in enumerate(found) if is_sure[index] or index in known)

    def _rows(self, detections: Sequence[Detection]) -> _Floats:
        """Nx6: left, top, right, bottom, confidence, number of the class name."""
        rows = [
            (*each.box_xyxy, each.confidence, self._classes.setdefault(each.class_name, len(self._classes)))
            for each in detections
        ]
        return np.array(rows, np.float64).reshape(-1, 6)

    def _tell(self, track: Any, seen: Detection) -> None:
        """Note that a track was seen."""
        story = self._stories.setdefault(track.track_id, _Story())
        story.labels[seen.class_id, seen.class_name] += 1
        story.confidence = seen.confidence
        track.cls = self._classes[story.label[1]]
        if story.id is None and track.is_activated:
            self._last_id += 1
            story.id = self._last_id

    def _forget(self) -> None:
        alive = self._byte_track.ids
        self._stories = {key: story for key, story in self._stories.items() if key in alive}

    def _predicted(self, capture_ns: int) -> tuple[Detection, ...]:
        told = []
        for track, (left, top, right, bottom) in self._byte_track.expected(capture_ns):
            story = self._stories[track.track_id]
            seen = Detection(
                box_xyxy=(left, top, right, bottom),
                class_id=story.label[0],
                class_name=story.label[1],
                confidence=story.confidence,
                track_id=story.id,
                is_predicted=True,
            )
            told.append(seen)
        return tuple(told)


@dataclass(slots=True)
class _Story:
    """What is known of a track beyond where it is."""

    id: int | None = None
    """What it is called; None until it is confirmed."""
    labels: Counter[_Label] = field(default_factory=Counter)
    """How often it was found to be what."""
    confidence: float = 0.0
    """When it was last seen."""

    @property
    def label(self) -> _Label:
        """What it was most often; between equals, what it was first."""
        return self.labels.most_common(1)[0][0]

    def of(self, seen: Detection) -> Detection:
        class_id, class_name = self.label
        return replace(seen, track_id=self.id, class_id=class_id, class_name=class_name)


class _ByteTrack(ultralytics("trackers.byte_tracker").BYTETracker):  # type: ignore[misc]  # it has no types
    """Ultralytics' tracker, its frames being milliseconds.

    The detector's threshold has been applied already and differs between networks. So scores do not weigh in
    the association, but for the first and the second part: of what is sure, and of what is faint.
    """

    def __init__(self) -> None:
        super().__init__(
            SimpleNamespace(
                track_high_thresh=_SURE,
                track_low_thresh=0.0,
                new_track_thresh=_SURE,
                track_buffer=round(GONE_S * NS_PER_S / NS_PER_MS),
                match_thresh=0.8,
                fuse_score=False,
            )
        )
        self._first_ns: int | None = None
        self._looked_ns = 0

    @property
    def ids(self) -> set[int]:
        """Its own ids of all tracks that it has not forgotten."""
        return {track.track_id for track in (*self.tracked_stracks, *self.lost_stracks)}

    def look(self, rows: _Floats, *, capture_ns: int) -> list[Any]:
        """Go on to an image with these boxes; the tracks that it shows, with ``idx``, their row."""
        if self._first_ns is None:
            self._first_ns = self._looked_ns = capture_ns
        elapsed_ns = max(0, capture_ns - self._looked_ns)
        if elapsed_ns > _BLIND_S * NS_PER_S:
            self.tracked_stracks: list[Any] = []
            self.lost_stracks: list[Any] = []
        self._looked_ns += elapsed_ns
        self.frame_id = (self._looked_ns - self._first_ns) // NS_PER_MS
        self._remove_the_stale()
        _move([*self.tracked_stracks, *self.lost_stracks], _frames(elapsed_ns))
        self.update(_boxes(rows, (1, 1)))
        return [track for track in self.tracked_stracks if track.frame_id == self.frame_id]

    def expected(self, capture_ns: int) -> list[tuple[Any, _Floats]]:
        """The confirmed tracks of the last look, each with its box (left, top, right, bottom) by now."""
        elapsed_ns = capture_ns - self._looked_ns
        if elapsed_ns > _BLIND_S * NS_PER_S:
            return []
        tracks = [track for track in self.tracked_stracks if track.is_activated]
        states = [(track, track.mean[:4] + _frames(elapsed_ns) * track.mean[4:]) for track in tracks]
        return [(track, _xyxy(state)) for track, state in states if state[2:].min() > 0]

    def multi_predict(self, tracks: list[Any]) -> None:
        """Nothing: :meth:`look` has moved them already, by the time that has passed."""

    def get_dists(self, tracks: list[Any], detections: list[Any]) -> npt.NDArray[np.float32]:
        """1 - IoU; another class costs extra, and is only possible where the boxes nearly agree."""
        distances: npt.NDArray[np.float32] = super().get_dists(tracks, detections)
        differs = np.not_equal.outer([each.cls for each in tracks], [each.cls for each in detections])
        if not differs.any():
            return distances
        distances[differs & (distances > 1 - _RELABELLED)] = 1.0
        return distances + differs * np.float32(1 - _RELABELLED)

    def _remove_the_stale(self) -> None:
        """Ultralytics lets tracks take part once more before it removes them."""
        self.lost_stracks = [
            track for track in self.lost_stracks if self.frame_id - track.end_frame <= self.max_frames_lost
        ]


def _twins(rows: _Floats) -> npt.NDArray[np.intp]:
    """For each row, the surest first, the first one that is the same object; often itself."""
    boxes = list(rows[:, :4])
    same = (1 - _matching.iou_distance(boxes, boxes) > _TWINS) & np.equal.outer(rows[:, 5], rows[:, 5])
    np.fill_diagonal(same, True)
    return np.argmax(same, axis=1) if len(rows) else np.empty(0, np.intp)


def _frames(elapsed_ns: int) -> float:
    """The unit of time of ByteTrack's Kalman filter, whose noise was tuned for 30 images per second."""
    return elapsed_ns * 30 / NS_PER_S


def _move(tracks: Sequence[Any], frames: float) -> None:
    """The prediction of ByteTrack's Kalman filter (``KalmanFilterXYAH.predict``) over any length of time.

    A state is the box's centre x and y, aspect ratio and height, and the velocities of the four. Noise adds
    up, so its variance is that of one frame times the frames.
    """
    if not tracks:
        return
    means = np.array([track.mean for track in tracks])
    lost = [track.state != _TRACKED for track in tracks]
    means[lost, 7] = 0.0  # as there: who is not seen does not grow
    motion = np.eye(8) + frames * np.eye(8, k=4)
    deviations = np.outer(means[:, 3], _NOISE_OF_HEIGHT) + _NOISE
    covariances = motion @ np.array([track.covariance for track in tracks]) @ motion.T
    covariances[:, range(8), range(8)] += frames * deviations**2
    for track, mean, covariance in zip(tracks, means @ motion.T, covariances, strict=True):
        track.mean, track.covariance = mean, covariance


_TRACKED: Final = ultralytics("trackers.basetrack").TrackState.Tracked
_NOISE_OF_HEIGHT: Final = np.array([1 / 20, 1 / 20, 0, 1 / 20, 1 / 160, 1 / 160, 0, 1 / 160])
_NOISE: Final = np.array([0, 0, 1e-2, 0, 0, 0, 1e-5, 0])


def _xyxy(state: _Floats) -> _Floats:
    centre, half = state[:2], state[3] * np.array([state[2], 1.0]) / 2
    return np.concatenate([centre - half, centre + half])
