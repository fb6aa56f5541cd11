"""What a calibration looks at: stills, folders, videos and cameras, as pictures or as pairs of them.

A location is an image, a folder of images, a video, any URI that a pipeline takes, or a pipeline file, whose
own block for the stream is used then, with all its options.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.config.pipeline import load_pipeline
from streamfuse.config.sources import InfraredSource, SourceConfig, VisibleSource
from streamfuse.errors import SourceError, SourceTruncatedError, UsageError
from streamfuse.frames import Image, PixelFormat, StreamName
from streamfuse.geometry.gray import gray8
from streamfuse.io.by_time import pair_by_time
from streamfuse.io.cameras.camera_news import CameraFrame
from streamfuse.io.images import SUFFIXES, list_images, match_stems, read_image
from streamfuse.io.source import Source, SourceFrame
from streamfuse.io.sources import is_live, open_source, redact
from streamfuse.jobs.calibrating.live_view import LiveView

__all__ = ["Picture", "PicturePair", "is_camera", "read_pairs", "read_pictures", "source_of"]

T = TypeVar("T")
OnUnreadable = Callable[[StreamName, str, str], None]
"""Told the camera, the name and the reason of a still that cannot be read."""
Counts = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_LOG = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
"""Between two pictures of a camera, and of a recording of unknown length."""
_PATIENCE_S: Final = 3600.0
"""A camera that is silent is given up long before, by :class:`LiveView`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """One picture, as it was stored or sent."""

    name: str
    """File name, or number and time of a frame: for messages."""
    image: Image
    pts_ns: int | None = None
    """Time in its recording; None for stills."""

    @property
    def counts(self) -> Counts:
        """HxW: raw uint16 counts where the picture has 16 bits, else full-range uint8 luma."""
        if self.image.spec.format is PixelFormat.GRAY16:
            return self.image.planes[0]
        return gray8(self.image)

    @property
    def gray(self) -> npt.NDArray[np.uint8]:
        """HxW uint8, full range; 16-bit counts are stretched between two percentiles."""
        return gray8(self.image)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.spec.size_wh


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PicturePair:
    """What both cameras saw at one moment."""

    visible: Picture
    infrared: Picture

    @property
    def name(self) -> str:
        """The visible picture's."""
        return self.visible.name


def source_of(location: str, stream: StreamName) -> SourceConfig:
    """The source that a location names; of a pipeline file its block for the stream.

    Raises:
        ConfigError: mistakes in the pipeline file.
    """
    if Path(location).suffix.lower() in {".yaml", ".yml"}:
        sources = load_pipeline(Path(location)).sources
        return sources.visible if stream is StreamName.VISIBLE else sources.infrared
    return VisibleSource(uri=location) if stream is StreamName.VISIBLE else InfraredSource(uri=location)


def is_camera(location: str, stream: StreamName) -> bool:
    """Whether a location is live: pictures come in its own time."""
    return is_live(source_of(location, stream).uri)


def read_pictures(
    location: str, stream: StreamName, *, most: int = 60, on_unreadable: OnUnreadable | None = None
) -> Iterator[Picture]:
    """At most ``most`` pictures: spread evenly over what is there, or one a second of a live camera.

    Args:
        location: Where they are.
        stream: Which camera they are of.
        most: How many.
        on_unreadable: Told of stills that cannot be read, which are left out; None: such a still is an error.

    Raises:
        SourceError: nothing there, unreadable, or a camera that is silent.
        ConfigError: mistakes in a pipeline file.
    """
    config = source_of(location, stream)
    stills = _stills(config.uri)
    if stills is not None:
        for path in _spread(stills, most):
            if (picture := _still(path, stream, path.name, on_unreadable)) is not None:
                yield picture
    elif is_live(config.uri):
        with LiveView({stream: config}, clock=SystemClock()) as view:
            for frames in _live(view, most):
                yield _picture(frames[stream])
    else:
        with contextlib.closing(open_source(config, stream=stream)) as source:
            yield from map(_picture, _recorded(source, most))


def read_pairs(
    visible: str, infrared: str, *, most: int = 60, on_unreadable: OnUnreadable | None = None
) -> Iterator[PicturePair]:
    """Pairs of pictures: images of the same name, frames nearest in time, or what two cameras see now.

    Args:
        visible: Where the visible pictures are.
        infrared: Where the infrared ones are.
        most: How many pairs.
        on_unreadable: As for :func:`read_pictures`; the whole pair is left out.

    Raises:
        SourceError: nothing there, unreadable, nothing that belongs together, or a silent camera.
        UsageError: two locations of different kinds.
        ConfigError: mistakes in a pipeline file.
    """
    both = source_of(visible, StreamName.VISIBLE), source_of(infrared, StreamName.INFRARED)
    kinds = [_kind(config.uri) for config in both]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"visible is {kinds[0]} and infrared is {kinds[1]} ({redact(both[0].uri)} and "
            f"{redact(both[1].uri)}); give two of one kind"
        )
    match kinds[0]:
        case "an image":
            yield from _still_pair(Path(both[0].uri), Path(both[1].uri), on_unreadable)
        case "a folder of images":
            matched = match_stems(Path(both[0].uri), Path(both[1].uri))
            if lonely := matched.only_visible + matched.only_infrared:
                _LOG.warning("%d pictures have no partner of the same name: %s", len(lonely), lonely[0])
            for paths in _spread(matched.pairs, most):
                yield from _still_pair(*paths, on_unreadable)
        case "a camera":
            with LiveView(
                {StreamName.VISIBLE: both[0], StreamName.INFRARED: both[1]}, clock=SystemClock()
            ) as view:
                for frames in _live(view, most):
                    yield _pair(frames[StreamName.VISIBLE], frames[StreamName.INFRARED])
        case _:
            yield from _recorded_pairs(*both, most=most)


def _recorded_pairs(visible: SourceConfig, infrared: SourceConfig, *, most: int) -> Iterator[PicturePair]:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(open_source(visible, stream=StreamName.VISIBLE)))
        second = stack.enter_context(contextlib.closing(open_source(infrared, stream=StreamName.INFRARED)))
        max_skew_ns = round(NS_PER_S / min(first.info.fps, second.info.fps) / 2)
        endless = first.info.frame_count is None and second.info.frame_count is None
        readers = _strided_readers(first, second, most) if endless else (_Tolerant(first), _Tolerant(second))
        matched = pair_by_time(*readers, max_skew_ns=max_skew_ns)
        pairs = ((left, right) for left, right in matched if right is not None)
        count = 0
        for left, right in pairs if endless else _sampled(pairs, first, most):
            count += 1
            yield _pair(left, right)
        if not count:
            raise SourceError(
                f"no frame of {redact(visible.uri)} has a partner in {redact(infrared.uri)} at its time; "
                "are they of one recording?"
            )


class _Tolerant:
    """A recording up to where it is cut, with a warning: what was read before is as good as ever."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self) -> SourceFrame | None:
        try:
            return self._source.read()
        except SourceTruncatedError as error:
            _LOG.warning("%s; the frames before that are used", error)
            return None


class _Reader:
    """An iterator as something to read from."""

    def __init__(self, frames: Iterator[SourceFrame]) -> None:
        self._frames = frames

    def read(self) -> SourceFrame | None:
        return next(self._frames, None)


def _recorded(source: Source, most: int) -> Iterator[SourceFrame]:
    if source.info.frame_count is None:
        return _at(source, (_place(source, second) for second in range(most)))
    return _sampled(_frames(source), source, most)


def _place(source: Source, second: int) -> int:
    """The number of the frame at so many times the interval between two pictures."""
    return round(second * _EVERY_S * source.info.fps)


def _at(source: Source, places: Iterable[int]) -> Iterator[SourceFrame]:
    """The frames of these numbers; a scene does not draw those between them."""
    reader = _Tolerant(source)
    for place in places:
        source.skip(place)
        if (frame := reader.read()) is None:
            return
        yield frame


def _strided_readers(visible: Source, infrared: Source, most: int) -> tuple[_Reader, _Reader]:
    """One visible frame a second, and the infrared frames about its time, however late these begin."""
    lefts = _recorded(visible, most)
    head, first = next(lefts, None), _Tolerant(infrared).read()
    if head is None or first is None:
        return _Reader(iter(())), _Reader(iter(()))
    late = round((head.pts_ns - first.pts_ns) / NS_PER_S * infrared.info.fps)
    near = {_place(infrared, second) + late + step for second in range(most) for step in (-1, 0, 1)}
    rights = _at(infrared, sorted(place for place in near if place > 0))
    return _Reader(chain((head,), lefts)), _Reader(chain((first,), rights))


def _frames(source: Source) -> Iterator[SourceFrame]:
    reader = _Tolerant(source)
    while (frame := reader.read()) is not None:
        yield frame


def _sampled(items: Iterator[T], source: Source, most: int) -> Iterator[T]:
    """Up to ``most``, spread over a recording of known length; else one a second."""
    count, fps = source.info.frame_count, source.info.fps
    step = max(1.0, fps * _EVERY_S if count is None else count / most)
    taken = 0
    for place, item in enumerate(items):
        if taken < most and place >= round(taken * step):
            taken += 1
            yield item
        if taken >= most:
            return


def _live(view: LiveView, most: int) -> Iterator[dict[StreamName, CameraFrame]]:
    last_ns: int | None = None
    taken = 0
    while taken < most and (frames := view.next(_PATIENCE_S)) is not None:
        newest_ns = max(frame.capture_ns for frame in frames.values())
        if last_ns is None or newest_ns - last_ns >= _EVERY_S * NS_PER_S:
            last_ns = newest_ns
            taken += 1
            yield frames


def _kind(uri: str) -> str:
    if is_live(uri):
        return "a camera"
    path = Path(uri)
    if path.suffix.lower() in SUFFIXES:
        return "an image"
    return "a folder of images" if path.is_dir() else "a recording"


def _stills(uri: str) -> Sequence[Path] | None:
    """The images that a location names; None if it is a stream."""
    match _kind(uri):
        case "an image":
            return (Path(uri),)
        case "a folder of images":
            return list_images(Path(uri))
        case _:
            return None


def _spread(items: Sequence[T], most: int) -> Iterator[T]:
    """At most ``most`` of them, evenly."""
    step = max(1.0, len(items) / most)
    if step > 1:
        _LOG.warning("%d pictures are there, %d of them are used, spread evenly", len(items), most)
    return (items[int(place * step)] for place in range(min(most, len(items))))


def _still(path: Path, stream: StreamName, name: str, on_unreadable: OnUnreadable | None) -> Picture | None:
    """None if it cannot be read, and that was told under a name."""
    try:
        return Picture(name=path.name, image=read_image(path))
    except SourceError as error:
        if on_unreadable is None:
            raise
        on_unreadable(stream, name, str(error).removeprefix(f"{path}: "))
        return None


def _still_pair(visible: Path, infrared: Path, on_unreadable: OnUnreadable | None) -> Iterator[PicturePair]:
    """One pair, or none if a picture of it cannot be read."""
    first = _still(visible, StreamName.VISIBLE, visible.name, on_unreadable)
    second = _still(infrared, StreamName.INFRARED, visible.name, on_unreadable)
    if first is not None and second is not None:
        yield PicturePair(visible=first, infrared=second)


def _pair(visible: SourceFrame | CameraFrame, infrared: SourceFrame | CameraFrame) -> PicturePair:
    return PicturePair(visible=_picture(visible), infrared=_picture(infrared))


def _picture(frame: SourceFrame | CameraFrame) -> Picture:
    return Picture(name=_moment(frame.pts_ns), image=frame.image, pts_ns=frame.pts_ns)


def _moment(pts_ns: int) -> str:
    return f"{pts_ns / NS_PER_S:.2f} s"
