"""Rig files that are written and read again."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamfuse.config.rig import CameraConfig, DenseConfig, MadeBy, PlaneConfig, RigConfig, load_rig
from streamfuse.errors import ConfigError, OutputError
from streamfuse.io.rig_file import read_rig_config, write_rig_config

FINITE = st.floats(-1e6, 1e6)
POSITIVE = st.floats(1e-3, 1e6)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
CENTRE = st.floats(-2, 4)
"""In a picture of two pixels, or its size beside it."""
LENSES = st.one_of(
    st.fixed_dictionaries(
        {
            "model": st.just("pinhole"),
            "fx": POSITIVE,
            "fy": POSITIVE,
            "cx": CENTRE,
            "cy": CENTRE,
            "distortion": st.sampled_from([0, 4, 5, 8, 12, 14]).flatmap(lambda n: st.tuples(*[FINITE] * n)),
        }
    ),
    st.fixed_dictionaries(
        {"model": st.just("fisheye"), "fx": POSITIVE, "fy": POSITIVE, "cx": CENTRE, "cy": CENTRE}
    ),
)
MADE_BY = st.fixed_dictionaries(
    {},
    optional={
        "tool": TEXT,
        "date": TEXT,
        "command": TEXT,
        "images_used": st.lists(TEXT, max_size=3).map(tuple),
        "images_left_out": st.dictionaries(TEXT, TEXT, max_size=3),
        "residuals": st.dictionaries(TEXT, FINITE, max_size=3),
        "note": st.one_of(TEXT, FINITE, st.booleans(), st.none(), st.lists(TEXT, max_size=2).map(tuple)),
    },
)
TURN = st.floats(-1.8, 1.8)
POSES = st.fixed_dictionaries(
    {"rotation_vector": st.tuples(TURN, TURN, TURN), "translation_m": st.tuples(FINITE, FINITE, FINITE)}
)
NUDGE = st.floats(-0.2, 0.2)


@st.composite
def configs(draw: st.DrawFn) -> RigConfig:
    """A rig file in any state of its growth."""
    size = st.tuples(st.integers(2, 99), st.integers(2, 99))
    keys: dict[str, Any] = {"made_by": draw(MADE_BY), "time_offset_ms": draw(FINITE)}
    for name in ("visible", "infrared"):
        if draw(st.booleans()):
            keys[name] = {"size_wh": draw(size), "made_by": draw(MADE_BY)}
            if draw(st.booleans()):
                keys[name]["intrinsics"] = draw(LENSES)
    if draw(st.booleans()):
        keys["T_visible_from_infrared"] = draw(POSES)
    if {"visible", "infrared"} <= keys.keys():
        distances = draw(st.lists(st.one_of(POSITIVE, st.just(math.inf)), max_size=3, unique=True))
        keys["planes"] = tuple(draw(planes(distance, keys["visible"]["size_wh"])) for distance in distances)
    if draw(st.booleans()):
        keys |= {"confidence": draw(st.floats(0, 1)), "residual_px": draw(POSITIVE)}
    return RigConfig.model_validate(keys)


@st.composite
def planes(draw: st.DrawFn, distance_m: float, visible_wh: tuple[int, int]) -> dict[str, Any]:
    """A plane, perhaps with a smooth correction."""
    a, b, c, d = draw(st.tuples(NUDGE, NUDGE, NUDGE, NUDGE))
    plane = {
        "distance_m": distance_m,
        "H_visible_from_infrared": ((1 + a, b, 100 * c), (-b, 1 + d, 100 * a), (0.0, 1e-5, 1.0)),
    }
    if draw(st.booleans()):
        rows, columns = (-(-(side - 1) // 25) + 1 for side in visible_wh[::-1])
        row = st.tuples(*[FINITE] * columns)
        grid = st.tuples(*[row] * rows)
        plane["dense"] = {"step_px": 25, "dx_px": draw(grid), "dy_px": draw(grid)}
    return plane


@given(configs())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_written_is_read(tmp_path: Path, config: RigConfig) -> None:
    """Every rig comes back as it was, to the last bit of every number and the last sign of every note."""
    path = tmp_path / "rig.yaml"
    write_rig_config(path, config)
    assert read_rig_config(path) == config
    write_rig_config(path, config.grown(time_offset_ms=3.0))  # also after it has grown
    assert read_rig_config(path) == config.grown(time_offset_ms=3.0)


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_no_rig_is_refused(tmp_path: Path, content: bytes) -> None:
    """Any bytes are a rig or a list of mistakes, each with its place; nothing else comes of them."""
    path = tmp_path / "rig.yaml"
    path.write_bytes(b"visible: {size_wh: [640, 480]}\n" + content)
    problems: tuple[str, ...] = ()
    try:
        assert isinstance(read_rig_config(path), RigConfig)
    except ConfigError as error:
        problems = error.problems
    assert all(str(path) in problem and "\n" not in problem for problem in problems)


def test_a_rig_that_is_not_there() -> None:
    """The first command of all makes the file."""
    assert read_rig_config("no-such-rig.yaml") is None


def test_a_person_can_read_it(tmp_path: Path) -> None:
    """Sizes and rows of matrices stand on a line each, infinity is a word, and the top says what it is."""
    path = tmp_path / "new" / "rig.yaml"
    matrix = ((2.0, 0.0, 4.5), (0.0, 2.0, -147.0), (0.0, 1e-05, 1.0))
    write_rig_config(
        path,
        RigConfig(
            visible=CameraConfig(size_wh=(1280, 720)),
            infrared=CameraConfig(size_wh=(640, 512)),
            planes=(PlaneConfig(distance_m=math.inf, H_visible_from_infrared=matrix),),
            made_by=MadeBy(tool="streamfuse", images_left_out={"a.png": "no board found"}),
        ),
    )
    text = path.read_text()
    assert text.startswith("# A rig: two cameras and how they see the same scene.")
    assert text.endswith(
        """
visible:
  size_wh: [1280, 720]
infrared:
  size_wh: [640, 512]
planes:
- distance_m: inf
  H_visible_from_infrared:
  - [2.0, 0.0, 4.5]
  - [0.0, 2.0, -147.0]
  - [0.0, 1.0e-05, 1.0]
made_by:
  tool: streamfuse
  images_left_out: {a.png: no board found}
"""
    )
    assert load_rig(path).visible_size_wh == (1280, 720)


def test_notes_are_not_commands_to_the_shell(tmp_path: Path) -> None:
    """``${NAME}`` in a note is text: a rig file does not depend on where it is read."""
    path = tmp_path / "rig.yaml"
    config = RigConfig(made_by=MadeBy(command="streamfuse calibrate align --visible ${NO_SUCH_FOLDER}/a"))
    write_rig_config(path, config)
    assert read_rig_config(path) == config


def test_names_of_files_that_no_text_can_hold(tmp_path: Path) -> None:
    """A picture whose name is not UTF-8 is noted with a replacement character."""
    path = tmp_path / "rig.yaml"
    write_rig_config(path, RigConfig(made_by=MadeBy(images_used=(os.fsdecode(b"caf\xe9.png"),))))
    read = read_rig_config(path)
    assert read is not None
    assert read.made_by is not None
    assert read.made_by.images_used == ("caf\ufffd.png",)


def test_an_older_file_stays_where_a_new_one_cannot_be_written(tmp_path: Path) -> None:
    """Unwritable: one error, and nothing half-written."""
    folder = tmp_path / "rig.yaml"
    folder.mkdir()
    with pytest.raises(OutputError, match=r"rig.yaml: cannot be written \(Is a directory\)"):
        write_rig_config(folder, RigConfig())
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match="is a file, and a folder is wanted there"):
        write_rig_config(tmp_path / "file" / "rig.yaml", RigConfig())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "rig.yaml"]


def test_a_correction_for_another_size(tmp_path: Path) -> None:
    """Nodes that do not cover the visible image are refused when the rig is put together."""
    small = DenseConfig(step_px=16, dx_px=((0.0, 0.0),), dy_px=((0.0, 0.0),))
    matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match=r"31 rows of 41 nodes, which cover the image, in planes\.0\.dense"):
        RigConfig(
            visible=CameraConfig(size_wh=(640, 480)),
            infrared=CameraConfig(size_wh=(640, 480)),
            planes=(PlaneConfig(distance_m=5, H_visible_from_infrared=matrix, dense=small),),
        )
    assert list(tmp_path.iterdir()) == []
