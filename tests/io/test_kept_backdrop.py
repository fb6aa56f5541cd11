"""The still scene is drawn once, and comes back from disk float by float."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from streamfuse.io.synthetic import kept
from streamfuse.io.synthetic.backdrop import Backdrop, Street3d, backdrop
from streamfuse.io.synthetic.cameras import Camera, infrared_camera, visible_camera
from streamfuse.io.synthetic.climate import CLIMATES
from streamfuse.io.synthetic.kept import KEPT, kept_backdrop

SIZE_WH = (96, 72)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder; gives where still scenes lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "streamfuse" / "streets"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Camera]:
    """The cameras for which something was drawn."""
    cameras: list[Camera] = []

    def draw(street: Street3d, camera: Camera, *, supersampling: int) -> Backdrop:
        cameras.append(camera)
        return backdrop(street, camera, supersampling=supersampling)

    monkeypatch.setattr(kept, "backdrop", draw)
    return cameras


def street(seed: int = 3, light: str = "day") -> Street3d:
    """The buildings of a small street."""
    return Street3d.from_seed(seed, CLIMATES[light])


def assert_same(one: Backdrop, other: Backdrop) -> None:
    """Both have the same arrays, bit for bit, and the same grid."""
    for field in fields(Backdrop):
        first, second = (np.asarray(getattr(each, field.name)) for each in (one, other))
        assert first.dtype == second.dtype or field.name == "coarse_wh"
        assert np.array_equal(first, second), field.name


def test_the_second_start_does_not_draw(cache: Path, drawn: list[Camera]) -> None:
    """What it reads is what was drawn."""
    camera = visible_camera(SIZE_WH)
    first = kept_backdrop(street(), camera, supersampling=2)
    again = kept_backdrop(street(), camera, supersampling=2)
    assert len(drawn) == len(list(cache.iterdir())) == 1
    assert again.coarse_wh == first.coarse_wh
    assert_same(first, again)


def test_another_street_light_camera_or_sampling_is_another_scene(cache: Path, drawn: list[Camera]) -> None:
    """None is taken for another."""
    camera = visible_camera(SIZE_WH)
    for scene, seen_by, sampling in (
        (street(), camera, 1),
        (street(), camera, 2),
        (street(4), camera, 1),
        (street(light="night"), camera, 1),
        (street(), infrared_camera(camera, (64, 48)), 1),
        (street(), infrared_camera(camera, (64, 48), turned_px=2.0), 1),
    ):
        kept_backdrop(scene, seen_by, supersampling=sampling)
    assert len(drawn) == len(list(cache.iterdir())) == 6


def test_a_damaged_scene_is_drawn_again(cache: Path, drawn: list[Camera]) -> None:
    """Cut, empty or something else: it costs time only."""
    camera = visible_camera(SIZE_WH)
    first = kept_backdrop(street(), camera, supersampling=1)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    for content in (
        whole[: len(whole) // 2],
        b"",
        b"not an archive",
        whole[:4000] + b"\0" * 99 + whole[4099:],
    ):
        path.write_bytes(content)
        assert_same(kept_backdrop(street(), camera, supersampling=1), first)
    assert len(drawn) == 5
    assert path.read_bytes() == whole


def test_few_scenes_are_kept_and_a_folder_that_cannot_be_used_is_no_error(
    cache: Path, drawn: list[Camera], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those used last; without a folder every start draws."""
    for seed in range(KEPT + 2):
        kept_backdrop(street(seed), visible_camera((32, 24)), supersampling=1)
    assert len(list(cache.iterdir())) == KEPT
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept_backdrop(street(), visible_camera((32, 24)), supersampling=1)
    assert len(drawn) == KEPT + 3
