"""The pictures that a network is judged on: which of each folder, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from streamfuse.errors import SourceError
from streamfuse.frames import Image, PixelFormat
from streamfuse.io.images import match_stems, read_image

__all__ = ["match_images", "read_rgb"]

Rgb = npt.NDArray[np.uint8]


def match_images(folders: Sequence[Path], stems: Sequence[str] | None) -> list[dict[str, Path]]:
    """The wanted images of each folder by stem, in one order.

    Args:
        folders: one for each set.
        stems: only these images; None: all, which must be the same in each.

    Raises:
        SourceError: a folder lacks an image, or has one that others lack.
    """
    first = folders[0]
    found: list[dict[str, Path]] = []
    for folder in folders:
        match = match_stems(first, folder)
        paths = {path.stem: path for _, path in match.pairs}
        lacking = match.only_visible if stems is None else [s for s in stems if s not in paths]
        if lacking:
            raise SourceError(
                f"{folder}: holds no image {lacking[0]} ({len(lacking)} are missing); add it, or name the "
                "images to look at with --names"
            )
        if stems is None and match.only_infrared:
            raise SourceError(
                f"{folder}: holds {match.only_infrared[0]}, which {first} lacks, and all sets must be of the "
                "same images; take it out, or name the images to look at with --names"
            )
        found.append(paths if stems is None else {stem: paths[stem] for stem in stems})
    return found


def read_rgb(path: Path) -> Rgb:
    """HxWx3 uint8; grey is grey in all three channels.

    Raises:
        SourceError: it cannot be read, or has 16-bit samples.
    """
    image: Image = read_image(path)
    if image.spec.format is PixelFormat.GRAY16:
        raise SourceError(f"{path}: has 16-bit samples; bring it to 8 bits first, as fuse does")
    pixels = cast("Rgb", image.planes[0])
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
