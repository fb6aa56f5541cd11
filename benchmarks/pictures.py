"""The pictures in docs/fusion.md, from the street that streamfuse draws itself: no third-party image in them.

python benchmarks/pictures.py
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _common import run

from streamfuse.config.rig import load_rig
from streamfuse.core.convert import image_to_rgb
from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.frames import Image, StreamName
from streamfuse.geometry.warp import Registration
from streamfuse.io.images import write_png
from streamfuse.io.sources import open_source

LIGHTS = ("day", "night", "smoke")
FRAME = 75
"""Three seconds into the scene, when people and cars are in view."""
SIZE_WH = (640, 480)


def still(light: str, stream: StreamName) -> Image:
    """One frame of the street."""
    uri = f"synthetic://street?seed=7&light={light}&size={SIZE_WH[0]}x{SIZE_WH[1]}"
    with closing(open_source(uri, stream=stream)) as source:
        source.skip(FRAME)
        frame = source.read()
    assert frame is not None, "the street has no end"
    return frame.image.copy()


def row(light: str, engine: FusionEngine, registration: Registration) -> npt.NDArray[np.uint8]:
    """Visible, infrared as the visible camera would see it, and both fused; side by side, RGB."""
    visible = still(light, StreamName.VISIBLE)
    infrared = registration.apply(still(light, StreamName.INFRARED), visible)
    (fused,) = engine.fuse_images([(visible, infrared)], Mode.STEADY)
    return np.hstack([image_to_rgb(image) for image in (visible, infrared, fused)])


def main() -> None:
    """Draw all lights, one below the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/street.png"))
    args = parser.parse_args()
    rig = load_rig("calibration/synthetic.yaml")
    registration = Registration.of(rig, visible_size_wh=SIZE_WH, infrared_size_wh=SIZE_WH)
    with FusionEngine.load() as engine:
        rows = [row(light, engine, registration) for light in LIGHTS]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    full = np.vstack(rows)
    halved = full.reshape(full.shape[0] // 2, 2, full.shape[1] // 2, 2, 3).mean(axis=(1, 3))
    write_png(args.out, Image.from_rgb(np.rint(halved).astype(np.uint8)))


if __name__ == "__main__":
    run(main)
