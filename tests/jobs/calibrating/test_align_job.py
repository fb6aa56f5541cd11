from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from streamfuse.cli.calibrate.align import align as command
from streamfuse.config.rig import PlaneConfig, RigConfig, load_rig_config
from streamfuse.errors import (
    CalibrationError,
    ConfigError,
    OutputError,
    SourceError,
    StreamfuseError,
    UsageError,
)
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.geometry.rig import RigGeometry
from streamfuse.io.images import read_image, write_png
from streamfuse.io.rig_file import write_rig_config
from streamfuse.jobs.calibrating.align import Align, calibrate_align
from streamfuse.jobs.calibrating.before_after import before_and_after, most_telling
from streamfuse.jobs.calibrating.pictures import read_pairs
from streamfuse.jobs.calibrating.report_pictures import Looks, edges_over

TRUE = np.array([[1.1, -0.03, -20.0], [0.03, 1.1, -12.0], [0.0, 0.0, 1.0]])


def seen(size_wh: tuple[int, int], matrix: np.ndarray) -> np.ndarray:
    """A world of soft waves and boxes, 0 to 255, seen at ``matrix`` of each pixel."""
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float64) for side in size_wh))
    u, v, w = np.tensordot(matrix, np.stack((x, y, np.ones_like(x))), axes=1)
    u, v = u / w, v / w
    world = (
        np.sin(u / 17 + np.sin(v / 29))
        + np.sin(v / 13 + np.cos(u / 37))
        + (np.sin(u / 41) * np.sin(v / 33) > 0)
    )
    return np.asarray(np.clip((world + 2) * 50, 0, 255), np.uint8)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A still pair of 320x240, the infrared picture dark where the visible one is bright."""
    light = seen((320, 240), np.eye(3))
    colour = np.stack((light, light // 2, 255 - light), axis=-1)
    spec = ImageSpec(format=PixelFormat.RGB24, size_wh=(320, 240))
    write_png(tmp_path / "visible.png", Image(spec, (colour,)))
    write_png(tmp_path / "infrared.png", Image.from_gray(255 - seen((320, 240), TRUE)))
    infrared = np.array([(20, 20), (300, 25), (290, 220), (25, 215), (160, 120), (90, 180), (230, 60)], float)
    moved = infrared @ TRUE[:2, :2].T + TRUE[:2, 2]
    inside = ((moved >= 0) & (moved <= (319, 239))).all(axis=1)
    rows = np.column_stack((moved, infrared))[inside]
    header = "visible_x,visible_y,infrared_x,infrared_y\n"
    (tmp_path / "points.csv").write_text(header + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows))
    return tmp_path


def job(scene: Path, **changes: object) -> Align:
    """Align the pair by the points in the file."""
    plain = {
        "visible": str(scene / "visible.png"),
        "infrared": str(scene / "infrared.png"),
        "out": scene / "rig.yaml",
        "points": scene / "points.csv",
    }
    return Align(**(plain | changes))  # type: ignore[arg-type]


def corner_error(matrix: object) -> float:
    """Mean distance of the corners from where they belong, in pixels."""
    corners = np.array([(0, 0, 1), (319, 0, 1), (319, 239, 1), (0, 239, 1)], float)
    got, want = (corners @ np.array(each).T for each in (matrix, TRUE))
    return float(np.linalg.norm(got[:, :2] / got[:, 2:] - want[:, :2] / want[:, 2:], axis=1).mean())


def test_points_make_a_rig_file(scene: Path) -> None:
    """Sizes, plane, confidence and where it is from are in the file."""
    result = calibrate_align(job(scene))
    rig = load_rig_config(scene / "rig.yaml")
    assert rig.visible_size_wh == rig.infrared_size_wh == (320, 240)
    assert [plane.distance_m for plane in rig.planes] == [math.inf]
    assert corner_error(rig.planes[0].H_visible_from_infrared) < 0.01
    assert rig.confidence is not None
    assert rig.confidence > 0.9
    assert rig.planes[0].made_by is not None
    assert rig.planes[0].made_by.images_used == ("points.csv",)
    assert "turned by 1.6° clockwise" in " ".join(result.notes)


def test_planes_of_several_distances_stay_sorted(scene: Path) -> None:
    """The farthest is first, and the rest of the file is kept."""
    for distance_m in (5.0, math.inf, 10.0, 5.0):
        calibrate_align(job(scene, distance_m=distance_m))
    rig = load_rig_config(scene / "rig.yaml")
    assert [plane.distance_m for plane in rig.planes] == [math.inf, 10.0, 5.0]
    write_rig_config(scene / "rig.yaml", rig.grown(time_offset_ms=12.5))
    calibrate_align(job(scene))
    assert load_rig_config(scene / "rig.yaml").time_offset_ms == 12.5


def test_without_a_distance_the_first_plane_is_replaced(scene: Path) -> None:
    """A file whose only plane is at 7 m keeps that distance."""
    sizes = {"visible": {"size_wh": (320, 240)}, "infrared": {"size_wh": (320, 240)}}
    plane = PlaneConfig(distance_m=7.0, H_visible_from_infrared=np.eye(3).tolist())
    write_rig_config(scene / "rig.yaml", RigConfig.model_validate(sizes | {"planes": (plane,)}))
    calibrate_align(job(scene))
    rig = load_rig_config(scene / "rig.yaml")
    assert [plane.distance_m for plane in rig.planes] == [7.0]
    assert corner_error(rig.planes[0].H_visible_from_infrared) < 0.01


def test_a_wrong_point_is_named(scene: Path) -> None:
    """The line in the file and how far it is off are told, and it does no harm."""
    with (scene / "points.csv").open("a") as file:
        file.write("60,60,150,30\n")
    result = calibrate_align(job(scene))
    assert len(result.wrong_points) == 1
    assert result.wrong_points[0].startswith("points.csv:")
    assert "px off" in result.wrong_points[0]
    assert corner_error(result.plane.H_visible_from_infrared) < 0.01


def test_the_picture_shows_both_before_and_after(scene: Path) -> None:
    """Two chessboards with a gap, in colour."""
    calibrate_align(job(scene, picture=scene / "look.png"))
    picture = read_image(scene / "look.png")
    assert picture.spec.size_wh == (648, 240)


def test_where_infrared_does_not_look_no_picture_pretends_it_does(scene: Path) -> None:
    """Infrared squares are hatched there, whatever is visible; no edge of the frame is drawn."""
    pair = next(read_pairs(str(scene / "visible.png"), str(scene / "infrared.png")))
    plane = {"distance_m": 9.0, "H_visible_from_infrared": [[0.5, 0, 90], [0, 0.5, 70], [0, 0, 1]]}
    sizes = {"size_wh": (320, 240)}
    rig = RigConfig.model_validate({"visible": sizes, "infrared": sizes, "planes": (plane,)})
    after = before_and_after(pair, rig, 9.0).planes[0][:, 328:]
    square = after[:40, 40:80]
    assert {int(level) for level in np.unique(square[..., 0])} == {0, 70}
    looks = Looks.of(pair, RigGeometry.of(rig))
    flat = replace(looks, registered=np.where(looks.seen, 255, 0).astype(np.uint8))
    assert not (edges_over(flat) == (255, 140, 0)).all(axis=-1).any()


def test_the_pair_with_the_most_to_see_is_shown(scene: Path) -> None:
    """Of a dark moment and a bright one the picture is of the bright one, whichever comes first."""
    pair = next(read_pairs(str(scene / "visible.png"), str(scene / "infrared.png")))
    dim = Image.from_gray(pair.visible.gray // 8)
    dark = replace(pair, visible=replace(pair.visible, image=dim))
    assert most_telling([dark, pair, dark]) is pair


def test_the_pictures_align_without_points(scene: Path) -> None:
    """By what is seen alone the corners are where they belong, to a few pixels."""
    result = calibrate_align(job(scene, points=None))
    assert corner_error(result.plane.H_visible_from_infrared) < 3.0


def test_pictures_that_share_nothing_are_refused(scene: Path) -> None:
    """Noise and a scene: nothing is written."""
    noise = np.random.default_rng(0).integers(0, 255, (240, 320), np.uint8)
    write_png(scene / "infrared.png", Image.from_gray(noise))
    with pytest.raises(CalibrationError):
        calibrate_align(job(scene, points=None))
    assert not (scene / "rig.yaml").exists()


def _swap(scene: Path) -> dict[str, object]:
    return {"visible": str(scene / "infrared.png"), "infrared": str(scene / "visible.png")}


def _counts(scene: Path) -> dict[str, object]:
    write_png(scene / "visible.png", Image.from_gray(np.full((240, 320), 29_000, np.uint16)))
    return {}


def _flat(scene: Path) -> dict[str, object]:
    write_png(scene / "infrared.png", Image.from_gray(np.full((240, 320), 90, np.uint8)))
    return {"points": None}


def _other_rig(scene: Path) -> dict[str, object]:
    sizes = {"visible": {"size_wh": (640, 480)}, "infrared": {"size_wh": (320, 240)}}
    write_rig_config(scene / "rig.yaml", RigConfig.model_validate(sizes))
    return {}


def _not_a_folder(scene: Path) -> dict[str, object]:
    return {"out": scene / "visible.png" / "rig.yaml"}


def _no_points(scene: Path) -> dict[str, object]:
    return {"points": scene / "none.csv"}


def _bad_points(scene: Path) -> dict[str, object]:
    (scene / "points.csv").write_text("1,2,3,4\n1,nan,3,4\n")
    return {}


def _few_points(scene: Path) -> dict[str, object]:
    (scene / "points.csv").write_text("1,2,3,4\n")
    return {}


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (_swap, UsageError, "the cameras seem swapped"),
        (_counts, UsageError, "has 16 bits"),
        (_flat, CalibrationError, "the infrared pictures show nothing"),
        (_other_rig, UsageError, "made for visible pictures of 640x480, got 320x240"),
        (_not_a_folder, OutputError, "is a file"),
        (_no_points, SourceError, "none.csv: cannot be read"),
        (_bad_points, ConfigError, "points.csv:2: visible_y: expected a finite number"),
        (_few_points, CalibrationError, "1 point pairs are too few"),
    ],
)
def test_bad_input_ends_with_a_sentence(
    scene: Path, spoil: object, error: type[StreamfuseError], says: str
) -> None:
    """What is wrong is said, and the rig file stays as it was."""
    changes = spoil(scene)  # type: ignore[operator]
    before = {path: path.read_bytes() for path in scene.iterdir()}
    with pytest.raises(error, match=says):
        calibrate_align(job(scene, **changes))
    assert {path: path.read_bytes() for path in scene.iterdir()} == before


def test_mixed_sizes_are_refused(scene: Path) -> None:
    """A folder must hold pictures of one size; the camera and the picture are named."""
    for name in ("visible", "infrared"):
        (scene / name).mkdir()
        write_png(scene / name / "1.png", read_image(scene / f"{name}.png"))
    write_png(scene / "visible" / "2.png", read_image(scene / "visible.png"))
    write_png(scene / "infrared" / "2.png", Image.from_gray(np.zeros((100, 90), np.uint8)))
    folders = {"visible": str(scene / "visible"), "infrared": str(scene / "infrared"), "points": None}
    with pytest.raises(UsageError, match=r"the infrared picture 2.png has 90x100, and 1.png has 320x240"):
        calibrate_align(job(scene, **folders))


def test_what_is_not_there_is_said_before_kinds_are_compared(scene: Path) -> None:
    """A folder and a name that is none."""
    with pytest.raises(SourceError, match=r"infrared: .*missing: there is no such file or folder"):
        calibrate_align(job(scene, visible=str(scene), infrared=str(scene / "missing")))


def test_tiny_pictures_are_called_tiny(scene: Path) -> None:
    """One pixel is no question of the lens."""
    write_png(scene / "visible.png", Image.from_gray(np.zeros((1, 1), np.uint8)))
    with pytest.raises(UsageError, match=r"visible.png has 1x1, too small to align"):
        calibrate_align(job(scene, points=None))


def test_each_step_is_told(scene: Path) -> None:
    """Pairs read, then what takes long."""
    told: list[tuple[int, int | None, str]] = []
    calibrate_align(
        job(scene, points=None), on_progress=lambda done, total, words: told.append((done, total, words))
    )
    assert told == [(1, 12, "pairs read"), (0, None, "aligning 1 pair")]


def test_options_that_exclude_each_other_are_refused(scene: Path) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError, match="use one of them"):
        job(scene, click="127.0.0.1:0")
    with pytest.raises(UsageError, match="above 0 m"):
        job(scene, distance_m=math.nan)
    with pytest.raises(UsageError, match="writes PNG"):
        job(scene, picture=scene / "look.jpg")


def test_the_command_prints_words_or_json(scene: Path) -> None:
    """For people a line each, for programs everything."""
    app = typer.Typer()
    app.command()(command)
    words = ["--visible", str(scene / "visible.png"), "--infrared", str(scene / "infrared.png")]
    words += ["--out", str(scene / "rig.yaml"), "--points", str(scene / "points.csv"), "--distance", "12.5"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "Plane at 12.5 m" in told.output
    assert "--picture" in told.output
    assert "right solution" in told.output
    values = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert values["distance_m"] == 12.5
    assert corner_error(values["H_visible_from_infrared"]) < 0.01
    assert CliRunner().invoke(app, [*words, "--distance", "-1"]).exit_code == 2
