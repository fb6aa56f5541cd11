"""Scenes from folders of stills and from videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from streamfuse.config.training_detector import DetectorScenes, Guesses
from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import SourceError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.jobs.detecting.folders import folder_scenes
from streamfuse.jobs.detecting.rendering import Renderer

SIZE_WH = (64, 48)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    """Shows what the cameras show, without their fusion."""
    with FusionEngine.load() as engine:
        yield Renderer(engine, ("visible", "infrared"))


def stills(folder: Path, *stems: str) -> None:
    """Pairs of images with one person each."""
    width, height = SIZE_WH
    rng = np.random.default_rng(1)
    for stem in stems:
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        write_png(folder / "visible" / f"{stem}.png", Image.from_rgb(pixels))
        write_png(folder / "infrared" / f"{stem}.png", Image.from_gray(pixels[..., 0].copy()))
        (folder / "boxes").mkdir(exist_ok=True)
        (folder / "boxes" / f"{stem}.txt").write_text("0 0.5 0.5 0.25 0.5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs."""
    for name in ("visible", "infrared"):
        (tmp_path / name).mkdir()
    stills(tmp_path, "a", "b", "c")
    return tmp_path


def test_each_pair_of_the_list_is_a_scene_with_its_objects(folder: Path, renderer: Renderer) -> None:
    """In the order of the list; boxes become pixels, masks lie in their boxes."""
    (folder / "names.txt").write_text("c\na\n")
    wanted = DetectorScenes(path=folder, title="T", names=folder / "names.txt", boxes=(folder / "boxes",))
    scenes = list(folder_scenes(wanted, ("person", "bicycle", "car"), renderer))
    assert [scene.name for scene in scenes] == ["T-c", "T-a"]
    (thing,) = scenes[0].things
    assert thing.class_id == 0
    assert thing.box_xyxy == (24, 12, 40, 36)
    outside = thing.mask.copy()
    outside[12:37, 24:42] = False
    assert not outside.any()


@pytest.mark.parametrize(("missing", "words"), [("infrared/b.png", "'b'"), ("boxes/b.txt", "b.txt")])
def test_a_pair_without_partner_or_label_is_named(
    folder: Path, renderer: Renderer, missing: str, words: str
) -> None:
    """Nothing is left out silently."""
    (folder / missing).unlink()
    wanted = DetectorScenes(path=folder, boxes=(folder / "boxes",))
    with pytest.raises(SourceError, match=words):
        list(folder_scenes(wanted, ("person",), renderer))


def test_of_a_video_every_nth_pair_is_taken_or_those_with_labels_but_none_to_test_on(
    tmp_path: Path, renderer: Renderer
) -> None:
    """Ten frames, every second one, frames 3 to 6 left out; with label files, those that have one."""
    for name, level in (("visible", 40), ("infrared", 90)):
        (tmp_path / name).mkdir()
        with av.open(str(tmp_path / name / "clip.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height = SIZE_WH
            stream.pix_fmt = "yuv420p"
            for number in range(10):
                pixels = np.full((SIZE_WH[1], SIZE_WH[0], 3), level + number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            container.mux(stream.encode(None))
    left_out = {"clip": (3, 6)}
    guesses = Guesses(weights=tmp_path / "earlier.safetensors")
    wanted = DetectorScenes(path=tmp_path, title="V", every=2, leave_out=left_out, guesses=guesses)
    unsure = (1.0, 1.0, 9.0, 9.0)
    scenes = list(folder_scenes(wanted, ("person",), renderer, guess=lambda _: ((), (unsure,))))
    assert [scene.name for scene in scenes] == ["V-clip-0", "V-clip-2", "V-clip-8"]
    assert all(scene.unsure == (unsure,) for scene in scenes)
    for number in (1, 4, 9):
        (tmp_path / f"clip-{number}.txt").write_text("0 0.5 0.5 0.2 0.4")
    labelled = DetectorScenes(path=tmp_path, title="V", leave_out=left_out, boxes=(tmp_path,))
    scenes = list(folder_scenes(labelled, ("person",), renderer))
    assert [scene.name for scene in scenes] == ["V-clip-1", "V-clip-9"]
    assert all(len(scene.things) == 1 for scene in scenes)
