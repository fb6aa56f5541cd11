"""Identities over time: ByteTrack, with the classes, ids and twins of what is found.

Frames are lost, held and left out (``every``), so each step is as long as the time since the last look:
tracks move on by that much, and are forgotten after seconds instead of frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from streamfuse.engine.bytetrack import ByteTrack, Track, overlaps
from streamfuse.frames import Detection

__all__ = ["Tracker"]

_MOST: Final = 300
"""Objects of one image that are followed, the surest: the effort grows with their square and more."""
_TWINS: Final = 0.75
"""IoU above which two boxes of a class are one object that two networks found; within a network YOLO's NMS,
at 0.7, leaves no such pair, but for boxes that the edge of the picture cuts."""

_Floats = npt.NDArray[np.float64]
_Label = tuple[int, str]


class Tracker:
    """Follows objects from image to image. Belongs to one thread.

    Every detection may begin a track; it is confirmed, and has an id, when it is seen a second time (in the
    very first image, at once). A track bears the class that it was found to be most often.

    Args:
        after_id: the last id that a predecessor has given away.
    """

    def __init__(self, *, after_id: int = 0) -> None:
        self._byte_track = ByteTrack()
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
        boxes = np.array([found[index].box_xyxy for index in surest], np.float64).reshape(-1, 4)
        classes = [self._class_number(found[index].class_name) for index in surest]
        twin_of = _twins(boxes, classes)
        leaders = np.flatnonzero(twin_of == np.arange(len(boxes)))
        ids: dict[int, int] = {}
        for track in self._byte_track.look(
            boxes[leaders],
            [classes[place] for place in leaders],
            is_sure=np.array([is_sure[surest[place]] for place in leaders], np.bool_),
            capture_ns=capture_ns,
        ):
            place = int(leaders[track.row])
            ids[place] = track.key
            self._tell(track, found[surest[place]])
        known: set[int] = set()
        for place, index in enumerate(surest):
            ids.setdefault(place, ids.get(int(twin_of[place]), 0))
            if (story := self._stories.get(ids[place])) is not None and story.id is not None:
                found[index] = story.of(found[index])
                known.add(index)
        self._forget()
        return tuple(one for index, one in enumerate(found) if is_sure[index] or index in known)

    def _class_number(self, name: str) -> int:
        """Of a class: networks may number theirs differently."""
        return self._classes.setdefault(name, len(self._classes))

    def _tell(self, track: Track, seen: Detection) -> None:
        """Note that a track was seen."""
        story = self._stories.setdefault(track.key, _Story())
        story.labels[seen.class_id, seen.class_name] += 1
        story.confidence = seen.confidence
        track.class_number = self._classes[story.label[1]]
        if story.id is None and track.is_confirmed:
            self._last_id += 1
            story.id = self._last_id

    def _forget(self) -> None:
        alive = self._byte_track.keys
        self._stories = {key: story for key, story in self._stories.items() if key in alive}

    def _predicted(self, capture_ns: int) -> tuple[Detection, ...]:
        told = []
        for track, (left, top, right, bottom) in self._byte_track.expected(capture_ns):
            story = self._stories[track.key]
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


def _twins(boxes: _Floats, classes: Sequence[int]) -> npt.NDArray[np.intp]:
    """For each box, the surest first, the first one that is the same object; often itself."""
    same = (overlaps(boxes, boxes) > _TWINS) & np.equal.outer(classes, classes)
    np.fill_diagonal(same, True)
    return np.argmax(same, axis=1) if len(boxes) else np.empty(0, np.intp)
