"""Video files: decoded by PyAV to the form they are stored in, with their own times.

Damage is never silent. A damaged frame is not delivered, nor are the frames after it up to the
next key frame, which lean on it; the rest of the file is. A file that had damage, or that ends
before its header says, raises :class:`~streamfuse.errors.SourceTruncatedError` once, after its last
good frame.
"""

from __future__ import annotations

from pathlib import Path

import av

from streamfuse.clock import NS_PER_S
from streamfuse.errors import SourceError, SourceTruncatedError
from streamfuse.frames import ImageSpec, StreamName
from streamfuse.io.av_decode import GoodPictures
from streamfuse.io.av_pixels import from_av, spec_of
from streamfuse.io.source import SourceFrame, SourceInfo

__all__ = ["VideoSource"]


class VideoSource:
    """The first video stream of a file, frame by frame.

    Times start at 0 with the stream's first frame: containers pad the start differently, so the
    offset between two files is not in their headers but in ``sync.offset_ms``. A time that is
    missing or does not rise is replaced by the previous one plus one period. What the pixels become
    is told by :func:`streamfuse.io.av_pixels.spec_of`; an infrared stream in 4:2:0 stays 4:2:0.

    Raises:
        SourceError: not a readable video, a picture that is turned, or odd sides in 4:2:0.
    """

    def __init__(self, path: Path | str, *, stream: StreamName) -> None:
        self._path = Path(path)
        self._label = f"{stream}: {path}"
        self._taken = 0
        self._last_pts_ns: int | None = None
        self._ended = False
        self._start_ns = 0
        self._pictures = GoodPictures(self._path, self._label)
        try:
            self._first = self._pictures.next()
            self._info = self._describe()
        except SourceError:
            self.close()
            raise

    @property
    def info(self) -> SourceInfo:
        """Spec and rate; ``frame_count`` where the container has an index of all its frames."""
        return self._info

    @property
    def start_ns(self) -> int:
        """Time of the first frame on the file's own timeline, in nanoseconds; it counts as 0 here."""
        return self._start_ns

    def read(self) -> SourceFrame | None:
        """The next good frame, or None at the end.

        Raises:
            SourceTruncatedError: once, at the end of a damaged or cut file.
            SourceError: the file cannot be read on, or its picture changes in size or form.
        """
        taken = self._take()
        if taken is None:
            self._check_whole()
            return None
        picture, pts_ns = taken
        spec = self._spec(picture)
        if spec != self._info.spec:
            raise SourceError(
                f"{self._label}: the picture changes at frame {self._taken - 1} from "
                f"{_words(self._info.spec)} to {_words(spec)}; cut the file there"
            )
        return SourceFrame(image=from_av(picture, spec), pts_ns=pts_ns)

    def skip(self, count: int) -> None:
        """Decode and drop up to frame ``count``; beyond the end, the next read tells the end.

        Raises:
            ValueError: the source is past that frame already.
        """
        if count < self._taken:
            raise ValueError(f"cannot go back to frame {count}, {self._taken} were read")
        while self._taken < count and self._take() is not None:
            pass

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._first = None
        self._ended = True
        self._pictures.close()

    def _take(self) -> tuple[av.VideoFrame, int] | None:
        """The next picture with its time, counted as taken."""
        picture = self._first or self._pictures.next()
        self._first = None
        if picture is None:
            return None
        self._last_pts_ns = self._pts_ns(picture)
        self._taken += 1
        return picture, self._last_pts_ns

    def _pts_ns(self, picture: av.VideoFrame) -> int:
        period_ns = round(NS_PER_S / self._info.fps)
        earliest = 0 if self._last_pts_ns is None else self._last_pts_ns + 1
        if picture.pts is not None and picture.time_base:
            pts_ns = round((picture.pts - self._pictures.start_pts) * picture.time_base * NS_PER_S)
            if pts_ns >= earliest:
                return pts_ns
        return 0 if self._last_pts_ns is None else self._last_pts_ns + period_ns

    def _describe(self) -> SourceInfo:
        if self._first is None:
            raise SourceError(
                f"{self._label}: not one picture can be decoded; "
                "the file is cut short or damaged, copy it again"
            )
        if self._first.rotation:
            raise SourceError(
                f"{self._label}: the picture is stored turned by {self._first.rotation} degrees; "
                f"write it upright first (ffmpeg -i {self._path.name} -crf 12 out.mp4)"
            )
        spec = self._spec(self._first)
        self._start_ns = round(self._pictures.start_pts * (self._first.time_base or 0) * NS_PER_S)
        return SourceInfo(
            spec=spec, fps=self._pictures.fps, frame_count=self._pictures.promised_count, live=False
        )

    def _spec(self, picture: av.VideoFrame) -> ImageSpec:
        try:
            return spec_of(picture)
        except ValueError as error:
            width, height = picture.width, picture.height
            even = (width - width % 2, height - height % 2)
            raise SourceError(
                f"{self._label}: the picture is {width}x{height} and 4:2:0 video needs even sides; "
                f"crop it to {even[0]}x{even[1]} "
                f"(ffmpeg -i {self._path.name} -vf crop={even[0]}:{even[1]} out.mp4)"
            ) from error

    def _check_whole(self) -> None:
        """Raise, once, if the file held less than it promised."""
        if self._ended:
            return
        self._ended = True
        shortfall = self._shortfall()
        if shortfall:
            raise SourceTruncatedError(f"{self._label}: {shortfall}; copy the file again")

    def _shortfall(self) -> str | None:
        """What is missing, in words."""
        pictures = self._pictures
        count = pictures.promised_count
        frames = "frames" if count is None else f"of {count} frames"
        if pictures.healed or pictures.damaged > 1:
            return f"only {self._taken} {frames} are good, {pictures.damaged} are damaged"
        if pictures.damaged or (count is not None and self._taken < count):
            return f"ends after {self._taken} {frames}, the file is cut short"
        period_s = 1 / self._info.fps
        end_s = (self._start_ns + (self._last_pts_ns or 0)) / NS_PER_S + period_s
        # Tolerant by more than a period: the last frame of a variable rate may be a long one.
        if pictures.promised_s is not None and end_s + 1.5 * period_s < pictures.promised_s:
            return f"ends after {end_s:.2f} of {pictures.promised_s:.2f} s, the file is cut short"
        return None


def _words(spec: ImageSpec) -> str:
    width, height = spec.size_wh
    return f"{width}x{height} {spec.format}"
