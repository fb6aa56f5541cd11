"""The engine's face: pairs of images in, fused images out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.errors import UsageError
from streamfuse.frames import ColorMatrix, ColorRange, Image, ImageSpec, PixelFormat

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def engine() -> Iterator[FusionEngine]:
    """The shipped network in float32."""
    with FusionEngine.load(backend="openvino", precision="float32") as engine:
        yield engine


def noise(*shape: int, seed: int = 0) -> Bytes:
    """Random samples."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def gray(width: int = 32, height: int = 24, seed: int = 1) -> Image:
    """An infrared image."""
    return Image.from_gray(noise(height, width, seed=seed))


def video(
    width: int = 32, height: int = 24, *, range: ColorRange = ColorRange.LIMITED, seed: int = 0
) -> Image:
    """A visible video frame with BT.709 chroma."""
    spec = ImageSpec(
        format=PixelFormat.YUV420P, size_wh=(width, height), range=range, matrix=ColorMatrix.BT709
    )
    luma = noise(height, width, seed=seed)
    if range is ColorRange.LIMITED:
        luma = (16 + luma * (219 / 255)).astype(np.uint8)
    return Image(spec, (luma, noise(height // 2, width // 2, seed=2), noise(height // 2, width // 2, seed=3)))


def test_the_python_face(engine: FusionEngine) -> None:
    """One image or a batch of them: the shape that comes in goes out, and the batch does not matter."""
    visible, infrared = noise(2, 24, 32, 3), noise(2, 24, 32)
    batch = engine.fuse(visible=visible, infrared=infrared)
    single = engine.fuse(visible=visible[1], infrared=infrared[1])
    assert (batch.shape, single.shape, batch.dtype) == (visible.shape, (24, 32, 3), np.uint8)
    assert np.abs(batch[1].astype(int) - single).max() <= 1
    assert engine.fuse(visible=visible[:0], infrared=infrared[:0]).shape == (0, 24, 32, 3)


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 9), (7, 1), (33, 17)])
def test_no_size_is_too_small_or_too_odd(engine: FusionEngine, size_wh: tuple[int, int]) -> None:
    """A single pixel has a fused pixel; odd sides stay odd."""
    width, height = size_wh
    visible = noise(height, width, 3)
    assert engine.fuse(visible=visible, infrared=noise(height, width)).shape == visible.shape


@pytest.mark.parametrize(
    ("visible", "infrared", "complaint"),
    [
        (noise(24, 32), noise(24, 32), r"visible must be HxWx3 or NxHxWx3, got \(24, 32\)"),
        (noise(24, 32, 3), noise(24, 31), r"infrared must be \(24, 32\) to fit visible, got \(24, 31\)"),
        (noise(24, 32, 3), noise(24, 32).astype(float), "infrared must be uint8, got float64"),
    ],
)
def test_arrays_that_do_not_fit(
    engine: FusionEngine, visible: Bytes, infrared: Bytes, complaint: str
) -> None:
    """Shapes and dtypes are checked, got and expected."""
    with pytest.raises(ValueError, match=complaint):
        engine.fuse(visible=visible, infrared=infrared)


@pytest.mark.parametrize("range", ColorRange)
def test_video_keeps_its_form_and_its_chroma(engine: FusionEngine, range: ColorRange) -> None:
    """A YUV frame returns as YUV with the same range and matrix and the very same chroma planes."""
    visible = video(range=range)
    (fused,) = engine.fuse_images([(visible, gray())])
    assert fused.spec == visible.spec
    assert fused.planes[1] is visible.planes[1]
    assert fused.planes[2] is visible.planes[2]
    assert (fused.planes[0] != visible.planes[0]).any()
    if range is ColorRange.LIMITED:
        assert fused.planes[0].min() >= 16
        assert fused.planes[0].max() <= 235


def test_limited_and_full_range_are_one_picture(engine: FusionEngine) -> None:
    """The same scene coded in either range gives the same fused brightness, to rounding."""
    full = video(range=ColorRange.FULL)
    spec = ImageSpec(
        format=PixelFormat.YUV420P, size_wh=(32, 24), range=ColorRange.LIMITED, matrix=ColorMatrix.BT709
    )
    limited = Image(spec, (np.rint(16 + full.planes[0] * (219 / 255)).astype(np.uint8), *full.planes[1:]))
    of_full, of_limited = engine.fuse_images([(full, gray()), (limited, gray())])
    difference = (of_limited.planes[0].astype(float) - 16) * (255 / 219) - of_full.planes[0]
    assert np.abs(difference).max() < 3
    assert np.abs(difference).mean() < 0.6


def test_grey_video_and_grey_rgb_are_one_picture(engine: FusionEngine) -> None:
    """A full-range YUV frame without colour fuses to the luma that its RGB form fuses to."""
    luma = noise(24, 32)
    flat = np.full((12, 16), 128, np.uint8)
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(32, 24))
    rgb = Image.from_rgb(luma[..., None].repeat(3, axis=2))
    of_yuv, of_rgb = engine.fuse_images([(Image(spec, (luma, flat, flat)), gray()), (rgb, gray())])
    assert np.abs(of_rgb.planes[0].astype(int) - of_yuv.planes[0][..., None]).max() <= 1


def test_mixed_batch_keeps_its_order(engine: FusionEngine) -> None:
    """Sizes and forms may mix; each result is the one its pair gets alone."""
    pairs = [
        (video(seed=4), gray()),
        (Image.from_rgb(noise(24, 32, 3)), gray(seed=5)),
        (video(48, 16), gray(48, 16)),
        (video(seed=6), gray(seed=7)),
        (gray(seed=8), gray(seed=9)),
    ]
    together = engine.fuse_images(pairs)
    for pair, fused in zip(pairs, together, strict=True):
        assert fused.spec == pair[0].spec
        (alone,) = engine.fuse_images([pair])
        assert np.abs(fused.planes[0].astype(int) - alone.planes[0]).max() <= 1
    assert engine.fuse_images([]) == []


@pytest.mark.parametrize("mode", Mode)
def test_without_infrared_the_visible_image_passes(engine: FusionEngine, mode: Mode) -> None:
    """There is nothing to fuse, so the very same image returns."""
    visible = video()
    fused = engine.fuse_images([(visible, None), (video(), gray())], mode)
    assert fused[0] is visible
    assert fused[1] is not visible


def test_infrared_may_come_in_any_form(engine: FusionEngine) -> None:
    """Grey as RGB or as full-range video fuses as grey does; 16-bit counts are stretched first."""
    plane = noise(24, 32, seed=1)
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(32, 24))
    flat = np.full((12, 16), 128, np.uint8)
    forms = [
        Image.from_gray(plane),
        Image.from_rgb(plane[..., None].repeat(3, 2)),
        Image(spec, (plane, flat, flat)),
    ]
    planes = [fused.planes[0] for fused in engine.fuse_images([(video(), form) for form in forms])]
    np.testing.assert_array_equal(planes[1], planes[0])
    np.testing.assert_array_equal(planes[2], planes[0])
    raw = Image.from_gray(plane.astype(np.uint16) * 8 + 30_000)
    (of_raw,) = engine.fuse_images([(video(), raw)])
    assert np.abs(of_raw.planes[0].astype(int) - planes[0]).mean() < 6


def test_reference_mode_is_rgb(engine: FusionEngine) -> None:
    """Whatever comes in, the published ending gives RGB that reaches from 0 to 255."""
    fused = engine.fuse_images(
        [(video(), gray()), (gray(), gray()), (Image.from_rgb(noise(24, 32, 3)), gray())], Mode.REFERENCE
    )
    for image in fused:
        assert image.spec.format is PixelFormat.RGB24
        assert (image.planes[0].min(), image.planes[0].max()) == (0, 255)
    assert fused[0].spec.matrix is ColorMatrix.BT709


def test_pairs_that_cannot_be_fused(engine: FusionEngine) -> None:
    """Other sizes, and 16-bit visible images, are answered with one sentence."""
    with pytest.raises(UsageError, match="the visible image is 32x24 and the infrared one 48x16; register"):
        engine.fuse_images([(video(), gray(48, 16))])
    with pytest.raises(UsageError, match="16-bit samples; are the streams exchanged"):
        engine.fuse_images([(Image.from_gray(np.zeros((24, 32), np.uint16)), gray())])


def test_engine_tells_what_it_runs_on(engine: FusionEngine) -> None:
    """Backend, device, precision and the reason are there to be shown."""
    assert (engine.backend, engine.precision) == ("openvino", "float32")
    assert engine.device
    assert engine.why == "openvino was asked for"
    assert engine.weights is not None
    assert engine.weights.card.architecture == "grdb-edge"


def test_it_says_what_it_is(engine: FusionEngine) -> None:
    """Network, weights, backend, device and precision, in a line."""
    expected = f"FusionEngine: grdb-edge (grdb-fine) on openvino ({engine.device}) in float32"
    assert repr(engine) == expected


@pytest.mark.parametrize("shape", [(0, 32, 3), (24, 0, 3), (2, 0, 32, 3)])
def test_images_without_pixels_are_refused(engine: FusionEngine, shape: tuple[int, ...]) -> None:
    """With what is wanted and what came."""
    visible = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match=r"visible must have pixels, .* got \("):
        engine.fuse(visible=visible, infrared=visible[..., 0])


def test_what_is_no_array_is_refused(engine: FusionEngine) -> None:
    """A list, or a picture of another library."""
    visible = noise(24, 32, 3)
    with pytest.raises(ValueError, match="infrared must be a numpy array, got list"):
        engine.fuse(visible=visible, infrared=visible[..., 0].tolist())
    with pytest.raises(ValueError, match="visible must be a numpy array, got NoneType"):
        engine.fuse(visible=None, infrared=visible[..., 0])  # type: ignore[arg-type]


def test_a_closed_engine_says_so() -> None:
    """It fuses nothing more, and closing it twice is no error."""
    engine = FusionEngine.load(backend="openvino", precision="float32")
    engine.close()
    engine.close()
    for use in (
        lambda: engine.fuse(visible=noise(24, 32, 3), infrared=noise(24, 32)),
        lambda: engine.fuse_images([(video(), gray())]),
        lambda: engine.warm_up(video().spec),
    ):
        with pytest.raises(UsageError, match="the fusion engine is closed; load another"):
            use()


def test_unknown_model_is_refused() -> None:
    """A model that is not in the registry is named."""
    with pytest.raises(UsageError, match="no fusion model is called 'grbd'"):
        FusionEngine.load("grbd")


_START = """
import sys
import numpy as np
from streamfuse.engine import FusionEngine
with FusionEngine.load(backend="openvino") as engine:
    engine.fuse(visible=np.zeros((24, 32, 3), np.uint8), infrared=np.zeros((24, 32), np.uint8))
print("torch" in sys.modules)
"""


def test_torch_is_loaded_once_in_the_life_of_a_cache(tmp_path: Path) -> None:
    """The first start converts the network; the next reads what it wrote."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", _START], env=environment, check=True, timeout=120, capture_output=True
        ).stdout
        for _ in range(2)
    ]
    assert said == [b"True\n", b"False\n"]
