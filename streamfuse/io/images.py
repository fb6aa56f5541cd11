"""Still images: read and written by OpenCV, listed in natural order, matched by stem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S
from streamfuse.errors import OutputError, SourceError
from streamfuse.frames import Image, ImageSpec, PixelFormat, StreamName
from streamfuse.io.source import SourceFrame, SourceInfo

__all__ = [
    "DEFAULT_FPS",
    "SUFFIXES",
    "ImageFolderSource",
    "StemMatch",
    "by_stem",
    "list_images",
    "match_stems",
    "read_gray",
    "read_image",
    "write_png",
]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""What counts as an image in a folder, in any case of letters."""

DEFAULT_FPS = 25.0
"""Of a folder of images, which has no rate of its own."""

_AS_STORED = cv2.IMREAD_UNCHANGED
_AS_GRAY = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, slots=True, kw_only=True)
class StemMatch:
    """Two folders matched by file name without suffix, in natural order."""

    pairs: tuple[tuple[Path, Path], ...]
    """(visible, infrared)."""
    only_visible: tuple[str, ...]
    """Stems that the infrared folder lacks."""
    only_infrared: tuple[str, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems both folders have."""
        return tuple(visible.stem for visible, _ in self.pairs)


class ImageFolderSource:
    """The images of a folder as a stream, in natural order of their names, at a steady rate.

    The visible stream is read as stored; the infrared stream as grey, unless it is ``colored``.

    Args:
        folder: Where the images are.
        stream: Which stream of the pair it is.
        stems: Only these, in this order: what :func:`match_stems` found in both folders.
        fps: Frames per second; frame number i has the time i / fps.
        colored: Read as stored, colours and all; None: as the stream asks for.

    Raises:
        SourceError: no image, a stem without an image, or a first image that cannot be read.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        stream: StreamName,
        stems: Sequence[str] | None = None,
        fps: float = DEFAULT_FPS,
        colored: bool | None = None,
    ) -> None:
        self._label = f"{stream}: {folder}"
        found = by_stem(list_images(Path(folder)))
        lacking = [stem for stem in stems or () if stem not in found]
        if lacking:
            raise SourceError(f"{self._label}: holds no image {lacking[0]}; add it or leave its partner out")
        self._paths = tuple(found[stem] for stem in (found if stems is None else stems))
        as_stored = stream is StreamName.VISIBLE if colored is None else colored
        self._read = read_image if as_stored else read_gray
        self._next = 0
        spec = self._read(self._paths[0]).spec
        self._info = SourceInfo(spec=spec, fps=fps, frame_count=len(self._paths), live=False)

    @property
    def info(self) -> SourceInfo:
        """Spec of the first image, which is that of all, and the number of images."""
        return self._info

    def read(self) -> SourceFrame | None:
        """The next image, or None after the last.

        Raises:
            SourceError: it cannot be read, or differs from the first in size or form.
        """
        if self._next >= len(self._paths):
            return None
        path = self._paths[self._next]
        image = self._read(path)
        if image.spec != self._info.spec:
            raise SourceError(
                f"{self._label}: {path.name} is {_words(image.spec)}, but {self._paths[0].name} is "
                f"{_words(self._info.spec)}, and a stream has one size and form; put it into another folder"
            )
        pts_ns = round(self._next * NS_PER_S / self._info.fps)
        self._next += 1
        return SourceFrame(image=image, pts_ns=pts_ns)

    def skip(self, count: int) -> None:
        """Go on at image number ``count``.

        Raises:
            ValueError: a negative number.
        """
        if count < 0:
            raise ValueError(f"image number must not be negative, got {count}")
        self._next = count

    def close(self) -> None:
        """Nothing is held open."""


def read_image(path: Path) -> Image:
    """Read an image as it is stored: RGB24, GRAY8 or GRAY16. An EXIF orientation is not applied.

    Raises:
        SourceError: missing, not an image, cut short, with alpha, or 16-bit colour.
    """
    pixels = _decode(path, _AS_STORED)
    if pixels.ndim == 2:
        return Image.from_gray(pixels)
    if pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        return Image.from_rgb(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))
    raise SourceError(
        f"{path}: has {pixels.shape[2]} channels of {pixels.dtype}, wanted grey or 8-bit RGB without alpha; "
        f"convert it (ffmpeg -i {path.name} -pix_fmt rgb24 {path.stem}-rgb.png)"
    )


def read_gray(path: Path) -> Image:
    """Read the luma of an image as GRAY8, or GRAY16 when it is stored with 16 bits: for infrared.

    Grey that is stored as RGB comes out as it was; an EXIF orientation is not applied.

    Raises:
        SourceError: missing, not an image or cut short.
    """
    return Image.from_gray(_decode(path, _AS_GRAY))


def write_png(path: Path, image: Image) -> None:
    """Write RGB24, GRAY8 or GRAY16 losslessly; the file appears whole or not at all.

    Raises:
        ValueError: a YUV420P image, which a PNG cannot hold as it is.
        OutputError: the file cannot be written.
    """
    if image.spec.format is PixelFormat.YUV420P:
        raise ValueError("a PNG holds grey or RGB, got yuv420p")
    pixels = image.planes[0]
    if image.spec.format is PixelFormat.RGB24:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)
    _, encoded = cv2.imencode(".png", pixels)  # the default level is the fastest that compresses
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(encoded.tobytes())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its space"
        ) from error


def list_images(folder: Path) -> tuple[Path, ...]:
    """The images of a folder in natural order (``2.png`` before ``10.png``); hidden files are left out.

    Raises:
        SourceError: no such folder, or no image in it.
    """
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed ({error.strerror}); check the path") from error
    images = sorted((path for path in paths if not path.name.startswith(".")), key=_natural)
    if not images:
        raise SourceError(f"{folder}: holds no image; give a folder with {' '.join(sorted(SUFFIXES))} files")
    return tuple(images)


def match_stems(visible: Path, infrared: Path) -> StemMatch:
    """Match the images of two folders by file name without suffix.

    Raises:
        SourceError: a folder is missing or empty, holds a stem twice, or no stem is in both.
    """
    left, right = by_stem(list_images(visible)), by_stem(list_images(infrared))
    pairs = tuple((path, right[stem]) for stem, path in left.items() if stem in right)
    if not pairs:
        raise SourceError(
            f"no image of {visible} has a partner of the same name in {infrared}: "
            f"{_examples(left)} against {_examples(right)}; name partners alike"
        )
    return StemMatch(
        pairs=pairs,
        only_visible=tuple(stem for stem in left if stem not in right),
        only_infrared=tuple(stem for stem in right if stem not in left),
    )


def _decode(path: Path, flags: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:  # so too for a PNG or JPEG that is cut short
        raise SourceError(
            f"{path}: is no whole image ({len(data)} bytes); copy it again or convert it to PNG"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SourceError(
            f"{path}: has samples of {pixels.dtype}, wanted 8 or 16 bits; convert it to 16-bit PNG"
        )
    return pixels  # type: ignore[return-value]  # the dtype was checked above


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by name without suffix, in the order given.

    Raises:
        SourceError: two have one stem, so that it is unclear which of them is meant.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise SourceError(
                f"{path.parent}: {found[path.stem].name} and {path.name} have one stem, so partners are "
                "unclear; move one of them away"
            )
        found[path.stem] = path
    return found


def _examples(images: Mapping[str, Path]) -> str:
    return ", ".join([path.name for path in images.values()][:2])


def _words(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    return f"{width}x{height} {spec.format}"


def _natural(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    """Sort key in which runs of digits count as numbers, before letters; the name itself breaks ties."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(False, int(part), "") if part.isdecimal() else (True, 0, part) for part in parts], path.name
