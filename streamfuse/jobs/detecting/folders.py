"""Scenes of folders: pairs of stills or videos, labelled by people or by an earlier detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfuse.config.training_detector import DetectorScenes
from streamfuse.core.boxes import Box
from streamfuse.core.convert import image_to_rgb
from streamfuse.errors import SourceError
from streamfuse.frames import StreamName
from streamfuse.geometry.boxmask import boxes_to_mask
from streamfuse.geometry.gray import gray8
from streamfuse.io.images import by_stem, list_images, read_gray, read_image
from streamfuse.io.labels import read_box_union
from streamfuse.io.media import VideoSource
from streamfuse.jobs.detecting.rendering import Renderer
from streamfuse.jobs.detecting.scene import Scene, Thing

__all__ = ["Guesser", "folder_scenes"]

Rgb = npt.NDArray[np.uint8]
Gray = npt.NDArray[np.uint8]
Guesser = Callable[[dict[str, Rgb]], tuple[tuple[Thing, ...], tuple[tuple[float, float, float, float], ...]]]
"""From the renderings of a scene, what is surely in it, and boxes of what may be."""

_VIDEOS = {".mp4", ".mkv", ".avi", ".mov"}


def folder_scenes(
    folder: DetectorScenes, classes: Sequence[str], renderer: Renderer, guess: Guesser | None = None
) -> Iterator[Scene]:
    """Every pair of a folder that its lists allow, rendered and labelled.

    Args:
        folder: where the pairs are and which of them to take.
        classes: names by class number.
        renderer: makes the renderings.
        guess: labels the scenes of a folder without boxes.

    Raises:
        SourceError: a folder, a listed name, a partner or a label is missing or unreadable.
    """
    for name, visible, infrared in _pairs(folder):
        renderings = renderer.render(visible, infrared)
        if guess is not None:
            things, unsure = guess(renderings)
        else:
            boxes = read_box_union(folder.boxes, name, classes=len(classes))
            things, unsure = _things(boxes, visible, infrared), ()
        title = folder.title or folder.path.name
        yield Scene(
            name=f"{title}-{name}",
            renderings=renderings,
            things=things,
            unsure=unsure,
            repeat=folder.repeat,
        )


def _things(boxes: Sequence[Box], visible: Rgb, infrared: Gray) -> tuple[Thing, ...]:
    """Objects with masks cut out of their boxes."""
    height, width = infrared.shape
    ids = boxes_to_mask(visible, infrared, boxes)
    things = []
    for box in boxes:
        left, top, right, bottom = box.to_pixels((width, height))
        mask = np.zeros((height, width), np.bool_)
        inside = slice(round(top), max(round(top) + 1, round(bottom))), slice(round(left), round(right) + 1)
        mask[inside] = ids[inside] == box.class_id + 1
        things.append(Thing(class_id=box.class_id, box_xyxy=(left, top, right, bottom), mask=mask))
    return tuple(things)


def _pairs(folder: DetectorScenes) -> Iterator[tuple[str, Rgb, Gray]]:
    visible, infrared = folder.path / "visible", folder.path / "infrared"
    for needed in (visible, infrared):
        if not needed.is_dir():
            raise SourceError(f"{needed} is no folder; scenes are in `visible` and `infrared`")
    wanted = None if folder.names is None else _listed(folder.names)
    if videos := by_stem(path for path in sorted(visible.iterdir()) if path.suffix.lower() in _VIDEOS):
        others = by_stem(path for path in sorted(infrared.iterdir()) if path.suffix.lower() in _VIDEOS)
        for stem in videos:
            if wanted is None or stem in wanted:
                yield from _video(folder, videos[stem], _partner(others, stem, infrared))
        return
    stills = by_stem(list_images(visible))
    others = by_stem(list_images(infrared))
    stems = sorted(stills) if wanted is None else wanted
    for stem in stems[: len(stems) - folder.skip_last]:
        yield _still(stem, _partner(stills, stem, visible), _partner(others, stem, infrared))


def _still(stem: str, visible: Path, infrared: Path) -> tuple[str, Rgb, Gray]:
    return stem, image_to_rgb(read_image(visible)), gray8(read_gray(infrared))


def _video(folder: DetectorScenes, visible: Path, infrared: Path) -> Iterator[tuple[str, Rgb, Gray]]:
    """Every nth pair of frames, or those that somebody has labelled; but for the part that is left out."""
    first, last = folder.leave_out.get(visible.stem, (0, -1))
    wanted = _labelled(folder, visible.stem) if folder.boxes else None
    with (
        closing(VideoSource(visible, stream=StreamName.VISIBLE)) as seen,
        closing(VideoSource(infrared, stream=StreamName.INFRARED)) as warm,
    ):
        number = 0
        while (one := seen.read()) is not None and (other := warm.read()) is not None:
            is_wanted = number % folder.every == 0 if wanted is None else number in wanted
            if is_wanted and not first <= number <= last:
                yield f"{visible.stem}-{number}", image_to_rgb(one.image), gray8(other.image).copy()
            number += 1


def _labelled(folder: DetectorScenes, stem: str) -> frozenset[int]:
    """Numbers of the frames that have a label file in every folder."""
    numbers = [
        [path.stem.rpartition("-")[2] for path in labels.glob(f"{stem}-*.txt")] for labels in folder.boxes
    ]
    sets = [{int(number) for number in found if number.isdigit()} for found in numbers]
    return frozenset(set.intersection(*sets))


def _listed(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise SourceError(f"cannot read the list of names {path}: {error.strerror}") from error


def _partner(files: dict[str, Path], stem: str, folder: Path) -> Path:
    if stem not in files:
        raise SourceError(f"{folder}: holds nothing of the name {stem!r}; add it, or take it off the list")
    return files[stem]
