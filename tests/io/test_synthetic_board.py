"""The synthetic calibration board: its pictures agree with its truth, and its URI says what it is."""

from __future__ import annotations

import re
from itertools import pairwise

import cv2
import numpy as np
import pytest

from streamfuse.config.sources import SourceConfig
from streamfuse.errors import SourceError
from streamfuse.frames import PixelFormat, StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.geometry.camera import Camera
from streamfuse.io.sources import open_source
from streamfuse.io.synthetic.board_pattern import BoardPattern
from streamfuse.io.synthetic.board_scene import BoardCamera
from streamfuse.io.synthetic.board_spec import BoardSpec, Inside
from streamfuse.io.synthetic.board_truth import BoardTruth, Lens
from streamfuse.io.synthetic.source import open_scene

FINE = 3
"""How much finer the picture is in which corners are looked for: what finds them is off by 0.02 px itself."""
STREAMS = tuple(StreamName)


def camera_of(lens: Lens) -> Camera:
    """The same as a camera of the geometry."""
    return Camera(
        size_wh=lens.size_wh, fx=lens.fx, fy=lens.fy, cx=lens.cx, cy=lens.cy, distortion=lens.distortion
    )


def held(spec: BoardSpec, count: int) -> list[float]:
    """Times at which the board is still, in seconds, one in each pose."""
    return [number * (spec.hold_s + spec.move_s) + 0.1 for number in range(count)]


def found_near(gray: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Saddle points next to those given."""
    start = pixels.astype(np.float32).reshape(-1, 1, 2).copy()
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-4)
    return cv2.cornerSubPix(gray, start, (5, 5), (-1, -1), stop).reshape(-1, 2)


@pytest.mark.parametrize("board", ["chessboard:9x6:23.1mm", "charuco:7x5:30mm:22mm"])
def test_corners_are_where_the_truth_says(board: str) -> None:
    """Without noise every corner lies within 0.02 px of its true place, through lens and blur."""
    spec = BoardSpec(seed=3, board=board, grain=0, size_wh=(640 * FINE, 480 * FINE), blur_px=0.7 * FINE)
    truth, camera = BoardTruth(spec), BoardCamera(spec, StreamName.VISIBLE)
    for t_s in held(spec, 1):
        pixels = truth.pixels(t_s, StreamName.VISIBLE)
        found = found_near(cv2.cvtColor(camera.visible(t_s), cv2.COLOR_RGB2GRAY), pixels)
        assert np.abs(found - pixels).max() / FINE < 0.02


@pytest.mark.parametrize("board", ["circles:7x5:30mm", "asymmetric-circles:4x11:20mm"])
def test_dots_are_round_their_truth(board: str) -> None:
    """The centre of mass of each dot is that of its projected outline."""
    spec = BoardSpec(seed=5, board=board, gradient_k=0, contrast_k=20, noise_k=0, gray16=True)
    truth = BoardTruth(spec)
    (t_s,) = held(spec, 1)
    counts = BoardCamera(spec, StreamName.INFRARED).infrared(t_s).astype(float)
    pose, radius = truth.T_camera_from_board(t_s, StreamName.INFRARED), truth.pattern.dot_radius_m
    angle = np.arange(360) * np.pi / 180
    rim = radius * np.column_stack((np.cos(angle), np.sin(angle), 0 * angle))
    for point in truth.points_m[:: len(truth.points_m) // 6]:
        outline = truth.infrared.project(pose.apply(point + rim))
        moments = cv2.moments(outline.astype(np.float32))
        expected = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        reach = int(np.ptp(outline, axis=0).max() / 2) + 4
        left, top = np.rint(expected).astype(int) - reach
        y, x = np.mgrid[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        warmth = counts[y, x] - counts[y, x].min()
        centre = np.array([(x * warmth).sum(), (y * warmth).sum()]) / warmth.sum()
        assert np.abs(centre - expected).max() < 0.02


@pytest.mark.parametrize("stream", STREAMS)
def test_the_lenses_are_those_of_the_geometry(stream: StreamName) -> None:
    """A camera with the true numbers projects as the scene does, and its rays are the scene's rays."""
    lens = BoardTruth(BoardSpec(infrared_size_wh=(320, 256))).lens(stream)
    camera = camera_of(lens)
    points = np.array([[0.1, 0.05, 0.7], [-0.2, 0.1, 0.6], [0, 0, 1]])
    assert np.allclose(camera.project(points), lens.project(points), atol=1e-9)
    rays = lens.rays()
    width, height = lens.size_wh
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [width // 3, height // 2]])
    seen = np.array([rays[y, x] for x, y in corners])
    assert np.abs(camera.project(np.column_stack((seen, np.ones(4)))) - corners).max() < 2e-3


def test_both_cameras_see_one_board() -> None:
    """The pose in the infrared camera is that in the visible one, taken through the rig."""
    truth = BoardTruth(BoardSpec(seed=2))
    seen, other = (truth.T_camera_from_board(4.2, stream).apply(truth.points_m) for stream in STREAMS)
    assert np.allclose(truth.T_visible_from_infrared.apply(other), seen, atol=1e-12)
    assert 0.03 < np.linalg.norm(truth.T_visible_from_infrared.translation_m) < 0.1
    assert np.linalg.norm(truth.T_visible_from_infrared.rotation_vector) > np.deg2rad(1)


@pytest.mark.parametrize("inside", list(Inside))
def test_the_board_stays_in_the_pictures_and_goes_everywhere(inside: Inside) -> None:
    """In 18 poses all points are in the pictures that count; they come near all four of its corners."""
    spec = BoardSpec(seed=9, inside=inside)
    truth = BoardTruth(spec)
    streams = STREAMS if inside is Inside.BOTH else (StreamName(inside),)
    for stream in streams:
        pixels = np.stack([truth.pixels(t_s, stream) for t_s in held(spec, 18)])
        edges = np.array(truth.lens(stream).size_wh) - 1
        assert (pixels > 0).all()
        assert (pixels < edges).all()
        for corner in np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * edges:
            assert np.linalg.norm(pixels - corner, axis=-1).min() < 0.3 * np.linalg.norm(edges)


def test_the_board_moves_smoothly_and_is_held_still() -> None:
    """While it is held nothing moves; between two frames no corner jumps."""
    truth = BoardTruth(BoardSpec(seed=1))
    times = np.arange(0, 6, 1 / 60)
    pixels = [truth.pixels(t_s, StreamName.VISIBLE) for t_s in times]
    steps = [np.abs(after - before).max() for before, after in pairwise(pixels)]
    assert max(steps) < 25
    for t_s, step in zip(times, steps, strict=False):
        if truth.is_held(t_s) and truth.is_held(t_s + 1 / 60):
            assert step == pytest.approx(0, abs=1e-9)


def test_heat_hides_the_infrared_board() -> None:
    """The gradient over the board is several times the contrast of its squares, which are inverted."""
    spec = BoardSpec(seed=4, gray16=True, noise_k=0)
    truth = BoardTruth(spec)
    (t_s,) = held(spec, 1)
    counts = BoardCamera(spec, StreamName.INFRARED).infrared(t_s)
    points = truth.points_m[:, :2]
    half = truth.pattern.spacing_m / 2

    def at(offset: tuple[float, float]) -> np.ndarray:
        places = np.column_stack((points + offset, np.zeros(len(points))))
        pixels = truth.infrared.project(truth.T_camera_from_board(t_s, StreamName.INFRARED).apply(places))
        x, y = np.rint(pixels).astype(int).T
        return counts[y, x].astype(float)

    first, second = at((-half, -half)), at((half, -half))
    dark_first = (np.arange(len(points)) % 9 + np.arange(len(points)) // 9) % 2 == 0
    contrast = np.where(dark_first, first - second, second - first)
    assert 20 < np.median(contrast) < 100
    assert np.ptp(first) > 4 * np.median(contrast)


@pytest.mark.parametrize("stream", STREAMS)
def test_equal_uris_give_equal_bytes(stream: StreamName) -> None:
    """Two sources of one URI agree, one of another seed does not, and a restarted one goes on."""
    uri = "synthetic://board?seed={}&size=128x96&fps=10&format=gray16&duration=0.3"
    first, second, third = (open_scene(uri.format(seed), stream=stream) for seed in (1, 1, 2))
    frames = [first.read(), first.read(), first.read()]
    assert first.read() is None
    second.skip(2)
    again, other = second.read(), third.read()
    assert frames[2] is not None
    assert frames[0] is not None
    assert again is not None
    assert other is not None
    assert again.pts_ns == frames[2].pts_ns
    assert np.array_equal(again.image.planes[0], frames[2].image.planes[0])
    assert not np.array_equal(other.image.planes[0], frames[0].image.planes[0])


def test_a_pipeline_opens_the_board_as_it_opens_the_street() -> None:
    """Sizes, formats and rate are those of the URI."""
    uri = "synthetic://board?size=320x240&infrared_size=160x120&format=gray16&fps=15"
    visible = open_source(SourceConfig(uri=uri), stream=StreamName.VISIBLE).info
    infrared = open_source(SourceConfig(uri=uri), stream=StreamName.INFRARED).info
    assert (visible.spec.format, visible.spec.size_wh) == (PixelFormat.YUV420P, (320, 240))
    assert (infrared.spec.format, infrared.spec.size_wh, infrared.fps) == (PixelFormat.GRAY16, (160, 120), 15)


def test_a_uri_says_everything_a_board_can() -> None:
    """All keys arrive in their fields."""
    spec = BoardSpec.from_uri(
        "synthetic://board?seed=7&board=circles:7x5:30mm&size=320x240&infrared_size=160x120&fps=25&duration=9"
        "&skew_ms=-2&format=gray16&contrast_k=1&gradient_k=3&noise_k=0.1&grain=1&blur_px=0.5"
        "&infrared_blur_px=0.4&inverted=no&inside=infrared&hold=1&move=2"
    )
    assert spec == BoardSpec(
        seed=7, board="circles:7x5:30mm", size_wh=(320, 240), infrared_size_wh=(160, 120), fps=25,
        duration_s=9, skew_ms=-2, gray16=True, contrast_k=1, gradient_k=3, noise_k=0.1, grain=1, blur_px=0.5,
        infrared_blur_px=0.4, inverted=False, inside=Inside.INFRARED, hold_s=1, move_s=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("synthetic://beach", "the synthetic scenes are street and board"),
        ("synthetic://board?sede=7", "unknown key 'sede', did you mean 'seed'?"),
        ("synthetic://board?board=cheese", "board must be like chessboard:9x6:23.1mm"),
        ("synthetic://board?board=charuco:7x5:30mm", "board must be like chessboard:9x6:23.1mm"),
        ("synthetic://board?board=chessboard:2x6:9mm", "3 columns and rows or more, got 2x6"),
        (
            "synthetic://board?board=charuco:7x5:30mm:22mm:DICT_NO",
            "a dictionary like DICT_5X5_100, got 'DICT_NO'",
        ),
        ("synthetic://board?board=charuco:30x30:9mm:5mm", "at most 100 markers of DICT_5X5_100, got 450"),
        ("synthetic://board?inverted=perhaps", "inverted takes yes or no, got 'perhaps'"),
        ("synthetic://board?fps=nan", "fps must be within 1..1000, got nan"),
        ("synthetic://board?size=641x480", "size_wh must be even sides within 64..4096, got 641x480"),
    ],
)
def test_a_wrong_uri_is_refused_with_one_clear_sentence(uri: str, says: str) -> None:
    """The message names what is wrong and what would be right."""
    with pytest.raises(SourceError, match=re.escape(says)) as caught:
        open_scene(uri, stream=StreamName.VISIBLE)
    assert "\n" not in str(caught.value)


def test_the_points_are_those_of_the_boards_that_are_looked_for() -> None:
    """Origin, order and metres agree with the boards of the calibration."""
    for spec in (
        "chessboard:9x6:23.1mm",
        "circles:7x5:30mm",
        "asymmetric-circles:4x11:20mm",
        "charuco:7x5:30mm:22mm",
    ):
        assert np.allclose(BoardPattern.parse(spec).points_m, Board.parse(spec).points)
