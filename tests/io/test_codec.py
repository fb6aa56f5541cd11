"""Frames coded for the wire and decoded again, with the real encoders."""

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from streamfuse.core.packet import Codec, payload_max
from streamfuse.errors import BusError, UsageError
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.io.transport.codec import PacketDecoder, PacketEncoder

SIZE_WH = (96, 64)
ALL = tuple(PixelFormat)
EIGHT_BIT = (PixelFormat.GRAY8, PixelFormat.YUV420P, PixelFormat.RGB24)
FAITHFUL = (*itertools.product((Codec.NONE, Codec.LOSSLESS), ALL),)
LOSSY = (*itertools.product((Codec.JPEG, Codec.H264), EIGHT_BIT),)


def spec_of(kind: PixelFormat, size_wh: tuple[int, int] = SIZE_WH) -> ImageSpec:
    """Video is limited range, everything else full."""
    range_ = ColorRange.LIMITED if kind is PixelFormat.YUV420P else ColorRange.FULL
    return ImageSpec(format=kind, size_wh=size_wh, range=range_, matrix=ColorMatrix.BT709)


def noise(spec: ImageSpec, seed: int = 0) -> Image:
    """Every sample value there is, in every plane: the hardest picture for a lossless coder."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(spec.dtype).max
    return Image(
        spec,
        tuple(rng.integers(0, top, shape, spec.dtype, endpoint=True) for shape in spec.plane_shapes),
    )


def scene(spec: ImageSpec, shift: int = 0) -> Image:
    """A smooth picture that moves with ``shift``."""
    planes = []
    for index, shape in enumerate(spec.plane_shapes):
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        wave = 118 + 60 * np.sin((columns + shift) / 9.0) + 30 * np.cos(rows / 7.0 + index)
        plane = wave if len(shape) == 2 else np.stack([wave, wave * 0.8, wave * 0.6], axis=-1)
        planes.append(plane.astype(spec.dtype))
    return Image(spec, tuple(planes))


def psnr_db(one: Image, other: Image) -> float:
    """Over all samples."""
    a, b = (np.concatenate([plane.ravel().astype(np.float64) for plane in i.planes]) for i in (one, other))
    return float(10 * np.log10(255.0**2 / max(np.mean((a - b) ** 2), 1e-9)))


def equal(one: Image, other: Image) -> bool:
    """Whether two images are the same to the bit."""
    return one.spec == other.spec and all(map(np.array_equal, one.planes, other.planes))


@pytest.mark.parametrize(("codec", "kind"), FAITHFUL)
@pytest.mark.parametrize("size_wh", [SIZE_WH, (38, 22)])
def test_what_is_not_lossy_is_exact(codec: Codec, kind: PixelFormat, size_wh: tuple[int, int]) -> None:
    """Noise and smooth pictures come back to the bit, each frame by itself and within the declared size."""
    spec = spec_of(kind, size_wh)
    encoder = PacketEncoder(codec, spec, fps=30)
    for image in (noise(spec), scene(spec), noise(spec, 1)):
        payload, is_key = encoder.encode(image)
        assert is_key
        assert len(payload) <= payload_max(spec)
        assert equal(PacketDecoder(codec, spec).decode(payload), image)


@pytest.mark.parametrize("size_wh", [(31, 17), (1, 1)])
@pytest.mark.parametrize("kind", [PixelFormat.GRAY8, PixelFormat.GRAY16, PixelFormat.RGB24])
def test_odd_sides_are_exact_too(kind: PixelFormat, size_wh: tuple[int, int]) -> None:
    """Thermal cameras have odd sizes; lossless does not mind."""
    image = noise(spec_of(kind, size_wh))
    payload, _ = PacketEncoder(Codec.LOSSLESS, image.spec, fps=9).encode(image)
    assert equal(PacketDecoder(Codec.LOSSLESS, image.spec).decode(payload), image)


@pytest.mark.parametrize(("codec", "kind"), LOSSY)
def test_what_is_lossy_stays_close(codec: Codec, kind: PixelFormat) -> None:
    """A moving smooth scene keeps at least 36 dB and is smaller than its samples; range and matrix stay."""
    spec = spec_of(kind)
    encoder, decoder = PacketEncoder(codec, spec, fps=30), PacketDecoder(codec, spec)
    for shift in range(5):
        image = scene(spec, shift)
        payload, is_key = encoder.encode(image)
        assert is_key or shift > 0
        got = decoder.decode(payload)
        assert got.spec == spec
        assert psnr_db(got, image) > 36
        assert len(payload) < spec.nbytes


def test_a_higher_quality_is_closer_and_larger() -> None:
    """The quality of JPEG is what a person expects of it."""
    image = noise(spec_of(PixelFormat.YUV420P))
    sizes, ratios = [], []
    for quality in (30, 60, 95):
        payload, _ = PacketEncoder(Codec.JPEG, image.spec, fps=30, quality=quality).encode(image)
        sizes.append(len(payload))
        ratios.append(psnr_db(PacketDecoder(Codec.JPEG, image.spec).decode(payload), image))
    assert sizes == sorted(set(sizes))
    assert ratios == sorted(set(ratios))


def test_video_has_key_frames_so_that_one_may_join() -> None:
    """The first frame is one, and then every two seconds; between them, a decoder cannot begin."""
    spec = spec_of(PixelFormat.YUV420P)
    encoder = PacketEncoder(Codec.H264, spec, fps=5)
    coded = [encoder.encode(scene(spec, shift)) for shift in range(21)]
    assert [index for index, (_, is_key) in enumerate(coded) if is_key] == [0, 10, 20]
    late = PacketDecoder(Codec.H264, spec)
    with pytest.raises(BusError):
        late.decode(coded[3][0])
    assert late.decode(coded[10][0]).spec == spec


@pytest.mark.parametrize(
    ("codec", "spec", "complaint"),
    [
        (Codec.JPEG, spec_of(PixelFormat.GRAY16), "holds 8 bits and the camera gives 16"),
        (Codec.H264, spec_of(PixelFormat.GRAY16), "use --compress lossless or none"),
        (Codec.H264, spec_of(PixelFormat.GRAY8, (31, 16)), "needs even sides, the camera gives 31x16"),
    ],
)
def test_what_cannot_be_coded_is_refused_at_once(codec: Codec, spec: ImageSpec, complaint: str) -> None:
    """The message says what to use instead; a decoder refuses the same."""
    with pytest.raises(UsageError, match=complaint):
        PacketEncoder(codec, spec, fps=30)
    with pytest.raises(ValueError, match=complaint):
        PacketDecoder(codec, spec)


def test_an_encoder_takes_one_kind_of_picture() -> None:
    """A camera that changes needs a new encoder, and a decoder that is told so."""
    encoder = PacketEncoder(Codec.JPEG, spec_of(PixelFormat.GRAY8), fps=30)
    with pytest.raises(ValueError, match="frames of this encoder are"):
        encoder.encode(noise(spec_of(PixelFormat.GRAY8, (64, 64))))


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.H264])
def test_a_picture_that_is_larger_than_promised_is_refused(codec: Codec) -> None:
    """Whatever a payload says of its size: nothing larger is allocated, and nothing smaller shown."""
    small, large = spec_of(PixelFormat.YUV420P), spec_of(PixelFormat.YUV420P, (1920, 1088))
    for sent, told in ((large, small), (small, large)):
        payload, _ = PacketEncoder(codec, sent, fps=30).encode(scene(sent))
        with pytest.raises(BusError, match=r"cannot be decoded|expected"):
            PacketDecoder(codec, told).decode(payload)


def test_a_picture_of_another_format_is_refused() -> None:
    """A grey JPEG or a 4:4:4 one is not what the spec promised."""
    spec = spec_of(PixelFormat.YUV420P)
    with pytest.raises(BusError, match="a frame is yuvj444p, expected yuv420p"):
        PacketDecoder(Codec.JPEG, spec).decode(jpeg_of("yuvj444p"))
    gray = PacketEncoder(Codec.LOSSLESS, spec_of(PixelFormat.GRAY16), fps=30).encode(
        noise(spec_of(PixelFormat.GRAY16))
    )[0]
    with pytest.raises(BusError, match="expected yuv420p"):
        PacketDecoder(Codec.LOSSLESS, spec).decode(gray)


def jpeg_of(pix_fmt: str) -> bytes:
    """One JPEG of another kind."""
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = SIZE_WH
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 30)
    frame = av.VideoFrame(*SIZE_WH, pix_fmt)
    frame.pts = 0
    return bytes(context.encode(frame)[0])


def damaged(payload: bytes) -> Iterator[bytes]:
    """Cut, empty, and with a burst of 10 % of its bytes turned over."""
    yield b""
    yield payload[: len(payload) // 2]
    start = len(payload) // 3
    burst = bytes(byte ^ 0xA5 for byte in payload[start : start + len(payload) // 10 + 1])
    yield payload[:start] + burst + payload[start + len(burst) :]


@pytest.mark.parametrize(("codec", "kind"), [*FAITHFUL, *LOSSY])
def test_a_damaged_payload_is_an_error_of_ours_or_a_picture(codec: Codec, kind: PixelFormat) -> None:
    """Nothing crashes, and the next key frame is decoded as if nothing had been."""
    spec = spec_of(kind)
    image = scene(spec)
    payload, _ = PacketEncoder(codec, spec, fps=30).encode(image)
    decoder = PacketDecoder(codec, spec)
    for bad in damaged(payload):
        with contextlib.suppress(BusError):
            assert decoder.decode(bad).spec == spec
    assert decoder.decode(payload).spec == spec


def test_a_payload_longer_than_a_frame_can_be_is_not_looked_at() -> None:
    """The bound comes from the spec."""
    spec = spec_of(PixelFormat.GRAY8)
    with pytest.raises(BusError, match=f"expected at most {payload_max(spec)}"):
        PacketDecoder(Codec.JPEG, spec).decode(bytes(payload_max(spec) + 1))
    with pytest.raises(BusError, match=f"expected {spec.nbytes}"):
        PacketDecoder(Codec.NONE, spec).decode(bytes(spec.nbytes - 1))
