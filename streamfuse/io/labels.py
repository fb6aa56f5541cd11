"""Labels beside the images: YOLO boxes in text files, class maps in PNG files (the latter by Pillow)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL.Image import DecompressionBombError
from PIL.PngImagePlugin import PngImageFile

from streamfuse.core.boxes import IGNORE, Box, merge_boxes
from streamfuse.errors import SourceError

__all__ = ["IGNORE", "find_label", "read_box_union", "read_boxes", "read_label_map"]

_OVERHANG = 1e-3
"""Share of the image's side by which a rounded box may stick out; files are written with 3 to 6 decimals."""


def find_label(folder: Path, stem: str, *, suffix: str = ".txt") -> Path:
    """The label file of the image with this file name without suffix.

    Raises:
        SourceError: the folder has none.
    """
    path = folder / f"{stem}{suffix}"
    if not path.is_file():
        raise SourceError(
            f"{folder}: holds no label file {path.name}; add it (an empty one says: nothing to see) "
            "or leave the image out"
        )
    return path


def read_boxes(path: Path, *, classes: int, allow_empty: bool = False) -> tuple[Box, ...]:
    """Read a YOLO label file: ``class x_centre y_centre width height`` per line, in shares of the image.

    Blank lines and a missing final newline do not matter. Boxes that stick out by at most 1e-3 of the image,
    as rounding makes them, are cut at its edge.

    Args:
        path: The file.
        classes: How many classes there are; ids are 0 to ``classes - 1``.
        allow_empty: Whether a file without boxes says that there is nothing to see, or is a mistake.

    Returns:
        The boxes in the order of the file.

    Raises:
        SourceError: missing, not text, without boxes, or a line that is no box of these classes in the image.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not text; give a YOLO label file (.txt)") from error
    lines = enumerate(text.splitlines(), start=1)
    boxes = tuple(
        _parse(line.split(), classes=classes, where=f"{path}:{number}")
        for number, line in lines
        if line.strip()
    )
    if not boxes and not allow_empty:
        raise SourceError(f"{path}: holds no box; label the image, or allow files without objects")
    return boxes


def read_box_union(
    folders: Iterable[Path], stem: str, *, classes: int, min_iou: float = 0.4
) -> tuple[Box, ...]:
    """What all annotators of an image saw together, one folder each.

    The union is that of :func:`streamfuse.core.boxes.merge_boxes`; a file without boxes is an annotator who
    saw nothing.

    Raises:
        SourceError: a folder lacks the file, or a file is not as :func:`read_boxes` wants it.
    """
    sets = [read_boxes(find_label(folder, stem), classes=classes, allow_empty=True) for folder in folders]
    return merge_boxes(sets, min_iou=min_iou)


def read_label_map(path: Path, *, classes: int) -> npt.NDArray[np.uint8]:
    """Read a map of class ids, as MSRS and MFNet have them: grey levels or palette indices are the ids.

    Args:
        path: An 8-bit grey or palette PNG.
        classes: How many classes there are, background included; ids are 0 to ``classes - 1``, 255 is ignore.

    Returns:
        HxW uint8.

    Raises:
        SourceError: missing, not an image, cut short, with colours or 16 bits, or with other ids.
    """
    try:
        # The class itself: `PIL.Image.open` is exchanged by Ultralytics, where that is loaded, for one that
        # goes to install a decoder when it does not know a file.
        with PngImageFile(path) as image:
            image.load()
            mode, labels = image.mode, cast("npt.NDArray[np.uint8]", np.array(image))
    except FileNotFoundError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (OSError, SyntaxError, ValueError, DecompressionBombError) as error:
        raise SourceError(f"{path}: is no whole image ({error}); copy it again") from error
    if mode not in {"L", "P"}:
        raise SourceError(
            f"{path}: has pixels of kind {mode}, wanted a label map with one 8-bit id a pixel "
            "(grey or palette); give the ids, not a coloured picture of them"
        )
    wrong = [label for label in np.unique(labels).tolist() if label >= classes and label != IGNORE]
    if wrong:
        named = ", ".join(map(str, wrong[:5])) + (" and more" if wrong[5:] else "")
        raise SourceError(
            f"{path}: has the class ids {named}, wanted 0 to {classes - 1} or {IGNORE} "
            "(ignore); map them to the classes"
        )
    return labels


def _parse(fields: list[str], *, classes: int, where: str) -> Box:
    """One line of a label file."""
    try:
        class_text, *numbers = fields
        class_id = int(class_text)
        x, y, width, height = map(float, numbers)
    except ValueError as error:
        raise SourceError(
            f"{where}: wanted 'class x_centre y_centre width height', got '{' '.join(fields)}'"
        ) from error
    if not 0 <= class_id < classes:
        raise SourceError(f"{where}: class {class_id} is not one of 0 to {classes - 1}; mend the label")
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if not all(-_OVERHANG <= corner <= 1 + _OVERHANG for corner in corners):
        raise SourceError(
            f"{where}: the box spans {', '.join(f'{corner:.4g}' for corner in corners)}, outside the "
            "image's 0..1; YOLO boxes are shares of its width and height, not pixels"
        )
    try:
        return Box(class_id, *(min(max(corner, 0.0), 1.0) for corner in corners))
    except ValueError as error:
        raise SourceError(f"{where}: {error}; mend the label") from error
