"""Pictures for print: PNG files that know how large a pixel is on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL.Image import fromarray

from streamfuse.errors import OutputError

__all__ = ["write_printable"]


def write_printable(path: Path, gray: npt.NDArray[np.uint8], *, dpi: int) -> None:
    """Write HxW uint8 as a PNG of so many pixels per inch; the file appears whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        fromarray(gray).save(part, format="PNG", dpi=(dpi, dpi))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its space"
        ) from error
