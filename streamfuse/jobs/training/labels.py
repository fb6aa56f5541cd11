"""Class ids for the pixels of labelled pairs: read from label maps, or made from boxes.

Masks made from boxes are guesses, so each is kept as a PNG file that a person can look at. The name of
their folder holds a digest of all that they are made from: other boxes never meet old masks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamfuse.config.training import Labels, PairFolder
from streamfuse.errors import SourceError
from streamfuse.frames import Image
from streamfuse.geometry.boxmask import boxes_to_mask
from streamfuse.io.images import write_png
from streamfuse.io.labels import find_label, read_box_union, read_label_map
from streamfuse.jobs.training.dataset import Labeller, Plane

__all__ = ["labeller_for"]

_UNKNOWN = 255


def labeller_for(
    folder: PairFolder,
    *,
    classes: tuple[str, ...],
    cache_dir: Path,
    on_label: Callable[[str], None] = lambda _: None,
) -> Labeller | None:
    """What gives the pairs of a folder their labels; None when the folder has none.

    Args:
        folder: its ``labels`` say where they come from.
        classes: names by class id.
        cache_dir: gets a folder of PNG files for labels that are made from boxes.
        on_label: told the stem of each pair before its labels are made.

    Raises:
        SourceError: a folder of labels is missing. The labeller raises it for a missing or wrong file.
        OutputError: the labeller cannot write into the cache.
    """
    labels = folder.labels
    if labels is None:
        return None
    for path in (labels.maps,) if labels.maps is not None else labels.boxes:
        if not path.is_dir():
            raise SourceError(f"{path} is no folder; `labels` names folders of PNG maps or of text files")
    if labels.maps is not None:
        return _reader(labels.maps, len(classes))
    ids = np.full(256, _UNKNOWN, np.uint8)
    ids[0] = 0
    ids[1 : 1 + len(labels.box_classes)] = [classes.index(name) for name in labels.box_classes]
    made_in = cache_dir / f"{folder.title or folder.path.name}-{_digest(folder, labels, ids)}"
    return _maker(labels, ids, made_in, on_label)


def _reader(maps: Path, classes: int) -> Labeller:
    """Reads label maps."""

    def read(stem: str, visible: Plane, infrared: Plane) -> Plane:
        del visible, infrared
        return read_label_map(find_label(maps, stem, suffix=".png"), classes=classes)

    return read


def _maker(labels: Labels, ids: Plane, made_in: Path, on_label: Callable[[str], None]) -> Labeller:
    """Makes masks from boxes, each once."""
    classes = len(labels.box_classes)

    def make(stem: str, visible: Plane, infrared: Plane) -> Plane:
        kept = made_in / f"{stem}.png"
        if kept.exists():
            return read_label_map(kept, classes=int(ids[ids != _UNKNOWN].max()) + 1)
        on_label(stem)
        boxes = read_box_union(labels.boxes, stem, classes=classes)
        mask: Plane = ids[boxes_to_mask(visible, infrared, boxes)]
        made_in.mkdir(parents=True, exist_ok=True)
        write_png(kept, Image.from_gray(mask))
        return mask

    return make


def _digest(folder: PairFolder, labels: Labels, ids: Plane) -> str:
    """Of the boxes, of where the images are, and of the ids that the masks get."""
    digest = hashlib.sha256(f"{folder.path}\n{labels.box_classes}\n".encode() + ids.tobytes())
    for path in labels.boxes:
        for file in sorted(path.glob("*.txt")):
            digest.update(f"{path.name}/{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:8]
