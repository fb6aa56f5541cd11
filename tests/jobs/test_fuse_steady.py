"""Offline fusion of videos in steady mode, from the command line to the file."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SIZE_WH = (64, 48)
FRAMES = 8


def write_video(path: Path, *, seed: int) -> Path:
    """Soft patches of little contrast; every other frame has one dark patch."""
    width, height = SIZE_WH
    patches = np.random.default_rng(seed).uniform(100, 150, (height // 8, width // 8))
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(FRAMES):
            patches[2, 3] = 110 if number % 2 else 60
            gray = np.kron(patches, np.ones((8, 8))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(gray[..., None].repeat(3, 2), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def fused(folder: Path, mode: str) -> np.ndarray:
    """The grey frames of the result, (N, H, W)."""
    out = folder / f"{mode}.mp4"
    subprocess.run(
        [
            *(sys.executable, "-m", "streamfuse", "fuse", "--mode", mode, "--backend", "openvino"),
            *("--visible", folder / "v.mp4", "--infrared", folder / "i.mp4", "--out", out),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with av.open(out) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with a visible and an infrared video."""
    write_video(tmp_path / "v.mp4", seed=1)
    write_video(tmp_path / "i.mp4", seed=2)
    return tmp_path


def pumping(frames: np.ndarray) -> float:
    """Mean change of brightness per frame where the scene does not change."""
    return float(np.abs(np.diff(frames[:, -8:].mean(axis=(1, 2)))).mean())


def test_a_video_in_steady_mode(videos: Path) -> None:
    """It begins with the contrast of the published chain and does not pump as that does."""
    steady, reference = fused(videos, "steady"), fused(videos, "reference")
    assert steady.shape == (FRAMES, SIZE_WH[1], SIZE_WH[0])
    assert steady[0].std() == pytest.approx(reference[0].std(), rel=0.1)
    assert pumping(reference) > 10
    assert pumping(steady) < 2
