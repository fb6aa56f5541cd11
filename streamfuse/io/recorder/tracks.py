"""The running encoder of one track, and which image of a fused frame it takes."""

from __future__ import annotations

from collections import deque
from typing import Final

from av.video.stream import VideoStream

from streamfuse.frames import FusedFrame, Image, Layer
from streamfuse.io.closing import Closing
from streamfuse.io.shelf import Track
from streamfuse.io.video.encoder import KEY_EVERY_S, VideoEncoder, VideoPacket
from streamfuse.io.video.encoders import LOSSLESS

__all__ = ["INDEX", "ORDER", "TrackEncoder", "image_of"]

INDEX: Final = "index"
"""The index, as the last thing to go without."""
ORDER: Final = (Track.RAW_INFRARED, Track.INFRARED, Track.VISIBLE, Track.FUSED)
"""The videos of a segment, the first to go without first."""
_OF_INFRARED: Final = frozenset({Track.INFRARED, Track.RAW_INFRARED})


class TrackEncoder(Closing):
    """Encodes the images of one track as long as they keep their form; each of the infrared only once.

    Args:
        track: Which one; the raw infrared is encoded lossless.
        fps: Nominal images per second.
        codec: As for :func:`streamfuse.io.video.encoders.pick_encoder`; not for the raw infrared.
        key_every_s: Seconds from one key packet to the next at most, at the nominal rate.
    """

    def __init__(self, track: Track, *, fps: float, codec: str, key_every_s: float = KEY_EVERY_S) -> None:
        self.track = track
        self._fps = fps
        self._codec = LOSSLESS if track is Track.RAW_INFRARED else codec
        self._key_every_s = key_every_s
        self._encoder: VideoEncoder | None = None
        self._template: VideoStream | None = None
        self._inside_ns: deque[int] = deque()
        self._last_seq: int | None = None

    @property
    def template(self) -> VideoStream:
        """What a file must know to hold the packets that came out last."""
        assert self._template is not None  # packets come first
        return self._template

    @property
    def codec(self) -> str | None:
        """Name of the encoder at work; None before the first image."""
        return None if self._encoder is None else self._encoder.choice.name

    @property
    def oldest_inside_ns(self) -> int | None:
        """Time of the oldest image whose packet has not come out yet."""
        return self._inside_ns[0] if self._inside_ns else None

    def is_another(self, image: Image) -> bool:
        """Whether ``image`` needs an encoder of its own."""
        return self._encoder is not None and self._encoder.spec != image.spec

    def encode(self, frame: FusedFrame, shown_ns: int, *, key: bool) -> list[VideoPacket]:
        """The packets that come out when the frame's image of this track goes in.

        Without such an image, and for an infrared image that is held and was encoded already, nothing
        goes in; where a file begins (``key``) a held one does.

        Args:
            frame: Its image must have the form of those before.
            shown_ns: Rises from frame to frame.
            key: Whether a file is to begin here.

        Raises:
            OutputError: the encoder does not take such images, or failed.
        """
        image = image_of(frame, self.track)
        is_held = self.track in _OF_INFRARED and frame.infrared_seq == self._last_seq
        if image is None or (is_held and not key):
            return []
        if self._encoder is None:
            self._encoder = VideoEncoder(
                image.spec, fps=self._fps, codec=self._codec, key_every_s=self._key_every_s
            )
            self._template = self._encoder.template
        self._last_seq = frame.infrared_seq
        self._inside_ns.append(shown_ns)
        return self._out(self._encoder.encode(image, shown_ns, key=key))

    def restart(self) -> list[VideoPacket]:
        """The packets that are still inside; the next image begins with another encoder.

        Raises:
            OutputError: the encoder failed.
        """
        encoder, self._encoder = self._encoder, None
        packets = [] if encoder is None else self._out(encoder.flush())
        self._inside_ns.clear()
        self._last_seq = None
        return packets

    def close(self) -> None:
        """Give the encoder up with what is inside."""
        if self._encoder is not None:
            self._encoder.close()
        self._encoder = None
        self._inside_ns.clear()
        self._last_seq = None

    def _out(self, packets: list[VideoPacket]) -> list[VideoPacket]:
        for _ in packets:
            self._inside_ns.popleft()
        return packets


def image_of(frame: FusedFrame, track: Track) -> Image | None:
    """The image of a fused frame that a track shows; None where the pair has none."""
    return frame.image if track is Track.FUSED else frame.layers.get(Layer(track.value))
