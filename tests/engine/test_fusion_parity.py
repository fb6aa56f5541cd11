"""With the published weights we reproduce the published chain, on real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.engine.importing import import_published
from streamfuse.engine.store import WeightsFile
from streamfuse.frames import Image, ImageSpec, PixelFormat

Bytes = npt.NDArray[np.uint8]
State = Mapping[str, Tensor]

STEMS = ("00004N", "00081D", "00162D", "00431D", "00710N", "01102N")


def published_network(state: State, visible: Tensor, infrared: Tensor) -> Tensor:
    """The network as its paper and state dict have it, in plain torch functions."""

    def conv(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.weight"]
        return functional.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def leaky(x: Tensor) -> Tensor:
        return functional.leaky_relu(x, 0.2)

    def gradient(x: Tensor, name: str) -> Tensor:
        kernels = (state[f"{name}.sobelconv.conv{axis}.weight"] for axis in "xy")
        return sum(functional.conv2d(x, k, padding=1, groups=len(k)).abs() for k in kernels)  # type: ignore[return-value]  # no tensor sums to 0

    def block(x: Tensor, name: str) -> Tensor:
        dense = x
        for step in ("conv1", "conv2"):
            dense = torch.cat((dense, leaky(conv(dense, f"{name}.dense.{step}.conv"))), 1)
        residual = conv(gradient(x, name), f"{name}.convup.conv")
        return functional.leaky_relu(conv(dense, f"{name}.convdown.conv") + residual, 0.1)

    def encode(x: Tensor, stream: str) -> Tensor:
        x = leaky(conv(x, f"{stream}_conv.conv"))
        return block(block(x, f"{stream}_rgbd1"), f"{stream}_rgbd2")

    x = torch.cat((encode(visible, "vis"), encode(infrared, "inf")), 1)
    for layer in (4, 3, 2):
        x = leaky(conv(x, f"decode{layer}.conv"))
    return torch.tanh(conv(x, "decode1.conv")) / 2 + 0.5


def published_chain(state: State, rgb: Bytes, infrared: Bytes) -> Bytes:
    """From the images of a pair to the image that the authors' program saves."""
    red, green, blue = (torch.from_numpy(rgb[..., channel].astype(np.float32) / 255) for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    cr, cb = (red - luma) * 0.713, (blue - luma) * 0.564
    gray = torch.from_numpy(infrared.astype(np.float32) / 255)
    with torch.inference_mode():
        y = published_network(state, luma[None, None], gray[None, None])[0, 0]
    fused = torch.stack((y + 1.403 * cr, y - 0.714 * cr - 0.344 * cb, y + 1.773 * cb), -1).clamp(0, 1).numpy()
    fused = (fused - fused.min()) / (fused.max() - fused.min())
    return (fused * 255).astype(np.uint8)


def psnr_db(a: Bytes, b: Bytes) -> float:
    """Peak signal-to-noise ratio; equal images count as 120 dB."""
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 255**2 / 1e12)))


@pytest.fixture(scope="module")
def state(published_checkpoint: Path) -> State:
    """The raw state dict."""
    loaded: State = torch.load(published_checkpoint, weights_only=True)
    return loaded


@pytest.fixture(scope="module")
def weights(published_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeightsFile]:
    """The published network, imported as a user would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield import_published(published_checkpoint, "published")


@pytest.fixture(scope="module")
def engine(weights: WeightsFile) -> Iterator[FusionEngine]:
    """As ``auto`` opens it: the reference mode must be float32 whatever the streams get."""
    with FusionEngine.load(weights=str(weights.path)) as engine:
        yield engine


def read_msrs(data_dir: Path, stem: str) -> tuple[Bytes, Bytes]:
    """RGB and infrared of one MSRS pair, as OpenCV reads them."""
    (path,) = (data_dir / "msrs" / "visible").glob(f"{stem}.*")
    (other,) = (data_dir / "msrs" / "infrared").glob(f"{stem}.*")
    return cv2.imread(str(path))[..., ::-1].copy(), cv2.imread(str(other), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("stem", STEMS)
def test_reference_mode_reproduces_the_published_chain(
    stem: str, data_dir: Path, state: State, engine: FusionEngine
) -> None:
    """By day and by night the result is the published one but for a grey level here and there."""
    rgb, infrared = (array[160:320, 200:392].copy() for array in read_msrs(data_dir, stem))
    (ours,) = engine.fuse_images([(Image.from_rgb(rgb), Image.from_gray(infrared))], Mode.REFERENCE)
    assert psnr_db(ours.planes[0], published_chain(state, rgb, infrared)) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_whole_images_too(backend: str, data_dir: Path, state: State, weights: WeightsFile) -> None:
    """A full 640x480 pair in one piece, on each backend."""
    rgb, infrared = read_msrs(data_dir, STEMS[0])
    with FusionEngine.load(weights=str(weights.path), backend=backend) as engine:
        (ours,) = engine.fuse_images([(Image.from_rgb(rgb), Image.from_gray(infrared))], Mode.REFERENCE)
    assert psnr_db(ours.planes[0], published_chain(state, rgb, infrared)) >= 60


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_streams_stay_close_to_torch_float32(data_dir: Path, weights: WeightsFile, precision: str) -> None:
    """What OpenVINO makes of a real night scene is what torch makes of it in full precision."""
    rgb, infrared = (array[100:228, 300:460].copy() for array in read_msrs(data_dir, STEMS[3]))
    fused = []
    for backend, digits in (("torch", "float32"), ("openvino", precision)):
        with FusionEngine.load(weights=str(weights.path), backend=backend, precision=digits) as engine:
            fused.append(engine.fuse(visible=rgb, infrared=infrared))
    assert psnr_db(*fused) >= (60 if precision == "float32" else 50)


def test_video_and_rgb_fuse_to_one_brightness(data_dir: Path, engine: FusionEngine) -> None:
    """A day scene as full-range YUV fuses to the luma of its RGB fusion."""
    rgb, infrared = (array[100:228, 300:460].copy() for array in read_msrs(data_dir, STEMS[1]))
    luma, cr, cb = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=(160, 128))
    video = Image(
        spec, (luma, *(cv2.resize(plane, (80, 64), interpolation=cv2.INTER_AREA) for plane in (cb, cr)))
    )
    of_video, of_rgb = engine.fuse_images(
        [(pair, Image.from_gray(infrared)) for pair in (video, Image.from_rgb(rgb))]
    )
    assert psnr_db(of_video.planes[0], cv2.cvtColor(of_rgb.planes[0], cv2.COLOR_RGB2GRAY)) >= 45
