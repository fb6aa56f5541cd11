"""Drawing and JPEG."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamfuse.core.masks import encode_mask
from streamfuse.errors import OutputError
from streamfuse.frames import Detection, Temperature
from streamfuse.io.overlay import draw_overlay, encode_jpeg

GRAY = np.full((240, 320, 3), 100, np.uint8)


def _car(**changes: object) -> Detection:
    facts = {"box_xyxy": (100.4, 80.0, 180.0, 160.0), "class_id": 2, "class_name": "car", "confidence": 0.87}
    return Detection(**{**facts, **changes})  # type: ignore[arg-type]


def test_the_picture_given_is_left_alone() -> None:
    """Drawing makes a new picture, even of read-only memory; with nothing to draw it is a plain copy."""
    picture = GRAY.copy()
    picture.flags.writeable = False
    assert (draw_overlay(picture, [_car()], "hello") != GRAY).any()
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
    np.testing.assert_array_equal(drawn[110:130, 120:160].reshape(-1, 3), np.tile(inside, (800, 1)))
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
    drawn = draw_overlay(picture, [_car(box_xyxy=box) for box in boxes], "pair 12: matched")
    assert drawn.shape == picture.shape
    assert drawn.any()


def test_a_caption_stands_at_the_top_left() -> None:
    """The caption is on a white plate in the corner."""
    drawn = draw_overlay(GRAY, [], "held 120 ms")
    assert (drawn[1, 1] == 255).all()
    assert not (drawn[40:] != GRAY[40:]).any()


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
