"""Labels beside the images: YOLO boxes and outlines in text files, class maps in PNG files (by Pillow)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL.Image import DecompressionBombError
from PIL.PngImagePlugin import PngImageFile

from streamfuse.core.boxes import IGNORE, Box, Outline, merge_boxes
from streamfuse.errors import SourceError

__all__ = ["IGNORE", "find_label", "read_box_union", "read_boxes", "read_label_map", "read_outlines"]

_LONGEST_BOX = 6
"""Words of a line up to which it is taken for a box, with what is wrong about it; an outline has seven."""
_SHOWN = 8
"""Words of a wrong line that a message shows."""
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

    A line may also be an outline, as :func:`read_outlines` wants it; then its box is taken. Blank lines and a
    missing final newline do not matter. What sticks out by at most 1e-3 of the image, as rounding makes it,
    is cut at its edge.

    Args:
        path: The file.
        classes: How many classes there are; ids are 0 to ``classes - 1``.
        allow_empty: Whether a file without boxes says that there is nothing to see, or is a mistake.

    Returns:
        The boxes in the order of the file.

    Raises:
        SourceError: missing, not text, without boxes, or a line that is no box of these classes in the image.
    """
    boxes = tuple(
        _parse(fields, classes=classes, where=where)
        if len(fields) <= _LONGEST_BOX
        else _parse_outline(fields, classes=classes, where=where).box
        for where, fields in _lines(path)
    )
    if not boxes and not allow_empty:
        raise SourceError(f"{path}: holds no box; label the image, or allow files without objects")
    return boxes


def read_outlines(path: Path, *, classes: int) -> tuple[Outline, ...]:
    """Read a YOLO label file of outlines: ``class x y x y x y …`` per line, in shares of the image.

    Args:
        path: The file; without lines it says that there is nothing to see.
        classes: How many classes there are; ids are 0 to ``classes - 1``.

    Returns:
        The outlines in the order of the file.

    Raises:
        SourceError: missing, not text, or a line that is no outline of these classes in the image.
    """
    return tuple(_parse_outline(fields, classes=classes, where=where) for where, fields in _lines(path))


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


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line of a label file is, and its words."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not text; give a YOLO label file (.txt)") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line.split()


def _parse(fields: list[str], *, classes: int, where: str) -> Box:
    """One line with a box."""
    class_id, numbers = _numbers(fields, classes=classes, where=where, count=4)
    x, y, width, height = numbers
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    cut = _within(corners, where=f"{where}: the box")
    try:
        return Box(class_id, *cut)
    except ValueError as error:
        raise SourceError(f"{where}: {error}; mend the label") from error


def _parse_outline(fields: list[str], *, classes: int, where: str) -> Outline:
    """One line with an outline."""
    class_id, numbers = _numbers(fields, classes=classes, where=where, count=None)
    cut = _within(numbers, where=f"{where}: the outline")
    try:
        return Outline(class_id=class_id, corners=tuple(zip(cut[::2], cut[1::2], strict=True)))
    except ValueError as error:
        raise SourceError(f"{where}: {error}; mend the label") from error


def _numbers(fields: list[str], *, classes: int, where: str, count: int | None) -> tuple[int, list[float]]:
    """The class and the numbers of a line: ``count``, or else x and y of three corners at least."""
    try:
        class_id, numbers = int(fields[0]), [float(field) for field in fields[1:]]
    except ValueError:
        class_id, numbers = 0, []
    if len(numbers) != count if count else len(numbers) < 2 * 3 or len(numbers) % 2:
        form = "class x_centre y_centre width height" if count else "class x y x y x y ..."
        got = " ".join(fields[:_SHOWN]) + (" ..." if len(fields) > _SHOWN else "")
        raise SourceError(f"{where}: wanted '{form}', got '{got}'")
    if not 0 <= class_id < classes:
        raise SourceError(f"{where}: class {class_id} is not one of 0 to {classes - 1}; mend the label")
    return class_id, numbers


def _within(places: Sequence[float], *, where: str) -> list[float]:
    """Places in shares of the image, cut at its edges if they stick out by no more than rounding does."""
    if not all(-_OVERHANG <= place <= 1 + _OVERHANG for place in places):
        raise SourceError(
            f"{where} spans {', '.join(f'{place:.4g}' for place in places[:_SHOWN])}, outside the "
            "image's 0..1; YOLO labels are shares of its width and height, not pixels"
        )
    return [min(max(place, 0.0), 1.0) for place in places]
