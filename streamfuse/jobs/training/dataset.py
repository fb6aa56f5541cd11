"""Image pairs for training, held in memory as 8-bit planes.

Reading is done once, at the start: a few hundred pairs are a few hundred megabytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfuse.config.training import PairFolder
from streamfuse.errors import SourceError
from streamfuse.frames import Image, PixelFormat, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.images import SUFFIXES, by_stem, read_image
from streamfuse.io.media import VideoSource

__all__ = ["Labeller", "Pair", "Plane", "load_pairs"]

_VIDEOS = {".mp4", ".mkv", ".avi", ".mov"}

Plane = npt.NDArray[np.uint8]
Labeller = Callable[[str, Plane, Plane], Plane]
"""Class ids of the pixels, HxW, from the stem, the visible image (HxWx3 RGB) and the infrared one (HxW)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One registered pair.

    Raises:
        SourceError: the planes differ in size, or are not HxW uint8.
    """

    name: str
    visible: Plane
    """Luma of the visible image, HxW uint8."""
    infrared: Plane
    """HxW uint8."""
    chroma: Plane | None = None
    """Cr and Cb of the visible image, 2xHxW uint8, 128 = none; only beside labels."""
    labels: Plane | None = None
    """Class ids, HxW uint8, 255 = unknown."""

    def __post_init__(self) -> None:
        if self.visible.shape != self.infrared.shape or self.visible.ndim != 2:
            raise SourceError(
                f"{self.name}: visible is {_size(self.visible)} but infrared is {_size(self.infrared)}; "
                "training needs registered pairs of one size"
            )
        if self.labels is not None and self.labels.shape != self.visible.shape:
            raise SourceError(
                f"{self.name}: the label map is {_size(self.labels)} but the images are "
                f"{_size(self.visible)}; labels need one id for every pixel"
            )


def load_pairs(folder: PairFolder, *, min_side: int, labeller: Labeller | None = None) -> list[Pair]:
    """Read every pair of a folder that its lists allow, sorted by name.

    Args:
        folder: where the pairs are and which of them to take.
        min_side: smallest side in pixels that a pair may have.
        labeller: gives every pair its labels; None for pairs without.

    Raises:
        SourceError: the folder, a listed name, a partner or a file is missing or unreadable, a pair is
            too small, or nothing is left; a labelled pair is a video.
    """
    visible, infrared = _by_stem(folder.path / "visible"), _by_stem(folder.path / "infrared")
    pairs: list[Pair] = []
    for stem in _chosen(folder, sorted(visible)):
        if stem not in infrared:
            raise SourceError(
                f"{visible[stem]} has no partner of the same stem in {folder.path / 'infrared'}"
            )
        pairs.extend(_read(visible[stem], infrared[stem], every=folder.every, labeller=labeller))
    small = [pair for pair in pairs if min(pair.visible.shape) < min_side]
    if small:
        raise SourceError(
            f"{folder.path}: {small[0].name} is {_size(small[0].visible)}, but crops are {min_side} px; "
            "lower `crop`"
        )
    if not pairs:
        raise SourceError(f"{folder.path}: no pairs are left after `names`, `exclude` and `skip_last`")
    return pairs


def _by_stem(folder: Path) -> dict[str, Path]:
    """Images and videos of a folder by stem."""
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is no folder; a training folder holds `visible` and `infrared` with equal stems"
        )
    return by_stem(path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES | _VIDEOS)


def _chosen(folder: PairFolder, stems: Sequence[str]) -> list[str]:
    """Stems that the lists of ``folder`` leave, in order of name."""
    if folder.names is not None:
        try:
            listed = set(folder.names.read_text(encoding="utf-8").split())
        except OSError as error:
            raise SourceError(f"cannot read the list of names {folder.names}: {error.strerror}") from error
        unknown = sorted(listed - set(stems))
        if unknown:
            raise SourceError(
                f"{folder.names} lists {unknown[0]!r}, which is not in {folder.path / 'visible'}"
            )
        stems = [stem for stem in stems if stem in listed]
    kept = [stem for stem in stems if stem not in folder.exclude]
    if folder.only_last:
        return kept[-folder.only_last :]
    return kept[: len(kept) - folder.skip_last]


def _read(visible: Path, infrared: Path, *, every: int, labeller: Labeller | None) -> Iterator[Pair]:
    """The pair of two stills, or every nth pair of two videos up to the end of the shorter one."""
    if visible.suffix.lower() in SUFFIXES:
        yield _still(visible, infrared, labeller)
        return
    if labeller is not None:
        raise SourceError(f"{visible} is a video, but labels belong to stills; put it into another folder")
    frames = zip(
        _frames(visible, StreamName.VISIBLE, every=every),
        _frames(infrared, StreamName.INFRARED, every=every),
        strict=False,
    )
    for index, (of_visible, of_infrared) in enumerate(frames):
        yield Pair(name=f"{visible.stem}#{index * every}", visible=of_visible, infrared=of_infrared)


def _still(visible: Path, infrared: Path, labeller: Labeller | None) -> Pair:
    """One pair of stills, with colour and labels if they are wanted."""
    image = read_image(visible)
    pair = Pair(name=visible.stem, visible=gray8(image), infrared=gray8(read_image(infrared)))
    if labeller is None:
        return pair
    rgb = _rgb(image, pair.visible)
    labels = labeller(pair.name, rgb, pair.infrared)
    return replace(pair, chroma=_chroma(rgb), labels=labels)


def _rgb(image: Image, gray: Plane) -> Plane:
    """HxWx3; a grey image three times."""
    if image.spec.format is PixelFormat.RGB24:
        return np.asarray(image.planes[0], np.uint8)
    return np.stack((gray, gray, gray), axis=2)


def _chroma(rgb: Plane) -> Plane:
    """Cr and Cb of :func:`streamfuse.nets.color.rgb_to_ycrcb` in 8 bits, 128 for none."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32), 2, 0)
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    differences = np.stack(((red - luma) * np.float32(0.713), (blue - luma) * np.float32(0.564)))
    chroma: Plane = np.rint(differences + 128).clip(0, 255).astype(np.uint8)
    return chroma


def _frames(path: Path, stream: StreamName, *, every: int) -> Iterator[Plane]:
    """Brightness of every nth frame of a video, from the first on."""
    with closing(VideoSource(path, stream=stream)) as source:
        for index in itertools.count():
            frame = source.read()
            if frame is None:
                return
            if index % every == 0:
                yield gray8(frame.image).copy()  # the plane may lie in the decoder's memory


def _size(plane: Plane) -> str:
    return "x".join(str(side) for side in reversed(plane.shape))
