"""Frames coded for the wire, and back. One of the files that know PyAV.

============ ============================ ============================================
codec        what it is                   pictures
============ ============================ ============================================
``none``     the planes, back to back     all
``jpeg``     MJPEG, each frame alone      8-bit; RGB24 becomes 4:2:0 on its way
``h264``     video without B-frames       8-bit; RGB24 becomes 4:2:0 on its way
``lossless`` FFV1, each frame alone       all, to the bit
============ ============================ ============================================

A decoder is told the spec beforehand and never makes a larger picture than that.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from av.codec.codec import UnknownCodecError
from av.video.frame import PictureType

from streamfuse.core.convert import image_to_rgb
from streamfuse.core.packet import Codec, payload_max
from streamfuse.errors import BusError, MachineError, UsageError
from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.av_pixels import to_av

__all__ = ["Coded", "PacketDecoder", "PacketEncoder", "check_codec"]

_TIME_BASE: Final = Fraction(1, 90_000)
_MAX_KEY_INTERVAL_S: Final = 2
_EIGHT_BIT: Final = (Codec.JPEG, Codec.H264)
_ALIGNMENT: Final = 128
"""Pixels by which FFmpeg may make a picture's sides larger in memory."""
_LOSSLESS_THREADS: Final = 2
_EXTRA: Final = struct.Struct("<H")
"""Before each lossless frame: how long FFV1's own description is that precedes the frame."""
_FFV1_FORMAT: Final = MappingProxyType(
    {
        PixelFormat.GRAY8: "gray",
        PixelFormat.GRAY16: "gray16le",
        PixelFormat.YUV420P: "yuv420p",
        PixelFormat.RGB24: "bgr0",
    }
)
# The time is what matters: a node may be a small machine, and a frame is worth nothing when it is late.
_ENCODERS: Final = MappingProxyType(
    {
        Codec.JPEG: ("mjpeg", {"huffman": "default"}),
        Codec.H264: (
            "libx264",
            {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"},
        ),
        Codec.LOSSLESS: (
            "ffv1",
            {"level": "3", "slicecrc": "1", "coder": "rice", "context": "0"},
        ),
    }
)
_DECODERS: Final = MappingProxyType({Codec.JPEG: "mjpeg", Codec.H264: "h264", Codec.LOSSLESS: "ffv1"})

Coded = tuple[bytes, bool]
"""A payload, and whether it can be decoded without those before it."""


def check_codec(codec: Codec, spec: ImageSpec) -> None:
    """Make sure that pictures of ``spec`` can be coded like this.

    Raises:
        UsageError: they cannot.
    """
    width, height = spec.size_wh
    if codec in _EIGHT_BIT and spec.format is PixelFormat.GRAY16:
        raise UsageError(f"{codec} holds 8 bits and the camera gives 16; use --compress lossless or none")
    if codec in _EIGHT_BIT and (width % 2 or height % 2):
        raise UsageError(
            f"{codec} needs even sides, the camera gives {width}x{height}; use --compress lossless or none"
        )


class PacketEncoder:
    """Codes the frames of one consumer; its first frame is a key frame.

    Args:
        codec: How.
        spec: Of every image.
        fps: Nominal frames per second: rules how often video has a key frame.
        quality: For ``jpeg``, 1 (worst) to 100, as libjpeg counts it.

    Raises:
        UsageError: pictures of this spec cannot be coded like this.
        MachineError: the encoder is not there.
    """

    def __init__(self, codec: Codec, spec: ImageSpec, *, fps: float, quality: int = 90) -> None:
        check_codec(codec, spec)
        self._codec = codec
        self.spec = spec
        self._count = 0
        self._qscale = _qscale(quality)
        self._context = None if codec is Codec.NONE else self._open(fps)

    def encode(self, image: Image) -> Coded:
        """The payload of one frame.

        Raises:
            ValueError: an image of another spec.
            MachineError: the encoder fails.
        """
        if image.spec != self.spec:
            raise ValueError(f"frames of this encoder are {self.spec}, got {image.spec}")
        if self._context is None:
            payload = bytearray(self.spec.nbytes)
            image.copy_into(payload)
            return bytes(payload), True
        frame = _to_ffv1(image) if self._codec is Codec.LOSSLESS else _to_eight_bit(image, self._codec)
        frame.pts, frame.time_base = self._count, _TIME_BASE
        if self._count == 0:
            frame.pict_type = PictureType.I
        self._count += 1
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as error:
            raise MachineError(f"the {self._context.name} encoder fails: {error}") from error
        if len(packets) != 1:
            raise MachineError(f"the {self._context.name} encoder gave {len(packets)} packets for one frame")
        return self._prefix() + bytes(packets[0]), bool(packets[0].is_keyframe)

    def _open(self, fps: float) -> av.VideoCodecContext:
        name, options = _ENCODERS[self._codec]
        formats = {Codec.JPEG: "yuvj420p", Codec.H264: "yuv420p"}
        try:
            context = av.CodecContext.create(name, "w")
            assert isinstance(context, av.VideoCodecContext)
            context.width, context.height = self.spec.size_wh
            context.pix_fmt = formats.get(self._codec) or _FFV1_FORMAT[self.spec.format]
            context.time_base = _TIME_BASE
            context.framerate = Fraction(fps).limit_denominator(1001)
            context.gop_size = max(1, round(fps * _MAX_KEY_INTERVAL_S)) if self._codec is Codec.H264 else 1
            context.max_b_frames = 0
            _set_threads(context, self._codec)
            context.options = dict(options)
            if self._codec is Codec.JPEG:
                context.qmin = context.qmax = self._qscale
            context.open()
        except (av.FFmpegError, UnknownCodecError) as error:
            raise MachineError(
                f"the {name} encoder does not work here ({error}); use --compress none"
            ) from error
        return context

    def _prefix(self) -> bytes:
        """What a decoder has to know before an FFV1 frame, so that it can begin with any of them."""
        if self._codec is not Codec.LOSSLESS or self._context is None:
            return b""
        extra = self._context.extradata or b""
        return _EXTRA.pack(len(extra)) + extra


class PacketDecoder:
    """Decodes the frames of one consumer, all of one spec.

    Raises:
        ValueError: a picture that this codec cannot hold.
    """

    def __init__(self, codec: Codec, spec: ImageSpec) -> None:
        try:
            check_codec(codec, spec)
        except UsageError as error:
            raise ValueError(str(error)) from error
        self._codec = codec
        self._spec = spec
        self._context: av.VideoCodecContext | None = None
        self._extra = b""

    def decode(self, payload: bytes) -> Image:
        """The image in ``payload``, in memory of its own.

        Raises:
            BusError: it is damaged, or of another size or format than promised. Video can go on only with
                the next key frame.
        """
        if len(payload) > payload_max(self._spec):
            raise BusError(f"a frame has {len(payload)} bytes, expected at most {payload_max(self._spec)}")
        if self._codec is Codec.NONE:
            if len(payload) != self._spec.nbytes:
                raise BusError(f"a frame has {len(payload)} bytes, expected {self._spec.nbytes}")
            return Image.from_buffer(self._spec, bytearray(payload))
        frame = self._decode(payload)
        width, height = self._spec.size_wh
        if (frame.width, frame.height) != (width, height):
            raise BusError(f"a frame is {frame.width}x{frame.height}, expected {width}x{height}")
        if frame.is_corrupt:
            raise BusError("a frame is damaged")
        if self._codec is Codec.LOSSLESS:
            return _from_ffv1(frame, self._spec)
        return _from_eight_bit(frame, self._spec)

    def _decode(self, payload: bytes) -> av.VideoFrame:
        if self._codec is Codec.LOSSLESS:
            extra, payload = _split(payload)
            if self._context is None or extra != self._extra:
                self._context, self._extra = self._open(extra), extra
        context = self._context = self._context or self._open(b"")
        try:
            frames = context.decode(av.Packet(payload))
        except (av.FFmpegError, ValueError, MemoryError) as error:
            self._context = None
            raise BusError(f"a frame cannot be decoded ({error})") from error
        if len(frames) != 1:
            self._context = None
            raise BusError(f"expected one picture in a frame, got {len(frames)}")
        return frames[0]

    def _open(self, extra: bytes) -> av.VideoCodecContext:
        context = av.CodecContext.create(_DECODERS[self._codec], "r")
        assert isinstance(context, av.VideoCodecContext)
        width, height = self._spec.size_wh
        # FFmpeg allocates no picture beyond max_pixels, whatever a payload says of its size. Its own buffers
        # are aligned, so that the limit needs some room.
        limit = (width + _ALIGNMENT) * (height + _ALIGNMENT)
        options = {"max_pixels": str(limit), "err_detect": "crccheck+explode", "flags": "low_delay"}
        context.options = options
        _set_threads(context, self._codec)
        if self._codec is Codec.LOSSLESS:
            context.width, context.height = width, height
            context.extradata = extra
        return context


def _set_threads(context: av.VideoCodecContext, codec: Codec) -> None:
    """Lossless is slow and has slices to share; threads that take whole frames would hold them back."""
    context.thread_type = "SLICE"
    context.thread_count = _LOSSLESS_THREADS if codec is Codec.LOSSLESS else 1


def _qscale(quality: int) -> int:
    """FFmpeg's number, 2 (best) to 31, for a quality of libjpeg: both scale the tables of quantisation.

    libjpeg scales by ``200 - 2 * quality`` percent from 50 on and ``5000 / quality`` below (jcparam.c),
    FFmpeg by an eighth of its number.
    """
    percent = 200 - 2 * quality if quality >= 50 else 5_000 / quality
    return min(31, max(2, round(percent * 8 / 100)))


def _split(payload: bytes) -> tuple[bytes, bytes]:
    """FFV1's description of itself, and the frame."""
    if len(payload) <= _EXTRA.size:
        raise BusError(f"a lossless frame has {len(payload)} bytes, expected more than {_EXTRA.size}")
    end = _EXTRA.size + _EXTRA.unpack_from(payload)[0]
    if end >= len(payload):
        raise BusError(f"a lossless frame of {len(payload)} bytes says that it begins at byte {end}")
    return payload[_EXTRA.size : end], payload[end:]


def _to_ffv1(image: Image) -> av.VideoFrame:
    """The samples as they are; R, G and B in the order that FFV1 takes."""
    width, height = image.spec.size_wh
    frame = av.VideoFrame(width, height, _FFV1_FORMAT[image.spec.format])
    if image.spec.format is PixelFormat.RGB24:
        rows = _rows(frame.planes[0], np.dtype(np.uint8))[:height, : 4 * width].reshape(height, width, 4)
        rows[..., :3] = image.planes[0][..., ::-1]
        rows[..., 3] = 0
        return frame
    for plane, samples in zip(frame.planes, image.planes, strict=True):
        _rows(plane, image.spec.dtype)[: samples.shape[0], : samples.shape[1]] = samples
    return frame


def _from_ffv1(frame: av.VideoFrame, spec: ImageSpec) -> Image:
    if frame.format.name != _FFV1_FORMAT[spec.format]:
        raise BusError(f"a frame is {frame.format.name}, expected {_FFV1_FORMAT[spec.format]}")
    if spec.format is PixelFormat.RGB24:
        width, height = spec.size_wh
        rows = _rows(frame.planes[0], np.dtype(np.uint8))[:height, : 4 * width].reshape(height, width, 4)
        return Image(spec, (np.ascontiguousarray(rows[..., 2::-1]),))
    return _image(frame, spec)


def _to_eight_bit(image: Image, codec: Codec) -> av.VideoFrame:
    """4:2:0 for a lossy encoder. The range travels in the packet: here the samples are only numbers."""
    frame = to_av(image)
    if codec is Codec.H264:
        return frame
    jpeg = av.VideoFrame(frame.width, frame.height, "yuvj420p")
    for target, source in zip(jpeg.planes, frame.planes, strict=True):
        _rows(target, np.dtype(np.uint8))[:, : source.width] = _rows(source, np.dtype(np.uint8))[
            :, : source.width
        ]
    return jpeg


def _from_eight_bit(frame: av.VideoFrame, spec: ImageSpec) -> Image:
    if frame.format.name not in {"yuv420p", "yuvj420p"}:
        raise BusError(f"a frame is {frame.format.name}, expected yuv420p")
    if spec.format is not PixelFormat.RGB24:
        return _image(frame, spec)
    video = ImageSpec(
        format=PixelFormat.YUV420P, size_wh=spec.size_wh, range=ColorRange.LIMITED, matrix=spec.matrix
    )
    return Image(spec, (image_to_rgb(_image(frame, video)),))


def _image(frame: av.VideoFrame, spec: ImageSpec) -> Image:
    """The planes of ``spec``, copied; those of ``frame`` beyond them are neutral chroma."""
    planes = (
        _rows(plane, spec.dtype)[: shape[0], : shape[1]].copy()
        for plane, shape in zip(frame.planes, spec.plane_shapes, strict=False)
    )
    return Image(spec, tuple(planes))


def _rows(plane: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """All rows of a plane with their padding, as a view."""
    return np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
