"""The rig file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from streamfuse.config.rig import load_rig
from streamfuse.errors import ConfigError
from streamfuse.io.synthetic.cameras import homography_visible_from_infrared

REPO = Path(__file__).parents[2]

RIG = """\
visible: {size_wh: [640, 480], intrinsics: {model: pinhole, fx: 500, fy: 501, cx: 3, cy: 2, distortion: [1]}}
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
    assert rig.config.visible.intrinsics.distortion == (1.0,)


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


def test_a_rig_needs_planes(folder: Path) -> None:
    """Without a registration a rig is of no use."""
    (folder / "rig.yaml").write_text("visible: {size_wh: [4, 4]}\ninfrared: {size_wh: [4, 4]}\nplanes: []\n")
    with pytest.raises(
        ConfigError, match=r"^rig.yaml:3:9: planes: expected 1 or more items, got an empty list$"
    ):
        load_rig("rig.yaml")


def test_the_shipped_rig_is_that_of_the_synthetic_street() -> None:
    """The rig file of the first demo holds the matrix the drawn cameras really have."""
    rig = load_rig(REPO / "calibration" / "synthetic.yaml")
    truth = homography_visible_from_infrared((640, 480), (640, 480))
    np.testing.assert_allclose(rig.H_visible_from_infrared, truth, rtol=1e-12)
    assert (rig.visible_size_wh, rig.infrared_size_wh) == ((640, 480), (640, 480))


def test_the_rig_of_the_handbook_is_valid(folder: Path) -> None:
    """What the calibration folder's README shows as a rig file is one."""
    example = (REPO / "calibration" / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    (folder / "rig.yaml").write_text(example)
    assert load_rig("rig.yaml").visible_size_wh == (1280, 720)
