"""ByteTrack on the clock of the cameras: which box of an image is which object of the ones before.

Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022; the Kalman
filter is that of N. Wojke et al., "Simple Online and Realtime Tracking with a Deep Association Metric",
ICIP 2017. Numbers and order of steps are those of Ultralytics, whose tracker gives the same; but it counts
images where this one measures time, and it cannot be had without torch, which takes seconds to load.

The detector's threshold has been applied already and differs between networks. So scores do not weigh in the
association, but for its two parts: first of what is sure, then of what is faint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import lap
import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.counting import GONE_S

__all__ = ["ByteTrack", "Track", "overlaps"]

Floats = npt.NDArray[np.float64]
_Pairs = list[tuple[int, int]]
_T = TypeVar("_T")

_BLIND_S: Final = 5.0
"""After so long without a look nobody is taken for who was there before."""
_KEPT_MS: Final = round(GONE_S * NS_PER_S / NS_PER_MS)
"""How long an object that is out of sight is waited for."""
_RELABELLED: Final = 0.7
"""IoU from which a track may go on with an object of another class. Rider and bicycle overlap less."""
_LIMIT_SURE, _LIMIT_FAINT, _LIMIT_UNCONFIRMED = 0.8, 0.5, 0.7
"""Largest distance (1 - IoU) at which a box is taken for a track, by the part of the association."""
_DUPLICATES: Final = 0.15
"""Distance below which a track in sight and one out of sight are the same object."""
_EPSILON: Final = 1e-7

# Kalman filter: standard deviations of x, y, aspect ratio, height and of their velocities, as shares of the
# height, and beside that as plain numbers.
_PLACE, _SPEED = 1 / 20, 1 / 160
_NOISE_SHARES: Final = np.array([_PLACE, _PLACE, 0, _PLACE, _SPEED, _SPEED, 0, _SPEED])
_NOISE: Final = np.array([0, 0, 1e-2, 0, 0, 0, 1e-5, 0])
_BEGIN_SHARES: Final = _NOISE_SHARES * np.array([2, 2, 1, 2, 10, 10, 1, 10])
_SEEN_SHARES: Final = _NOISE_SHARES[:4]
_SEEN: Final = np.array([0, 0, 1e-1, 0])


@dataclass(slots=True, eq=False)
class Track:
    """An object over time."""

    key: int
    """Its number, in the order in which tracks began."""
    mean: Floats
    """Centre x and y, aspect ratio (width over height) and height; then their change per 1/30 s."""
    covariance: Floats
    class_number: int
    begun_ms: int
    seen_ms: int
    row: int
    """Which box of the image it was seen in last."""
    is_confirmed: bool
    """Seen twice, or in the very first image."""
    is_lost: bool = False

    @property
    def box_xyxy(self) -> Floats:
        """Left, top, right, bottom as the filter has them."""
        return _xyxy(self.mean)

    def see(self, row: int, box_xyxy: Floats, class_number: int, *, now_ms: int) -> None:
        """Correct the expectation by what was seen (the update of the Kalman filter)."""
        noise = np.diag((_SEEN_SHARES * self.mean[3] + _SEEN) ** 2)
        expected = self.covariance[:4, :4] + noise
        gain = np.linalg.solve(expected, self.covariance[:, :4].T).T
        self.mean = self.mean + gain @ (_xyah(box_xyxy) - self.mean[:4])
        self.covariance = self.covariance - gain @ expected @ gain.T
        self.row, self.class_number, self.seen_ms = row, class_number, now_ms
        self.is_confirmed, self.is_lost = True, False


class ByteTrack:
    """Follows boxes from image to image. Belongs to one thread."""

    def __init__(self) -> None:
        self._tracked: list[Track] = []
        self._lost: list[Track] = []
        self._begun = 0
        self._first_ns: int | None = None
        self._looked_ns = 0

    @property
    def keys(self) -> set[int]:
        """Of all tracks that are not forgotten."""
        return {track.key for track in (*self._tracked, *self._lost)}

    def look(
        self, boxes: Floats, class_numbers: Sequence[int], *, is_sure: npt.NDArray[np.bool_], capture_ns: int
    ) -> list[Track]:
        """Go on to an image with these boxes; the tracks that it shows, with their ``row``.

        Args:
            boxes: (N, 4) left, top, right, bottom.
            class_numbers: of each.
            is_sure: (N,) False for the faint ones: they begin no track.
            capture_ns: when the image was captured.
        """
        now_ms = self._go_on(capture_ns)
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        sure, faint = (np.flatnonzero(has_area & part).tolist() for part in (is_sure, ~is_sure))
        seen: list[Track] = []

        def take(tracks: Sequence[Track], rows: Sequence[int], pairs: _Pairs) -> None:
            for index, place in pairs:
                row = rows[place]
                tracks[index].see(row, boxes[row], class_numbers[row], now_ms=now_ms)
                seen.append(tracks[index])

        # First what is sure, for all who are known ...
        known = [*(track for track in self._tracked if track.is_confirmed), *self._lost]
        was_lost = {track.key for track in self._lost}
        pairs = _assigned(_distances(known, boxes[sure], [class_numbers[row] for row in sure]), _LIMIT_SURE)
        take(known, sure, pairs)
        # ... then what is faint, for who was in sight until now ...
        waiting = [track for track in _left(known, (i for i, _ in pairs)) if not track.is_lost]
        sure = _left(sure, (place for _, place in pairs))
        pairs = _assigned(_plain_distances(waiting, boxes[faint]), _LIMIT_FAINT)
        take(waiting, faint, pairs)
        gone = _left(waiting, (i for i, _ in pairs))
        # ... then the rest of what is sure, for who was seen once; and who remains begins a track.
        fresh = [track for track in self._tracked if not track.is_confirmed]
        distances = _distances(fresh, boxes[sure], [class_numbers[row] for row in sure])
        pairs = _assigned(distances, _LIMIT_UNCONFIRMED)
        take(fresh, sure, pairs)
        refused = {track.key for track in _left(fresh, (i for i, _ in pairs))}
        begun = [
            self._begin(row, boxes[row], class_numbers[row], now_ms=now_ms)
            for row in _left(sure, (place for _, place in pairs))
        ]
        for track in gone:
            track.is_lost = True
        self._tracked = [
            *(track for track in self._tracked if not track.is_lost and track.key not in refused),
            *begun,
            *(track for track in seen if track.key in was_lost),
        ]
        self._lost = [
            *(track for track in self._lost if track.is_lost and now_ms - track.seen_ms <= _KEPT_MS),
            *gone,
        ]
        self._drop_duplicates()
        shown = {track.key for track in (*seen, *begun)}
        return [track for track in self._tracked if track.key in shown]

    def expected(self, capture_ns: int) -> list[tuple[Track, Floats]]:
        """The confirmed tracks of the last look, each with its box (left, top, right, bottom) by now."""
        elapsed_ns = capture_ns - self._looked_ns
        if elapsed_ns > _BLIND_S * NS_PER_S:
            return []
        frames = _frames(elapsed_ns)
        tracks = [track for track in self._tracked if track.is_confirmed]
        states = [(track, track.mean[:4] + frames * track.mean[4:]) for track in tracks]
        return [(track, _xyxy(state)) for track, state in states if state[2:].min() > 0]

    def _go_on(self, capture_ns: int) -> int:
        """Move all tracks to the time of the next image; the milliseconds since the first one."""
        if self._first_ns is None:
            self._first_ns = self._looked_ns = capture_ns
        elapsed_ns = max(0, capture_ns - self._looked_ns)
        if elapsed_ns > _BLIND_S * NS_PER_S:
            self._tracked, self._lost = [], []
        self._looked_ns += elapsed_ns
        now_ms = (self._looked_ns - self._first_ns) // NS_PER_MS
        self._lost = [track for track in self._lost if now_ms - track.seen_ms <= _KEPT_MS + 1]
        _move([*self._tracked, *self._lost], _frames(elapsed_ns))
        return now_ms

    def _begin(self, row: int, box_xyxy: Floats, class_number: int, *, now_ms: int) -> Track:
        self._begun += 1
        state = _xyah(box_xyxy)
        return Track(
            key=self._begun,
            mean=np.concatenate([state, np.zeros(4)]),
            covariance=np.diag((_BEGIN_SHARES * state[3] + _NOISE) ** 2),
            class_number=class_number,
            begun_ms=now_ms,
            seen_ms=now_ms,
            row=row,
            is_confirmed=now_ms == 0,
        )

    def _drop_duplicates(self) -> None:
        """Where a track in sight and one out of sight are one object, the one known for longer stays."""
        lost_boxes = np.array([track.box_xyxy for track in self._lost]).reshape(-1, 4)
        close = np.argwhere(_plain_distances(self._tracked, lost_boxes) < _DUPLICATES)
        dropped: set[int] = set()
        for first, second in close:
            one, other = self._tracked[first], self._lost[second]
            longer = one.seen_ms - one.begun_ms > other.seen_ms - other.begun_ms
            dropped.add(other.key if longer else one.key)
        if dropped:
            self._tracked = [track for track in self._tracked if track.key not in dropped]
            self._lost = [track for track in self._lost if track.key not in dropped]


def overlaps(first: Floats, second: Floats) -> npt.NDArray[np.float32]:
    """(N, M) intersections over unions of (N, 4) and (M, 4) boxes, left, top, right, bottom."""
    one, other = first.astype(np.float32)[:, None], second.astype(np.float32)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = sides.clip(0).prod(-1)
    areas = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1)
    shares: npt.NDArray[np.float32] = shared / (areas - shared + np.float32(_EPSILON))
    return shares


def _plain_distances(tracks: Sequence[Track], boxes: Floats) -> npt.NDArray[np.float32]:
    """(tracks, boxes) 1 - IoU."""
    return 1 - overlaps(np.array([track.box_xyxy for track in tracks]).reshape(-1, 4), boxes)


def _distances(
    tracks: Sequence[Track], boxes: Floats, class_numbers: Sequence[int]
) -> npt.NDArray[np.float32]:
    """1 - IoU; another class costs extra, and is only possible where the boxes nearly agree."""
    distances = _plain_distances(tracks, boxes)
    differs = np.not_equal.outer([track.class_number for track in tracks], class_numbers)
    if not differs.any():
        return distances
    distances[differs & (distances > 1 - _RELABELLED)] = 1.0
    return distances + differs * np.float32(1 - _RELABELLED)


def _assigned(distances: npt.NDArray[np.float32], limit: float) -> _Pairs:
    """Rows with their columns, so that the sum of their distances is least; none above a limit."""
    if not distances.size:
        return []
    _, columns, _ = lap.lapjv(distances, extend_cost=True, cost_limit=limit)
    return [(row, column) for row, column in enumerate(columns.tolist()) if column >= 0]


def _left(items: Sequence[_T], taken: Iterable[int]) -> list[_T]:
    """What is left when some are taken, by index."""
    gone = set(taken)
    return [item for index, item in enumerate(items) if index not in gone]


def _frames(elapsed_ns: int) -> float:
    """The unit of time of the Kalman filter, whose noise was tuned for 30 images per second."""
    return elapsed_ns * 30 / NS_PER_S


def _move(tracks: Sequence[Track], frames: float) -> None:
    """The prediction of the Kalman filter over any length of time.

    Noise adds up, so its variance is that of one frame times the frames.
    """
    if not tracks:
        return
    means = np.array([track.mean for track in tracks])
    means[[track.is_lost for track in tracks], 7] = 0.0  # who is not seen does not grow
    motion = np.eye(8) + frames * np.eye(8, k=4)
    deviations = np.outer(means[:, 3], _NOISE_SHARES) + _NOISE
    covariances = motion @ np.array([track.covariance for track in tracks]) @ motion.T
    covariances[:, range(8), range(8)] += frames * deviations**2
    for track, mean, covariance in zip(tracks, means @ motion.T, covariances, strict=True):
        track.mean, track.covariance = mean, covariance


def _xyah(box_xyxy: Floats) -> Floats:
    size = box_xyxy[2:] - box_xyxy[:2]
    return np.concatenate([box_xyxy[:2] + size / 2, [size[0] / size[1], size[1]]])


def _xyxy(state: Floats) -> Floats:
    centre, half = state[:2], state[3] * np.array([state[2], 1.0]) / 2
    return np.concatenate([centre - half, centre + half])
