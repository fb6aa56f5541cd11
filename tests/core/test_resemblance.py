"""One look at a registered pair: what it finds, and that it says nothing where nothing is sure."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfuse.clock import NS_PER_S
from streamfuse.core.bracket import BracketWatch
from streamfuse.core.resemblance import resemblance
from streamfuse.io.synthetic.spec import Light, StreetSpec
from streamfuse.io.synthetic.street import Street
from streamfuse.runtime.stages.bracket import Gray

MARGIN = 24


def seen_apart(visible: Gray, infrared: Gray, x_px: float, y_px: float) -> tuple[Gray, Gray]:
    """The pair with infrared moved, so that it has to go by (x, y) to fit; cut to what both see."""
    width, height = visible.shape[1], visible.shape[0]
    moved = cv2.warpAffine(infrared, np.float32([[1, 0, -x_px], [0, 1, -y_px]]), (width, height))
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    return visible[inner], np.asarray(moved, np.uint8)[inner]


def clip(path: Path) -> list[Gray]:
    """Every eighth frame of a video, as brightness."""
    video = cv2.VideoCapture(str(path))
    frames = []
    while video.grab():
        if int(video.get(cv2.CAP_PROP_POS_FRAMES)) % 8 == 1:
            frames.append(np.asarray(cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2GRAY), np.uint8))
    video.release()
    return frames


def street(light: Light, size_wh: tuple[int, int]) -> tuple[Gray, Gray]:
    """Luma, and infrared on the same grid."""
    scene = Street(StreetSpec(seed=9, light=light, size_wh=size_wh))
    luma = cv2.cvtColor(scene.visible(2.0), cv2.COLOR_RGB2GRAY)
    warm = cv2.warpPerspective(scene.infrared(2.0), scene.H_visible_from_infrared, size_wh)
    return np.asarray(luma, np.uint8), np.asarray(warm, np.uint8)


@pytest.mark.parametrize(
    ("light", "size_wh"), [(Light.DAY, (256, 192)), (Light.NIGHT, (256, 192)), (Light.SMOKE, (480, 360))]
)
def test_a_shift_is_found_to_a_pixel(light: Light, size_wh: tuple[int, int]) -> None:
    """Whatever the light and the size, and the images look less alike than where they fit."""
    pair = street(light, size_wh)
    fits = resemblance(*seen_apart(*pair, 0.0, 0.0))
    off = resemblance(*seen_apart(*pair, 7.0, -5.0))
    assert fits.misfit is not None
    assert off.misfit is not None
    assert (fits.misfit.x_px, fits.misfit.y_px) == pytest.approx((0.0, 0.0), abs=0.8)
    assert (off.misfit.x_px, off.misfit.y_px) == pytest.approx((7.0, -5.0), abs=0.8)
    assert fits.score > off.score


def test_images_that_have_nothing_in_common_say_nothing() -> None:
    """Noise against noise, a picture against nothing: no misfit, never a guess."""
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (480, 640), np.uint8) for _ in range(12)]
    assert all(resemblance(a, b).misfit is None for a, b in zip(noise[::2], noise[1::2], strict=True))
    flat = np.full((480, 640), 90, np.uint8)
    assert resemblance(noise[0], flat).misfit is None
    assert resemblance(flat, flat).score == 0.0


@pytest.mark.slow
def test_a_real_pair_of_cameras(data_dir: Path) -> None:
    """People in smoke: no bump as it is; moved by 14 pixels half-way, a bump within some looks."""
    folder = data_dir / "m3svd" / "video"
    pairs = list(
        zip(*(clip(folder / name / "0117_1605.mp4") for name in ("visible", "infrared")), strict=True)
    )
    still, bumped = BracketWatch(width_px=640), BracketWatch(width_px=640)
    half = len(pairs) // 2
    for second, pair in enumerate(pairs):
        still.see(resemblance(*seen_apart(*pair, 0.0, 0.0)).misfit, second * NS_PER_S)
        moved = seen_apart(*pair, 14.0 if second >= half else 0.0, 0.0)
        bumped.see(resemblance(*moved).misfit, second * NS_PER_S)
        assert still.bump is None
        assert second >= half or bumped.bump is None
    assert bumped.bump is not None
    assert bumped.bump.misfit.x_px == pytest.approx(14.0, abs=3.0)
    assert bumped.bump.began_ns <= (half + 8) * NS_PER_S


def test_a_look_is_cheap() -> None:
    """Once a second it may take a hundredth of the time; measured in time of the processor, with a margin."""
    noise = np.random.default_rng(2).integers(0, 256, (480, 640), np.uint8)
    pair = noise, np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0), np.uint8)
    resemblance(*pair)
    took = []
    for _ in range(5):
        began = time.thread_time()
        resemblance(*pair)
        took.append(time.thread_time() - began)
    assert min(took) < 0.03
