"""Scenes on disk, as Ultralytics reads them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from streamfuse.config.training_detector import DetectorStreets
from streamfuse.engine.fusion import FusionEngine
from streamfuse.jobs.detecting.dataset import write_dataset
from streamfuse.jobs.detecting.rendering import Renderer
from streamfuse.jobs.detecting.scene import Scene, Thing
from streamfuse.jobs.detecting.streets import street_scenes

CLASSES = ("person", "bicycle", "car")


def scene(name: str, *, repeat: int = 1) -> Scene:
    """A grey scene with one car, in two renderings."""
    mask = np.zeros((64, 64), np.bool_)
    mask[8:40, 8:40] = True
    grey = np.full((64, 64, 3), 99, np.uint8)
    thing = Thing(class_id=2, box_xyxy=(8, 8, 40, 40), mask=mask)
    return Scene(name=name, renderings={"visible": grey, "fused": grey + 1}, things=(thing,), repeat=repeat)


def test_each_picture_of_a_scene_is_listed_as_often_as_it_is_to_be_shown(tmp_path: Path) -> None:
    """Every listed picture is there with its labels, and the description names the list."""
    written = write_dataset([scene("a"), scene("b", repeat=3)], tmp_path, classes=CLASSES, side_px=64)
    described = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    listed = Counter((tmp_path / described["train"]).read_text().split())
    assert {count for name, count in listed.items() if "/a-" in name} == {1}
    assert {count for name, count in listed.items() if "/b-" in name} == {3}
    for name in listed:
        assert (tmp_path / name).is_file()
        assert (
            (tmp_path / name.replace("images", "labels").replace(".png", ".txt")).read_text().startswith("2 ")
        )
    assert len(listed) == 2 * written.views
    assert written.objects == {"car": written.views}


@pytest.mark.parametrize(("cyclists", "expected"), [(0, 0), (8, 1)])
def test_streets_have_as_many_cyclists_as_asked_for(cyclists: int, expected: int) -> None:
    """At the second moment of a street with eight of them some have come near; with none there is none."""
    streets = DetectorStreets(seeds=(7, 1), lights=("day",), moments=2, every_s=5.0, cyclists=cyclists)
    with FusionEngine.load() as engine:
        scenes = list(street_scenes(streets, CLASSES, Renderer(engine, ("visible",))))
    assert [one.name for one in scenes] == ["street-7-0", "street-7-1"]
    bicycles = sum(CLASSES[thing.class_id] == "bicycle" for thing in scenes[1].things)
    assert min(bicycles, 1) == expected


def test_the_infrared_picture_of_a_street_lies_on_the_visible_one() -> None:
    """People are warm: within their masks the registered infrared picture is brighter than around them."""
    streets = DetectorStreets(seeds=(7, 1), lights=("night",), moments=1)
    with FusionEngine.load() as engine:
        (one,) = street_scenes(streets, CLASSES, Renderer(engine, ("infrared",)))
    infrared = one.renderings["infrared"][..., 0].astype(float)
    people = [thing.mask for thing in one.things if thing.class_id == 0 and thing.mask.sum() > 300]
    assert people
    for mask in people:
        shifted = [np.roll(mask, pixels, axis=1) for pixels in (-12, 12)]
        assert infrared[mask].mean() > max(infrared[other].mean() for other in shifted) + 10
