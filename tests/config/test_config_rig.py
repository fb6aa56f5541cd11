"""The rig file."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from streamfuse.config.rig import DenseConfig, PlaneConfig, RigConfig, check_sizes, load_rig, load_rig_config
from streamfuse.errors import ConfigError, UsageError
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth
from streamfuse.io.synthetic.cameras import homography_visible_from_infrared

REPO = Path(__file__).parents[2]

RIG = """\
visible: {size_wh: [640, 480], intrinsics: {model: pinhole, fx: 500, fy: 501, cx: 3, cy: 2, distortion: []}}
infrared: {size_wh: [320, 256]}
T_visible_from_infrared: {rotation_vector: [0, 0.01, 0], translation_m: [0.1, 0, 0]}
planes:
  - distance_m: inf
    H_visible_from_infrared: [[2, 0, 1.5], [0, 2, -3], [0, 0, 1]]
  - {distance_m: 10, H_visible_from_infrared: [[2, 0, 4], [0, 2, -3], [0, 0, 1]]}
time_offset_ms: 12.5
residual_px: 0.7
confidence: 0.9
made_by: {tool: streamfuse calibrate align, images: [a.png, b.png]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, so that messages show bare file names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_rig_file_becomes_a_rig(folder: Path) -> None:
    """The first plane gives the matrix; sizes, offset and the whole file are at hand."""
    (folder / "rig.yaml").write_text(RIG)
    rig = load_rig("rig.yaml")
    np.testing.assert_array_equal(rig.H_visible_from_infrared, [[2, 0, 1.5], [0, 2, -3], [0, 0, 1]])
    assert rig.H_visible_from_infrared.dtype == np.float64
    assert not rig.H_visible_from_infrared.flags.writeable
    assert (rig.visible_size_wh, rig.infrared_size_wh) == ((640, 480), (320, 256))
    assert (rig.time_offset_ms, rig.is_identity) == (12.5, False)
    assert rig.config is not None
    assert [plane.distance_m for plane in rig.config.planes] == [math.inf, 10.0]
    assert rig.config.visible.intrinsics is not None
    assert rig.config.visible.intrinsics.distortion == ()


def test_identity_fits_any_size() -> None:
    """The word ``identity`` needs no file and changes nothing."""
    rig = load_rig("identity")
    assert rig.is_identity
    assert (rig.visible_size_wh, rig.infrared_size_wh, rig.time_offset_ms) == (None, None, 0.0)
    np.testing.assert_array_equal(rig.H_visible_from_infrared, np.eye(3))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[640, 480]", "[640]", "1:20: visible.size_wh: expected [width, height] in pixels, got a list"),
        ("[640, 480]", "[0, 480]", "1:20: visible.size_wh: expected [width, height] in pixels, got a list"),
        ("[640, 480]", "640x480", '1:20: visible.size_wh: expected [width, height] in pixels, got "640x480"'),
        (
            "model: pinhole",
            "model: pin",
            '1:52: visible.intrinsics.model: expected pinhole or fisheye, got "pin"',
        ),
        ("fx: 500", "fx: .nan", "1:65: visible.intrinsics.fx: expected a finite number, got nan"),
        (
            "distortion: []",
            "distortion: [1, 0, 0]",
            "1:105: visible.intrinsics.distortion: expected 0, 4, 5, 8, 12 or 14 coefficients of a pinhole",
        ),
        (
            "pinhole, fx: 500, fy: 501, cx: 3, cy: 2, distortion: []",
            "fisheye, fx: 500, fy: 501, cx: 3, cy: 2, distortion: [1, 0, 0, 0, 0]",
            "1:105: visible.intrinsics.distortion: expected 0 or 4 coefficients of a fisheye lens",
        ),
        (
            "[0, 0.01, 0]",
            "[0, 90, 0]",
            "3:44: T_visible_from_infrared.rotation_vector: expected a rotation of at most half a turn, in",
        ),
        (
            "translation_m: [0.1, 0, 0]",
            "translation_m: [0.1, 0, .nan]",
            "3:73: T_visible_from_infrared.translation_m: expected three finite numbers, got a list",
        ),
        ("distance_m: 10,", "distance_m: inf,", "5:3: planes: expected one plane for each distance_m"),
        (
            "[0, 2, -3], [0, 0, 1]]\n  - {",
            "[0, 2, -3], [1, 0, -159.5]]\n  - {",
            "5:3: planes: expected an H_visible_from_infrared that sees the infrared image in planes.0",
        ),
        (
            "[0, 0, 1]]}",
            "[0, 0, 1]], dense: {step_px: 320, dx_px: [[0, 0, 0]], dy_px: [[0, 0, 0]]}}",
            "5:3: planes: expected 3 rows of 3 nodes, which cover the image, in planes.1.dense",
        ),
        (
            "[0, 0, 1]]}",
            "[0, 0, 1]], dense: {step_px: 320, dx_px: [[0, 0, 0]], dy_px: [[0, 0]]}}",
            "7:90: planes.1.dense: expected dx_px and dy_px with equally many rows and columns",
        ),
        (
            "[0, 0, 1]]}",
            "[0, 0, 1]], dense: {step_px: 320, dx_px: [[0, 0], [0]], dy_px: [[0, 0]]}}",
            "7:112: planes.1.dense.dx_px: expected rows of finite numbers, equally many in each, got a list",
        ),
        (
            "infrared: {size_wh: [320, 256]}\n",
            "",
            "4:3: planes: expected visible and infrared with their size_wh",
        ),
        ("fx: 500", "fx: 0", "1:65: visible.intrinsics.fx: expected more than 0, got 0"),
        (
            "[0, 0.01, 0]",
            "[0, 0.01]",
            "3:44: T_visible_from_infrared.rotation_vector: expected three finite numbers, got a list",
        ),
        ("inf\n", "-5\n", "5:17: planes.0.distance_m: expected more than 0, got -5"),
        ("inf\n", "far\n", '5:17: planes.0.distance_m: expected a number, got "far"'),
        (
            "[[2, 0, 1.5], ",
            "[",
            "6:30: planes.0.H_visible_from_infrared: expected three rows of three finite numbers",
        ),
        (
            "1.5]",
            ".nan]",
            "6:30: planes.0.H_visible_from_infrared: expected three rows of three finite numbers",
        ),
        (
            "[[2, 0, 1.5]",
            "[[0, 0, 0]",
            "6:30: planes.0.H_visible_from_infrared: expected a matrix that can be inverted, got a list",
        ),
        ("0.9", "90", "10:13: confidence: expected at most 1, got 90"),
        ("residual_px", "residual", '9:1: unknown key "residual"; did you mean "residual_px"?'),
    ],
)
def test_each_mistake_in_a_rig_has_its_line(folder: Path, old: str, new: str, problem: str) -> None:
    """Sizes, lenses, matrices and distances that make no sense are named with their place."""
    assert old in RIG
    (folder / "rig.yaml").write_text(RIG.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_rig("rig.yaml")
    (found,) = caught.value.problems
    assert found.startswith(f"rig.yaml:{problem}")


SIZES = "visible: {size_wh: [640, 480]}\ninfrared: {size_wh: [320, 256]}\n"
LENS = "{model: pinhole, fx: 500, fy: 500, cx: 160, cy: 128}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SIZES, "holds no registration; run `streamfuse calibrate align"),
        ("time_offset_ms: 3", "holds no registration; run `streamfuse calibrate align"),
        (
            SIZES.replace("256]", f"256], intrinsics: {LENS}"),
            "holds only the infrared lens; run `streamfuse cal",
        ),
        (
            SIZES.replace("]}", f"], intrinsics: {LENS}}}"),
            "holds both lenses, but not how the cameras stand to each other; run `streamfuse cal",
        ),
    ],
    ids=["sizes", "time", "one-lens", "both-lenses"],
)
def test_a_rig_that_has_not_grown_enough(folder: Path, text: str, problem: str) -> None:
    """A file on its way is valid, and a run says what it lacks and which command measures that."""
    (folder / "rig.yaml").write_text(text)
    assert load_rig_config("rig.yaml").planes == ()
    with pytest.raises(ConfigError, match=f"^rig.yaml: {problem}"):
        load_rig("rig.yaml")


def test_a_correction_of_too_many_nodes() -> None:
    """What would make a file too large to read is refused before it is written."""
    row = (0.0,) * 101
    with pytest.raises(ValueError, match="at most 10000 nodes, by a larger step_px"):
        DenseConfig(step_px=2, dx_px=(row,) * 100, dy_px=(row,) * 100)


def test_a_note_of_the_measurement_is_checked(folder: Path) -> None:
    """Rows of pictures and the residual map have fixed keys and one shape; other notes stay free."""
    note = "pictures: [{name: a.png, corners: 54, rms_px: 0.2}], residual_map: {corners: [[1, 0]], dx_px: "
    text = f"made_by: {{free: words, {note}[[0.1, 0]], dy_px: [[0.2, 0]]}}}}\n"
    (folder / "rig.yaml").write_text(text)
    found = load_rig_config("rig.yaml").made_by
    assert found is not None
    assert found.pictures[0].corners == 54
    for old, new in (("[[0.2, 0]]", "[[0.2]]"), ("corners: 54", "corners: -1"), ("rms_px:", "rsm_px:")):
        (folder / "rig.yaml").write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=r"rig\.yaml:1:"):
            load_rig_config("rig.yaml")


def test_lenses_and_pose_are_enough(folder: Path) -> None:
    """A file without planes runs when the whole model is known; there is then no matrix in it."""
    text = SIZES.replace("]}", f"], intrinsics: {LENS}}}")
    pose = "T_visible_from_infrared: {rotation_vector: [0, 0, 0], translation_m: [0.1, 0, 0]}\n"
    (folder / "rig.yaml").write_text(text + pose)
    rig = load_rig("rig.yaml")
    assert rig.H_visible_from_infrared is None
    assert (rig.visible_size_wh, rig.infrared_size_wh) == ((640, 480), (320, 256))


def test_a_rig_grows(folder: Path) -> None:
    """What is not measured is kept; the plane of a distance is replaced where it stands."""
    (folder / "rig.yaml").write_text(RIG)
    rig = load_rig_config("rig.yaml")
    matrix = ((3.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 1.0))
    grown = rig.with_plane(PlaneConfig(distance_m=math.inf, H_visible_from_infrared=matrix))
    grown = grown.with_plane(PlaneConfig(distance_m=3, H_visible_from_infrared=matrix))
    assert [plane.distance_m for plane in grown.planes] == [math.inf, 10.0, 3.0]
    assert grown.planes[0].H_visible_from_infrared == matrix
    assert (grown.visible, grown.made_by, grown.time_offset_ms) == (rig.visible, rig.made_by, 12.5)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        rig.grown(confidence=2.0)


def test_a_new_rig_takes_the_sizes_of_the_pictures() -> None:
    """Sizes are set by the first command and kept by all others."""
    rig = RigConfig().sized(visible_wh=(640, 480))
    assert (rig.visible_size_wh, rig.infrared_size_wh) == ((640, 480), None)
    both = rig.sized(visible_wh=(640, 480), infrared_wh=(320, 256))
    assert both.infrared_size_wh == (320, 256)
    assert both.visible is rig.visible


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        (
            {"visible_wh": (640, 512)},
            "rig: made for visible pictures of 640x480, got 640x512; give another file, or a new one",
        ),
        (
            {"infrared_wh": (160, 120)},
            "rig: made for infrared pictures of 320x256, got 160x120; give another",
        ),
        (
            {"visible_wh": (320, 256), "infrared_wh": (640, 480)},
            "rig: made for visible pictures of 640x480 and infrared ones of 320x256, got the opposite",
        ),
    ],
    ids=["visible", "infrared", "swapped"],
)
def test_pictures_of_other_sizes(sizes: dict[str, tuple[int, int]], problem: str) -> None:
    """A rig belongs to its cameras; two that are swapped are recognised."""
    rig = RigConfig().sized(visible_wh=(640, 480), infrared_wh=(320, 256))
    with pytest.raises(UsageError, match=f"^{re.escape(problem)}"):
        rig.sized(**sizes)
    if "opposite" in problem:
        with pytest.raises(UsageError, match="the cameras seem swapped; exchange visible and infrared"):
            rig.sized(**sizes)


def test_identity_has_every_size() -> None:
    """Registered streams say nothing of sizes."""
    check_sizes(load_rig("identity"), visible_wh=(3, 4), infrared_wh=(5, 6))


def test_the_shipped_rig_is_that_of_the_synthetic_street() -> None:
    """The rig file of the first demo holds the matrix the drawn cameras really have."""
    rig = load_rig(REPO / "calibration" / "synthetic.yaml")
    truth = homography_visible_from_infrared((640, 480), (640, 480))
    np.testing.assert_allclose(rig.H_visible_from_infrared, truth, rtol=1e-12)
    assert (rig.visible_size_wh, rig.infrared_size_wh) == ((640, 480), (640, 480))


def test_the_shipped_rig_of_the_board_is_the_truth() -> None:
    """Lenses and pose in the file are those with which the synthetic board is drawn."""
    truth = BoardTruth(BoardSpec())
    config = load_rig(REPO / "calibration" / "synthetic-board.yaml").config
    assert config is not None
    for camera, lens in ((config.visible, truth.visible), (config.infrared, truth.infrared)):
        assert camera is not None
        assert camera.intrinsics is not None
        found = camera.intrinsics
        assert (camera.size_wh, found.distortion) == (lens.size_wh, lens.distortion)
        np.testing.assert_allclose(
            (found.fx, found.fy, found.cx, found.cy), (lens.fx, lens.fy, lens.cx, lens.cy), rtol=1e-9
        )
    pose = config.T_visible_from_infrared
    assert pose is not None
    np.testing.assert_allclose(
        pose.rotation_vector, truth.T_visible_from_infrared.rotation_vector, rtol=1e-12
    )
    np.testing.assert_allclose(pose.translation_m, truth.T_visible_from_infrared.translation_m, rtol=1e-12)


def test_the_rig_of_the_handbook_is_valid(folder: Path) -> None:
    """What the calibration folder's README shows as a rig file is one."""
    example = (REPO / "calibration" / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    (folder / "rig.yaml").write_text(example)
    assert load_rig("rig.yaml").visible_size_wh == (1280, 720)
