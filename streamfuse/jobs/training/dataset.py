"""Image pairs for training, held in memory as 8-bit luma and infrared, and the crops drawn from them.

Reading is done once, at the start: a few hundred pairs are a few hundred megabytes. Drawing is a pure
function of (seed, step, index in the batch), so a resumed run sees exactly the crops that an uninterrupted
run would have seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfuse.config.training import PairFolder
from streamfuse.errors import SourceError
from streamfuse.frames import StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.images import SUFFIXES, read_image
from streamfuse.io.media import VideoSource

__all__ = ["Pair", "draw_batch", "load_pairs"]

_VIDEOS = {".mp4", ".mkv", ".avi", ".mov"}

Plane = npt.NDArray[np.uint8]
Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One registered pair.

    Raises:
        SourceError: the two planes differ in size, or are not HxW uint8.
    """

    name: str
    visible: Plane
    """Luma of the visible image, HxW uint8."""
    infrared: Plane
    """HxW uint8."""

    def __post_init__(self) -> None:
        if self.visible.shape != self.infrared.shape or self.visible.ndim != 2:
            raise SourceError(
                f"{self.name}: visible is {_size(self.visible)} but infrared is {_size(self.infrared)}; "
                "training needs registered pairs of one size"
            )


def load_pairs(folder: PairFolder, *, min_side: int) -> list[Pair]:
    """Read every pair of a folder that its lists allow, sorted by name.

    Args:
        folder: where the pairs are and which of them to take.
        min_side: smallest side in pixels that a pair may have.

    Raises:
        SourceError: the folder, a listed name, a partner or a file is missing or unreadable, a pair is
            too small, or nothing is left.
    """
    visible, infrared = _by_stem(folder.path / "visible"), _by_stem(folder.path / "infrared")
    pairs: list[Pair] = []
    for stem in _chosen(folder, sorted(visible)):
        if stem not in infrared:
            raise SourceError(
                f"{visible[stem]} has no partner of the same stem in {folder.path / 'infrared'}"
            )
        pairs.extend(_read(visible[stem], infrared[stem], every=folder.every))
    small = [pair for pair in pairs if min(pair.visible.shape) < min_side]
    if small:
        raise SourceError(
            f"{folder.path}: {small[0].name} is {_size(small[0].visible)}, but crops are {min_side} px; "
            "lower `crop`"
        )
    if not pairs:
        raise SourceError(f"{folder.path}: no pairs are left after `names`, `exclude` and `skip_last`")
    return pairs


def draw_batch(pairs: Sequence[Pair], *, seed: int, step: int, batch: int, crop: int) -> Batch:
    """Cut ``batch`` random square crops, each turned by one of the eight symmetries of a square.

    Returns:
        Visible luma and infrared, each (batch, 1, crop, crop) float32 in 0..1. The same arguments give
        the same arrays.
    """
    crops = [_draw(pairs, np.random.default_rng((seed, step, index)), crop) for index in range(batch)]
    stacked = np.stack(crops).astype(np.float32) / np.float32(255)
    return stacked[:, :1], stacked[:, 1:]


def _draw(pairs: Sequence[Pair], rng: np.random.Generator, crop: int) -> Plane:
    """One crop of both streams, (2, crop, crop) uint8."""
    pair = pairs[int(rng.integers(len(pairs)))]
    height, width = pair.visible.shape
    top, left = rng.integers(height - crop + 1), rng.integers(width - crop + 1)
    window = np.s_[top : top + crop, left : left + crop]
    both: Plane = np.stack((pair.visible[window], pair.infrared[window]))
    both = np.rot90(both, int(rng.integers(4)), axes=(1, 2))
    return np.flip(both, axis=2) if rng.integers(2) else both


def _by_stem(folder: Path) -> dict[str, Path]:
    """Images and videos of a folder by stem."""
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is no folder; a training folder holds `visible` and `infrared` with equal stems"
        )
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES | _VIDEOS}


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


def _read(visible: Path, infrared: Path, *, every: int) -> Iterator[Pair]:
    """The pair of two stills, or every nth pair of two videos up to the end of the shorter one."""
    if visible.suffix.lower() in SUFFIXES:
        stills = [gray8(read_image(path)) for path in (visible, infrared)]
        yield Pair(name=visible.stem, visible=stills[0], infrared=stills[1])
        return
    frames = zip(
        _frames(visible, StreamName.VISIBLE, every=every),
        _frames(infrared, StreamName.INFRARED, every=every),
        strict=False,
    )
    for index, (of_visible, of_infrared) in enumerate(frames):
        yield Pair(name=f"{visible.stem}#{index * every}", visible=of_visible, infrared=of_infrared)


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
