"""Which poses of a board were seen, which are missing, and which moments are worth a shot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_MS, NS_PER_S
from streamfuse.core.coverage import MAP_WH, Coverage, Sight
from streamfuse.core.shots import ShotPicker, Verdict
from streamfuse.frames import StreamName

VISIBLE, INFRARED = StreamName.VISIBLE, StreamName.INFRARED
SIZE_WH = (640, 480)
BOARD = np.stack(np.meshgrid(np.arange(9.0), np.arange(6.0)), axis=-1).reshape(-1, 2) * 0.023
MIDDLE = (BOARD.min(axis=0) + BOARD.max(axis=0)) / 2
STEP_NS = 100 * NS_PER_MS


def board_at(
    at: tuple[float, float] = (0.5, 0.5),
    *,
    turn_deg: float = 0.0,
    nod_deg: float = 0.0,
    far_m: float = 0.35,
    focal_px: float = 560.0,
) -> Sight:
    """The board with its middle at shares of the picture, right side or bottom turned back."""
    y, x = math.radians(-turn_deg), math.radians(nod_deg)
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    middle = np.array(SIZE_WH) / 2 - 0.5
    place = np.append((np.array(at) * SIZE_WH - 0.5 - middle) * far_m / focal_px, far_m)
    points = np.column_stack((BOARD - MIDDLE, np.zeros(len(BOARD)))) @ (about_x @ about_y).T + place
    pixels = points[:, :2] / points[:, 2:] * focal_px + middle
    sight = Sight.of(BOARD, pixels, SIZE_WH)
    assert sight is not None
    return sight


@given(
    turn_deg=st.floats(-35, 35),
    x=st.floats(0.3, 0.7),
    y=st.floats(0.3, 0.7),
    far_m=st.floats(0.3, 0.8),
)
def test_a_sight_tells_where_the_board_is_and_how_it_is_turned(
    turn_deg: float, x: float, y: float, far_m: float
) -> None:
    """With the right focal length both tilts are exact, and the middle is where it was put."""
    sight = board_at((x, y), turn_deg=turn_deg, far_m=far_m)
    assert sight.tilt_deg(560 / 640) == pytest.approx((turn_deg, 0), abs=1e-3)
    assert sight.centre == pytest.approx((x, y), abs=1e-6)
    nodding = board_at((x, y), nod_deg=turn_deg, far_m=far_m)
    assert nodding.tilt_deg(560 / 640) == pytest.approx((0, turn_deg), abs=1e-3)


def test_nearer_is_larger() -> None:
    """The size is the root of the area between the outer points, as a share of the picture."""
    sight = board_at(far_m=0.4)
    width, height = 8 * 0.023 * 560 / 0.4, 5 * 0.023 * 560 / 0.4
    assert sight.size == pytest.approx(math.sqrt(width * height / (640 * 480)), rel=1e-6)


def test_points_on_a_line_are_no_sight() -> None:
    """One row of corners, or three of them, tell no pose."""
    assert Sight.of(BOARD[:9], BOARD[:9] * 900 + 100, SIZE_WH) is None
    assert Sight.of(BOARD[[0, 1, 9]], BOARD[[0, 1, 9]] * 900, SIZE_WH) is None


@pytest.mark.parametrize("focal_px", [350.0, 560.0, 1400.0])
def test_the_focal_length_is_guessed_from_tilted_views(focal_px: float) -> None:
    """A few tilted views tell it to an eighth, for wide and for long lenses."""
    coverage = Coverage()
    assert coverage.focal == pytest.approx(1.0)
    for turn, nod in ((30, 0), (-30, 0), (0, 30), (0, -30), (25, 25)):
        far_m = 0.35 * focal_px / 560
        coverage.take(board_at(turn_deg=turn, nod_deg=nod, far_m=far_m, focal_px=focal_px))
    assert coverage.focal == pytest.approx(focal_px / 640, rel=0.12)


def test_the_map_counts_shots_where_the_board_lay() -> None:
    """A shot at the upper left marks cells there and no others; taking it back clears them."""
    coverage = Coverage()
    coverage.take(board_at((0.25, 0.25), far_m=0.6))
    assert coverage.cells.shape == MAP_WH[::-1]
    assert coverage.cells[2, 2:4].min() == 1
    assert coverage.cells[5:].max() == 0
    assert coverage.cells[:, 6:].max() == 0
    coverage.undo()
    assert coverage.cells.max() == coverage.shots == 0


def test_what_is_missing_is_said_in_words() -> None:
    """At first everything; a tilted shot ends that wish and no other tilt's."""
    coverage = Coverage()
    words = {need.words for need in coverage.needs}
    assert "move the board to the lower right corner of the picture" in words
    assert "turn the left side of the board away from the camera" in words
    assert {"come closer with the board", "go further away with the board"} <= words
    assert coverage.progress == 0
    coverage.take(board_at(turn_deg=-25))
    left = {need.key for need in coverage.needs}
    assert "left back" not in left
    assert {"right back", "top back", "bottom back"} <= left
    assert 0 < coverage.progress < 0.5


def everything() -> list[Sight]:
    """Sights that leave nothing to wish."""
    corners = [board_at((x, y), far_m=0.5) for x in (0.18, 0.5, 0.82) for y in (0.16, 0.5, 0.84)]
    tilts = [board_at(turn_deg=t, nod_deg=n, far_m=0.3) for t, n in ((30, 0), (-30, 0), (0, 30), (0, -30))]
    return corners + tilts


def test_when_all_is_there_nothing_is_missing() -> None:
    """Progress never falls on the way, and ends at 1."""
    coverage, last = Coverage(), 0.0
    for sight in everything():
        coverage.take(sight)
        assert coverage.progress >= last - 0.06  # a better guess of the focal length may take back a tilt
        last = coverage.progress
    assert coverage.needs == ()
    assert coverage.progress == 1


def hold(picker: ShotPicker, sight: Sight, start_ns: int, *, frames: int = 4) -> list[Verdict]:
    """Show one camera a board that is still."""
    return [
        picker.judge({VISIBLE: sight}, start_ns + k * STEP_NS, sharpness_px={}).verdict for k in range(frames)
    ]


def test_a_shot_is_taken_once_the_board_is_held_still() -> None:
    """Not at first sight, but after 0.2 s; the same pose is not taken twice."""
    picker = ShotPicker([VISIBLE])
    assert hold(picker, board_at(), 0) == [Verdict.MOVING, Verdict.MOVING, Verdict.TAKE, Verdict.KNOWN]
    assert picker.shots == 1


def test_a_moving_board_is_not_taken() -> None:
    """A tenth of the picture in a second is too fast; slower than a pixel a frame is not."""
    fast, slow = ShotPicker([VISIBLE]), ShotPicker([VISIBLE])
    verdicts = []
    for frame in range(10):
        fast_sight, slow_sight = board_at((0.4 + frame * 0.01, 0.5)), board_at((0.4 + frame * 0.001, 0.5))
        judged = fast.judge({VISIBLE: fast_sight}, frame * STEP_NS, sharpness_px={})
        assert judged.verdict is Verdict.MOVING
        verdicts.append(slow.judge({VISIBLE: slow_sight}, frame * STEP_NS, sharpness_px={}).verdict)
    assert Verdict.TAKE in verdicts


def test_a_pause_is_no_stillness() -> None:
    """Two sights of one place with seconds in between say nothing of what was in between."""
    picker = ShotPicker([VISIBLE])
    for second in range(0, 12, 3):
        judged = picker.judge({VISIBLE: board_at()}, second * NS_PER_S, sharpness_px={})
        assert judged.verdict is Verdict.MOVING


def test_a_soft_picture_is_not_taken() -> None:
    """Wide edges mean that the focus is off, and whose it is is said; nobody knows: it passes."""
    picker = ShotPicker([VISIBLE])
    for frame in range(4):
        judged = picker.judge({VISIBLE: board_at()}, frame * STEP_NS, sharpness_px={VISIBLE: 9.0})
    assert judged.verdict is Verdict.BLURRED
    assert judged.words == "the visible picture is not sharp: look at the focus"
    judged = picker.judge({VISIBLE: board_at()}, 4 * STEP_NS, sharpness_px={VISIBLE: math.nan})
    assert judged.verdict is Verdict.TAKE


def test_a_pair_needs_the_board_in_both_pictures() -> None:
    """The camera that does not see it is named."""
    picker = ShotPicker([VISIBLE, INFRARED])
    for frame in range(4):
        sights = {VISIBLE: board_at(), INFRARED: None}
        judged = picker.judge(sights, frame * STEP_NS, sharpness_px={})
        assert (judged.verdict, judged.streams) == (Verdict.LOST, (INFRARED,))
    assert judged.words == "no board in the infrared picture"
    assert picker.shots == 0


def test_what_one_camera_has_seen_need_not_be_shown_to_the_other() -> None:
    """A field that only the narrower camera's picture reaches counts for the pair."""
    picker = ShotPicker([VISIBLE, INFRARED])
    place = board_at((0.6, 0.6), far_m=0.5)
    corner = board_at((0.82, 0.84), far_m=0.5)
    for frame in range(3):
        judged = picker.judge({VISIBLE: place, INFRARED: corner}, frame * STEP_NS, sharpness_px={})
    assert judged.verdict is Verdict.TAKE
    assert "lower right corner" in {need.key for need in judged.new}
    keys = {need.key for need in picker.needs}
    assert "lower right corner" not in keys
    assert "lower right corner" in {need.key for need in picker.coverage[VISIBLE].needs}


def test_a_whole_session_ends_with_everything_covered() -> None:
    """Each pose held for half a second: all are taken, progress rises to 1."""
    picker, now_ns = ShotPicker([VISIBLE]), 0
    for sight in everything():
        assert Verdict.TAKE in hold(picker, sight, now_ns, frames=5)
        now_ns += 20 * STEP_NS
    assert picker.needs == ()
    assert picker.progress == 1


def test_a_board_on_its_way_through_a_known_pose_need_not_stop() -> None:
    """What is there already is passed by; only a pose that is worth a shot asks to be held."""
    picker = ShotPicker([VISIBLE])
    hold(picker, board_at(), 0)
    passing = picker.judge({VISIBLE: board_at((0.505, 0.5))}, 4 * STEP_NS, sharpness_px={})
    assert passing.verdict is Verdict.KNOWN
    elsewhere = picker.judge({VISIBLE: board_at((0.8, 0.5), far_m=0.5)}, 5 * STEP_NS, sharpness_px={})
    assert elsewhere.verdict is Verdict.MOVING
    assert picker.shots == 1


def test_enough_is_enough() -> None:
    """A room may not allow all poses: thirty shots are taken as all there are."""
    picker = ShotPicker([VISIBLE])
    assert not picker.is_enough
    for _ in range(30):
        picker.coverage[VISIBLE].take(board_at())
    assert picker.needs
    assert picker.is_enough
