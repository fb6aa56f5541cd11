"""Drawing and JPEG."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamfuse.core.masks import encode_mask
from streamfuse.core.trails import Trail
from streamfuse.errors import OutputError
from streamfuse.frames import ClassArea, Count, CountKind, Detection, Temperature
from streamfuse.io.overlay import draw_overlay, encode_jpeg

GRAY = np.full((240, 320, 3), 100, np.uint8)


def _car(**changes: object) -> Detection:
    facts = {"box_xyxy": (100.4, 80.0, 180.0, 160.0), "class_id": 2, "class_name": "car", "confidence": 0.87}
    return Detection(**{**facts, **changes})  # type: ignore[arg-type]


def test_the_picture_given_is_left_alone() -> None:
    """Drawing makes a new picture, even of read-only memory; with nothing to draw it is a plain copy."""
    picture = GRAY.copy()
    picture.flags.writeable = False
    assert (draw_overlay(picture, [_car()]) != GRAY).any()
    plain = draw_overlay(picture, [])
    np.testing.assert_array_equal(plain, GRAY)
    assert not np.shares_memory(plain, picture)


def test_a_box_is_drawn_where_it_is() -> None:
    """The edges of the box change, the inside and the far away do not."""
    changed = (draw_overlay(GRAY, [_car()]) != GRAY).any(axis=2)
    assert changed[80:160, 100].all()
    assert changed[160, 100:180].all()
    assert not changed[90:150, 110:170].any(), "inside"
    assert not changed[170:].any(), "below"
    assert changed[60:80, 100:130].any(), "the label stands on the box"


def test_classes_have_colours_of_their_own() -> None:
    """Two classes are told apart, the same class looks the same."""
    one, same, other = (draw_overlay(GRAY, [_car(class_id=i)])[160, 140] for i in (0, 7, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_mask_tints_its_pixels() -> None:
    """Inside the mask the picture shines through its colour, outside nothing happens."""
    mask = np.zeros((240, 320), bool)
    mask[110:130, 120:160] = True
    drawn = draw_overlay(GRAY, [_car(mask_rle=encode_mask(mask))])
    inside = drawn[120, 140].astype(int)
    assert (inside != 100).any()
    np.testing.assert_array_equal(drawn[111:129, 121:159].reshape(-1, 3), np.tile(inside, (684, 1)))
    assert (drawn[110, 120:160] == (0, 158, 115)).all(), "its edge has the colour itself"
    np.testing.assert_array_equal(drawn[100, 140], [100, 100, 100])


def test_an_empty_mask_tints_nothing() -> None:
    """A mask without pixels leaves only its box."""
    empty = encode_mask(np.zeros((240, 320), bool))
    np.testing.assert_array_equal(draw_overlay(GRAY, [_car(mask_rle=empty)]), draw_overlay(GRAY, [_car()]))


def test_a_mask_of_another_size_is_refused() -> None:
    """A mask must be that of the picture."""
    with pytest.raises(ValueError, match="320x240 mask"):
        draw_overlay(GRAY, [_car(mask_rle=(10, 5))])


@pytest.mark.parametrize("size_hw", [(240, 320), (1080, 1920), (8, 8), (1, 1)])
def test_boxes_at_and_beyond_the_edges_are_drawn_without_harm(size_hw: tuple[int, int]) -> None:
    """Labels are moved inside where they fit; nothing fails at any size."""
    height, width = size_hw
    picture = np.zeros((height, width, 3), np.uint8)
    boxes = [
        (-5.0, -5.0, 3.0, 3.0),
        (width - 1.0, height - 1.0, width + 9.0, height + 9.0),
        (0.0, 0.0, 0.0, 0.0),
    ]
    drawn = draw_overlay(picture, [_car(box_xyxy=box) for box in boxes])
    assert drawn.shape == picture.shape
    assert drawn.any()


def test_a_predicted_box_is_dashed() -> None:
    """Half of its edges are there, all of them of a box that was seen."""
    solid, dashed = (draw_overlay(GRAY, [_car(is_predicted=predicted)]) for predicted in (False, True))
    shares = [(drawn[100:160, 100] == (0, 158, 115)).all(axis=1).mean() for drawn in (solid, dashed)]
    assert shares[0] == 1
    assert 0.3 < shares[1] < 0.7


@pytest.mark.parametrize("brightness", [0, 100, 255])
def test_lines_are_seen_on_any_ground(brightness: int) -> None:
    """At night and on smoke boxes, lines and zones have something much brighter or darker than the ground."""
    ground = np.full((240, 320, 3), brightness, np.uint8)
    for drawn in (
        draw_overlay(ground, [_car()]),
        draw_overlay(ground, [], counts=[GATE]),
        draw_overlay(ground, [], counts=[YARD]),
    ):
        assert np.abs(drawn.astype(int) - brightness).max() >= 100


GATE = Count(rule="gate", kind=CountKind.LINE, points=((0.1, 0.5), (0.9, 0.5)), forward=12, backward=9)
YARD = Count(
    rule="yard", kind=CountKind.ZONE, points=((0.5, 0.5), (0.9, 0.5), (0.9, 0.9)), inside=2, longest_s=4.4
)


def test_a_line_is_drawn_where_it_is_with_its_count() -> None:
    """White from end to end, an arrow on its right, which is forward, and a label that changes with it."""
    drawn = draw_overlay(GRAY, [], counts=[GATE])
    assert (drawn[120, 40:280] > 220).all()
    changed = (drawn != GRAY).any(axis=(1, 2))
    assert changed[120:126].all(), "the arrow points down: to the right of who goes to the right"
    assert (draw_overlay(GRAY, [], counts=[replace(GATE, forward=13)]) != drawn).any()


def test_a_zone_is_tinted_within_its_outline() -> None:
    """A little brighter inside, as before outside; what it counts stands beside it."""
    drawn = draw_overlay(GRAY, [], counts=[YARD])
    assert (drawn[150, 250] > 105).all()
    assert (drawn[150, 250] < 140).all()
    np.testing.assert_array_equal(drawn[200:, :150], GRAY[200:, :150])
    assert (draw_overlay(GRAY, [], counts=[replace(YARD, inside=0)]) != drawn).any()


def test_a_count_without_a_place_draws_nothing() -> None:
    """Older recordings and other writers may not say where a rule counts."""
    np.testing.assert_array_equal(draw_overlay(GRAY, [], counts=[replace(GATE, points=())]), GRAY)


def test_an_area_is_tinted() -> None:
    """The pixels of a class change, others do not."""
    mask = np.zeros((240, 320), bool)
    mask[100:140, 50:90] = True
    area = ClassArea(class_name="curve", share=mask.mean(), mask_rle=encode_mask(mask))
    drawn = draw_overlay(GRAY, [], areas=[area])
    np.testing.assert_array_equal((drawn != GRAY).any(axis=2), mask)


def test_a_trail_goes_the_way_of_its_track() -> None:
    """From point to point in the colour of the class."""
    trail = Trail(class_id=2, points=((20, 200), (60, 200), (60, 100)))
    drawn = draw_overlay(GRAY, [], trails=[trail])
    for x, y in ((30, 200), (60, 150)):
        assert np.abs(drawn[y, x].astype(int) - (0, 158, 115)).max() < 30


def test_labels_do_not_lie_on_each_other() -> None:
    """Three objects at one place: the boxes hide each other, the plates of the labels do not."""
    drawn = draw_overlay(GRAY, [_car(class_id=number) for number in (0, 3, 6)])
    for color in ((230, 159, 0), (240, 228, 66), (204, 121, 167)):
        assert (drawn == color).all(axis=2).sum() > 250


def test_ten_thousand_objects_are_drawn() -> None:
    """It takes a second and not an hour: labels that would hide others are left out, one apart is there."""
    places = np.random.default_rng(3).uniform(0, 150, (10_000, 2))
    crowd = [_car(box_xyxy=(x, y, x + 20, y + 20), confidence=0.3) for x, y in places]
    drawn = draw_overlay(GRAY, [*crowd, _car(box_xyxy=(230, 200, 290, 230), class_id=3)])
    assert (drawn[180:200] == (240, 228, 66)).all(axis=2).sum() > 300


def test_who_is_far_away_bears_a_number_or_nothing() -> None:
    """A label is not larger than the street around its object."""
    far, near = (_car(box_xyxy=(100, 100, 100 + side, 100 + side), track_id=7) for side in (20, 60))
    speck = _car(box_xyxy=(100, 100, 108, 110), track_id=7)
    widths = [
        (draw_overlay(GRAY, [one])[:95] == (0, 158, 115)).all(axis=2).any(axis=0).sum()
        for one in (speck, far, near)
    ]
    assert widths[0] == 0
    assert 10 < widths[1] < 40
    assert widths[2] > 60


def test_a_jpeg_holds_the_colours() -> None:
    """Red stays red: the order of the channels survives the way through the file."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :24] = (200, 30, 40)
    data = encode_jpeg(picture, 95)
    assert data[:3] == b"\xff\xd8\xff"
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(back[16, 8].astype(int), (200, 30, 40), atol=6)
    assert len(encode_jpeg(picture, 10)) < len(data)


def test_what_cannot_be_a_jpeg_is_said() -> None:
    """A quality out of range and a picture without pixels are one clear error each."""
    with pytest.raises(ValueError, match=r"within 1\.\.100, got 101"):
        encode_jpeg(GRAY, 101)
    with pytest.raises(OutputError, match="cannot be a JPEG"):
        encode_jpeg(np.zeros((0, 4, 3), np.uint8))


def test_a_known_temperature_stands_in_the_label() -> None:
    """The label grows by it, and nothing else changes."""
    plain = np.zeros((240, 320, 3), np.uint8)
    person = Detection(box_xyxy=(20, 100, 90, 200), class_id=0, class_name="person", confidence=0.81)
    warm = replace(person, temperature_c=Temperature(min_c=20.0, mean_c=30.0, max_c=36.4))
    without, with_it = (draw_overlay(plain, [found]) for found in (person, warm))
    changed = (without != with_it).any(axis=2)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert rows.max() <= 101
    assert columns.max() > 120
