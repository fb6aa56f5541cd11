"""Scenes written down in the layout that Ultralytics learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from streamfuse.frames import Image
from streamfuse.io.files import write_text
from streamfuse.io.images import write_png
from streamfuse.jobs.detecting.scene import Scene, views_of

__all__ = ["Written", "write_dataset"]

_EMPTY_EVERY = 6
"""Of the views without any object, one in so many is kept: a detector must know nothing when it sees it."""
_FEW = 16


@dataclass(slots=True)
class Written:
    """What was written."""

    scenes: int = 0
    views: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    """By class, each view's own."""


def write_dataset(
    scenes: Iterable[Scene],
    out: Path,
    *,
    classes: Sequence[str],
    side_px: int,
    on_scene: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write ``images/RENDERING/NAME.png``, ``labels/RENDERING/NAME.txt``, lists and, last, ``dataset.yaml``.

    Args:
        scenes: with their renderings.
        out: the folder.
        classes: names by class number.
        side_px: see :func:`streamfuse.jobs.detecting.scene.views_of`.
        on_scene: called with the number of scenes written, after each.

    Raises:
        OutputError: the folder cannot be written.
    """
    written, shown, few, empty = Written(), list[str](), list[str](), 0
    for scene in scenes:
        for view in views_of(scene, side_px=side_px):
            if not view.labels:
                empty += 1
                if empty % _EMPTY_EVERY:
                    continue
            for kind, image in view.renderings.items():
                for folder in ("images", "labels"):
                    (out / folder / kind).mkdir(parents=True, exist_ok=True)
                write_png(out / "images" / kind / f"{view.name}.png", Image.from_rgb(image))
                write_text(out / "labels" / kind / f"{view.name}.txt", view.labels)
                line = f"./images/{kind}/{view.name}.png\n"
                shown += [line] * scene.repeat
                if len(few) < _FEW:
                    few.append(line)
            written.views += 1
            written.objects.update(classes[int(line.split()[0])] for line in view.labels.splitlines())
        written.scenes += 1
        on_scene(written.scenes)
    write_text(out / "train.txt", "".join(shown))
    # Ultralytics wants something to validate on. Nothing is chosen by it, so a few training images do.
    write_text(out / "few.txt", "".join(few))
    content = {
        "path": str(out.resolve()),
        "train": "train.txt",
        "val": "few.txt",
        "names": dict(enumerate(classes)),
    }
    write_text(out / "dataset.yaml", yaml.safe_dump(content, sort_keys=False))
    return written
