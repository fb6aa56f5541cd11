"""How many of the people whom smoke hides from the visible camera a detector finds.

The people were labelled by hand; see ``tests/data/README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfuse.core.convert import image_to_rgb
from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.engine.tasks.runner import TaskRunner
from streamfuse.errors import SourceError
from streamfuse.frames import Detection, Image, StreamName
from streamfuse.io.sources import open_source
from streamfuse.metrics.detection import match_boxes

__all__ = ["LABELS", "RENDERINGS", "SmokeScore", "read_hidden", "renderings", "score", "score_clip"]

LABELS = Path(__file__).parents[1] / "tests/data/smoke_people.json"
RENDERINGS = ("visible", "infrared", "fused")

Rgb = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeScore:
    """What a detector found of the people whom the visible frames hide."""

    hidden: int
    found: int
    """Of them, each by a box of its own with an IoU of at least .5."""
    frames: int
    """With hidden people."""
    frames_any: int
    """In which one of them or more was found."""
    frames_all: int
    """In which all of them were found."""

    def shares(self) -> dict[str, float]:
        """0..1: of the people, of the frames with one found, of the frames with all found."""
        return {
            "people": self.found / self.hidden,
            "frames_any": self.frames_any / self.frames,
            "frames_all": self.frames_all / self.frames,
        }


def read_hidden(path: Path = LABELS) -> dict[int, Boxes]:
    """The (N, 4) boxes of the hidden people by number of the frame, in pixels."""
    frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
    return {
        int(number): _boxes([one["box_xyxy"] for one in people if one["state"] == "hidden"])
        for number, people in frames.items()
    }


def renderings(
    clip: Path, numbers: Sequence[int], engine: FusionEngine
) -> Iterator[tuple[int, dict[str, Rgb]]]:
    """The visible, the infrared and the fused image of some frames, fused as a pipeline does (``steady``).

    Args:
        clip: as ``m3svd/video/*/0117_1605.mp4``, with ``*`` in place of the stream.
        numbers: of the frames, from 0, rising.
        engine: fuses.

    Raises:
        SourceError: a video cannot be read, or ends before.
    """
    with ExitStack() as opened:
        paths = {stream: str(clip).replace("*", stream.value) for stream in StreamName}
        sources = [
            opened.enter_context(closing(open_source(paths[stream], stream=stream)))
            for stream in (StreamName.VISIBLE, StreamName.INFRARED)
        ]
        for number in numbers:
            images = []
            for source in sources:
                source.skip(number)
                frame = source.read()
                if frame is None:
                    raise SourceError(f"{clip}: ends before frame {number}; give the whole clip")
                images.append(frame.image.copy())
            yield number, _three_ways(images[0], images[1], engine)


def score(hidden: Mapping[int, Boxes], found: Mapping[int, Sequence[Detection]]) -> SmokeScore:
    """Count the hidden people that were found, frame by frame.

    Args:
        hidden: see :func:`read_hidden`.
        found: the detections in the same frames; others than persons do not count.
    """
    counts = [(len(boxes), _hits(boxes, found[number])) for number, boxes in hidden.items() if len(boxes)]
    return SmokeScore(
        hidden=sum(there for there, _ in counts),
        found=sum(hits for _, hits in counts),
        frames=len(counts),
        frames_any=sum(hits > 0 for _, hits in counts),
        frames_all=sum(hits == there for there, hits in counts),
    )


def score_clip(clip: Path, runner: TaskRunner, engine: FusionEngine) -> dict[str, SmokeScore]:
    """Let a detector look at the labelled frames in each rendering, and score it."""
    hidden = read_hidden()
    found: dict[str, dict[int, tuple[Detection, ...]]] = {kind: {} for kind in RENDERINGS}
    for number, images in renderings(clip, list(hidden), engine):
        for kind, rgb in images.items():
            (looked,) = runner.run([rgb], pair_ids=[0])
            found[kind][number] = looked.detections
    return {kind: score(hidden, by_frame) for kind, by_frame in found.items()}


def _three_ways(visible: Image, infrared: Image, engine: FusionEngine) -> dict[str, Rgb]:
    (fused,) = engine.fuse_images([(visible, infrared)], Mode.STEADY)
    return {
        kind: image_to_rgb(image) for kind, image in zip(RENDERINGS, (visible, infrared, fused), strict=True)
    }


def _hits(truth: Boxes, found: Sequence[Detection]) -> int:
    people = [one for one in found if one.class_name == "person"]
    matches = match_boxes(
        truth=truth,
        found=_boxes([one.box_xyxy for one in people]),
        confidence=np.array([one.confidence for one in people], np.float64),
    )
    return int(np.count_nonzero(matches.hit[0]))


def _boxes(corners: Sequence[Sequence[float]]) -> Boxes:
    return np.array(corners, np.float64).reshape(-1, 4)
