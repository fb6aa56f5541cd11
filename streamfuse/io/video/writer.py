"""One video from one stream of images, for those who need no segments."""

from __future__ import annotations

from pathlib import Path

from streamfuse.errors import OutputError
from streamfuse.frames import Image, ImageSpec
from streamfuse.io.closing import Closing
from streamfuse.io.video.encoder import VideoEncoder
from streamfuse.io.video.encoders import EncoderChoice
from streamfuse.io.video.file import VideoFile

__all__ = ["VideoWriter"]


class VideoWriter(Closing):
    """Writes one MP4 or Matroska file, frame by frame, each at its own time.

    What becomes of the images is told by :class:`~streamfuse.io.video.encoder.VideoEncoder`. The file is
    readable while it is written, and a killed process costs its last second at most.

    Args:
        path: The file, ``.mp4`` or ``.mkv``; an older one is overwritten.
        spec: Of every image.
        fps: Nominal frames per second; it rules the bit rate and the length of the last frame.
        codec: As for :func:`streamfuse.io.video.encoders.pick_encoder`.

    Raises:
        OutputError: odd sides, 16-bit samples, or the file cannot be written.
        MachineError: no encoder works.
    """

    def __init__(self, path: Path, spec: ImageSpec, *, fps: float, codec: str = "auto") -> None:
        self._encoder = VideoEncoder(spec, fps=fps, codec=codec)
        self._file = VideoFile(path, self._encoder.template, in_place=True)

    @property
    def encoder(self) -> EncoderChoice:
        """The encoder at work."""
        return self._encoder.choice

    def write(self, image: Image, pts_ns: int) -> None:
        """Encode ``image``, to be shown ``pts_ns`` after the start of the file.

        Raises:
            ValueError: another spec, a time that does not rise from 0 on, or a closed writer.
            OutputError: the file cannot be written on, for example because the disk is full.
        """
        try:
            for packet in self._encoder.encode(image, pts_ns):
                self._file.write(packet)
        except OutputError:
            self._encoder.close()
            raise

    def close(self) -> None:
        """Finish the file; may be called twice.

        Raises:
            OutputError: the rest cannot be written.
        """
        for packet in self._encoder.flush():
            self._file.write(packet)
        self._file.close()
