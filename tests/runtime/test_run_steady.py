"""A whole run in steady mode."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from streamfuse.frames import Image
from streamfuse.io.images import write_png

STREAM = "fusion: {mode: stream}\n"


def flat_images(folder: Path, count: int) -> None:
    """Two folders of pictures of little contrast."""
    rng = np.random.default_rng(3)
    for number in range(count):
        patches = np.kron(rng.uniform(100, 150, (6, 8)), np.ones((8, 8))).astype(np.uint8)
        images = {
            "visible": Image.from_rgb(patches[..., None].repeat(3, 2)),
            "infrared": Image.from_gray(patches),
        }
        for stream, image in images.items():
            (folder / stream).mkdir(exist_ok=True)
            write_png(folder / stream / f"{number:04d}.png", image)


def contrasts(path: Path) -> list[float]:
    """The standard deviation of the brightness of each frame of a recording."""
    with av.open(path) as container:
        return [float(frame.to_ndarray(format="gray").std()) for frame in container.decode(video=0)]


def test_a_run_in_steady_mode_records_full_contrast(world) -> None:
    """The mode of pipelines, unless the file says otherwise; nothing is dropped; every frame is stretched."""
    flat_images(world.folder, 9)
    found = {}
    for mode, more in (("stream", STREAM), ("steady", "")):
        world.write_pipeline("every_frame", "visible", "infrared", more)
        code, words = world.run()
        assert code == 0, words
        assert world.summary["fused"] == 9
        found[mode] = contrasts(world.recorded()[-1])
        for path in (world.folder / "recordings").iterdir():
            path.unlink()
    assert len(found["steady"]) == 9
    assert min(found["steady"]) > 2 * max(found["stream"])
