"""Boards are found to a fraction of a pixel, in the right order, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.frames import PixelFormat, StreamName
from streamfuse.geometry.boards.board import Board, BoardView, same_order
from streamfuse.geometry.boards.finding import find_board
from streamfuse.geometry.boards.guessing import what_is_there
from streamfuse.geometry.gray import gray8
from streamfuse.io.images import read_image
from streamfuse.io.synthetic.board_scene import BoardCamera
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth

Draw = Callable[..., Any]
Gray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

CHESSBOARD, CIRCLES = "chessboard:9x6:23.1mm", "circles:7x5:30mm"
ASYMMETRIC, CHARUCO = "asymmetric-circles:4x11:20mm", "charuco:7x5:30mm:22mm"
ALL = (CHESSBOARD, CIRCLES, ASYMMETRIC, CHARUCO)


def found(scene: Any, *, thermal: bool = False) -> BoardView:
    """The board of a scene, which must be there."""
    view = find_board(scene.gray, scene.board, thermal=thermal)
    assert view is not None
    return view


@pytest.mark.parametrize(
    ("spec", "most_px"), [(CHESSBOARD, 0.03), (CIRCLES, 0.06), (ASYMMETRIC, 0.04), (CHARUCO, 0.04)]
)
def test_a_visible_board_is_measured_to_hundredths_of_a_pixel(
    drawing: Draw, look: Any, spec: str, most_px: float
) -> None:
    """With the ids of the truth, through a bent lens, with a little noise and blur."""
    scene = drawing(Board.parse(spec), replace(look, centre_m=(0.01, -0.02, 0.6)))
    view = found(scene)
    assert view.is_whole
    assert not view.inverted
    assert scene.rms_px(view) < most_px


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(
    ("spec", "most_px"), [(CHESSBOARD, 0.12), (CIRCLES, 0.2), (ASYMMETRIC, 0.15), (CHARUCO, 0.2)]
)
def test_a_thermal_board_is_found_in_two_hundredths_of_the_warmth_around_it(
    drawing: Draw, thermal_look: Any, spec: str, most_px: float, inverted: bool
) -> None:
    """16 bits, strong gradient, both polarities."""
    dark, bright = thermal_look.dark, thermal_look.bright
    look = replace(thermal_look, dark=bright, bright=dark) if inverted else thermal_look
    scene = drawing(Board.parse(spec), look)
    view = found(scene, thermal=True)
    assert scene.rms_px(view) < most_px
    assert view.inverted == inverted


@pytest.mark.parametrize("noise", [10.0, 25.0])
def test_noise_and_blur_cost_tenths_not_boards(drawing: Draw, look: Any, noise: float) -> None:
    """A tenth of the contrast in noise and two pixels of blur."""
    scene = drawing(Board.parse(CHESSBOARD), replace(look, noise=noise, blur_px=1.5))
    assert scene.rms_px(found(scene)) < 0.15


def test_sharpness_and_contrast_say_what_the_picture_is_like(drawing: Draw, look: Any) -> None:
    """A wide blur makes wide edges; contrast is in parts of the picture's range."""
    board = Board.parse(CHESSBOARD)
    sharp, blurred = (found(drawing(board, replace(look, blur_px=blur))) for blur in (0.7, 2.0))
    assert sharp.sharpness_px < 3
    assert 4 < blurred.sharpness_px < 7
    assert sharp.contrast > 0.9


@pytest.mark.parametrize("roll_deg", [0.0, 90.0, 150.0, -100.0])
def test_the_colours_of_a_visible_chessboard_tell_point_0(drawing: Draw, look: Any, roll_deg: float) -> None:
    """However the board is turned, the same corner is number 0."""
    scene = drawing(
        Board.parse(CHESSBOARD), replace(look, tilt_deg=(10.0, 10.0, roll_deg), centre_m=(0, 0, 0.7))
    )
    assert scene.rms_px(found(scene)) < 0.05


def test_a_pair_of_pictures_gets_one_order(drawing: Draw, look: Any, thermal_look: Any) -> None:
    """Also where the thermal picture alone would be numbered from the other end."""
    board, tilt = Board.parse(CHESSBOARD), (10.0, 10.0, 150.0)
    visible = found(drawing(board, replace(look, tilt_deg=tilt, centre_m=(0.0, 0.0, 0.7))))
    scene = drawing(
        board, replace(thermal_look, tilt_deg=tilt, dark=thermal_look.bright, bright=thermal_look.dark)
    )
    alone = found(scene, thermal=True)
    assert scene.rms_px(alone) > 50
    together = same_order(visible, alone)
    assert scene.rms_px(together) < 0.12
    assert together.inverted


def test_corners_beyond_the_edge_are_left_out(drawing: Draw, look: Any) -> None:
    """A chessboard that the picture cuts by one corner or two keeps the others, and their ids."""
    board = Board.parse(CHESSBOARD)
    scene = drawing(board, replace(look, tilt_deg=(0.0, 0.0, 20.0), centre_m=(-0.235, 0.0, 0.6)))
    assert (scene.truth.min(axis=1) < 0).sum() == 1
    view = found(scene)
    assert len(view.ids) == 53
    assert scene.rms_px(view) < 0.05


def test_a_hidden_part_of_a_charuco_board_does_no_harm(drawing: Draw, look: Any) -> None:
    """Fewer ids, all of them right."""
    scene = drawing(Board.parse(CHARUCO), replace(look, centre_m=(0.0, 0.0, 0.5)))
    scene.gray[:, :250] = 90
    view = found(scene)
    assert 6 <= len(view.ids) < 24
    assert scene.rms_px(view) < 0.1


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        ("chessboard:11x8:20mm", "chessboard:9x6:20mm"),
        ("chessboard:9x6:20mm", "chessboard:8x6:20mm"),
        ("chessboard:7x5:20mm", "chessboard:9x6:20mm"),
        ("circles:7x5:30mm", "circles:6x5:30mm"),
        (ASYMMETRIC, "asymmetric-circles:4x9:20mm"),
        (CHARUCO + ":DICT_5X5_100", "charuco:8x6:30mm:22mm"),
        (CHARUCO + ":DICT_5X5_100", "charuco:7x5:30mm:22mm:DICT_6X6_50"),
    ],
)
def test_another_board_is_not_taken_for_the_one_asked_for(
    drawing: Draw, look: Any, there: str, asked: str
) -> None:
    """It is refused, and what is there can be said."""
    scene = drawing(Board.parse(there), replace(look, centre_m=(0.0, 0.0, 0.6)))
    board = Board.parse(asked)
    assert find_board(scene.gray, board, thermal=False) is None
    other = what_is_there(scene.gray, board, thermal=False)
    assert other is not None
    assert other.spec == there


@pytest.mark.parametrize("thermal", [False, True])
@pytest.mark.parametrize("spec", ALL)
def test_noise_is_no_board(spec: str, thermal: bool) -> None:
    """Nor is a plain picture or a tiny one."""
    board = Board.parse(spec)
    noise = np.random.default_rng(3).integers(0, 255, (240, 320), np.uint8)
    pictures: list[Gray] = [noise, np.full((240, 320), 8000, np.uint16), np.zeros((8, 8), np.uint8)]
    assert [find_board(picture, board, thermal=thermal, quick=True) for picture in pictures] == [None] * 3


def test_colour_pictures_and_floats_are_refused() -> None:
    """The error says what came."""
    with pytest.raises(ValueError, match=r"got \(4, 4\) float64"):
        find_board(np.zeros((4, 4)), Board.parse(CHESSBOARD), thermal=False)  # type: ignore[arg-type]


def counts(path: Path) -> Gray:
    """A picture as it is searched: raw counts of 16 bits, else luma."""
    image = read_image(path)
    return image.planes[0] if image.spec.format is PixelFormat.GRAY16 else gray8(image)


def test_the_crisp_pair_is_found_in_both_cameras_in_one_order(data_dir: Path) -> None:
    """The infrared one is inverted, and its corner 0 is the upper left one, too."""
    board = Board.parse("chessboard:6x5:50mm")
    folder = data_dir / "calibration" / "crisp_pair"
    visible = find_board(counts(folder / "rgb0000.jpg"), board, thermal=False)
    infrared = find_board(counts(folder / "thermal0000.jpg"), board, thermal=True)
    assert visible is not None
    assert infrared is not None
    infrared = same_order(visible, infrared)
    assert visible.pixels[0] == pytest.approx((281, 154), abs=2)
    assert infrared.pixels[0] == pytest.approx((190, 235), abs=2)
    assert infrared.inverted


@pytest.mark.slow
def test_the_heated_chessboard_is_found_wherever_it_can_be(data_dir: Path) -> None:
    """All infrared pictures; all visible ones but 000000029, which shows 7 of 9 columns."""
    board = Board.parse(CHESSBOARD)
    folder = data_dir / "calibration" / "heated_chessboard"
    missed = []
    for path in sorted(folder.glob("*/*.png")):
        view = find_board(counts(path), board, thermal=path.parent.name == "infrared")
        if view is None:
            missed.append(f"{path.parent.name}/{path.stem}")
        else:
            assert len(view.ids) >= 53
    assert missed == ["visible/000000029"]


@pytest.mark.parametrize(("spec", "moment_s", "cut"), [(CIRCLES, 30.0, 3), (ASYMMETRIC, 9.3, 0)])
def test_heated_disks_at_the_edge_of_the_picture(spec: str, moment_s: float, cut: int) -> None:
    """The picture may end close to disks, or cut some, which are left out; the others are where they are."""
    scene = BoardSpec(seed=5, board=spec, gray16=True)
    view = find_board(
        BoardCamera(scene, StreamName.INFRARED).infrared(moment_s), Board.parse(spec), thermal=True
    )
    assert view is not None
    assert len(view.ids) == len(view.board.points) - cut
    truth = BoardTruth(scene).pixels(moment_s, StreamName.INFRARED)
    assert min(np.abs(view.pixels - pixels[view.ids]).max() for pixels in (truth, truth[::-1])) < 0.4
