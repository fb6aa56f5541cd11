"""Where labels go."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfuse.io.overlay_places import Places

SIZE_WH = (640, 480)
FULL, SHORT = (110, 16), (30, 16)

_boxes = st.tuples(
    st.integers(-40, 620), st.integers(-40, 460), st.integers(1, 300), st.integers(1, 300)
).map(lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3]))


def _places(*boxes: tuple[int, int, int, int]) -> Places:
    return Places(SIZE_WH, np.array(boxes, np.float64).reshape(-1, 4))


def test_a_label_stands_on_its_box() -> None:
    """Where nothing is in the way, the whole text is right above the left corner."""
    assert _places((200, 100, 240, 200)).take((200, 100, 240, 200), [FULL, SHORT]) == (0, (200, 84, 310, 100))


def test_a_label_at_the_edge_stays_in_the_picture() -> None:
    """It moves inwards, or under its box."""
    assert _places().take((600, 100, 640, 200), [FULL]) == (0, (530, 84, 640, 100))
    assert _places().take((300, 2, 340, 90), [FULL]) == (0, (300, 90, 410, 106))


def test_who_is_beside_is_not_hidden() -> None:
    """A label moves away from a small neighbour whom it would hide."""
    box, neighbour = (200, 100, 240, 200), (250, 86, 258, 98)
    assert _places(box, neighbour).take(box, [FULL]) == (0, (130, 84, 240, 100))


def test_the_short_text_comes_before_hiding_somebody() -> None:
    """With neighbours on all sides there is room for the number alone."""
    box = (200, 100, 230, 200)
    around = [(x, y, x + 12, y + 14) for x in (160, 184, 234, 258) for y in (84, 102, 185, 201)]
    assert _places(box, *around).take(box, [FULL, SHORT]) == (1, (200, 84, 230, 100))


def test_without_room_there_is_none_unless_there_must_be() -> None:
    """In a crowd of tiny objects a label is left out; that of a rule is shown in any case."""
    crowd = [(x, y, x + 8, y + 8) for x in range(0, 640, 10) for y in range(0, 480, 10)]
    places = _places(*crowd)
    assert places.take((300, 300, 308, 308), [FULL, SHORT]) is None
    assert places.take((300, 300, 308, 308), [FULL], must=True) is not None
    assert _places().take((0, 0, 9, 9), [(900, 16)], must=True) is not None, "even where it does not fit"


@settings(max_examples=60)
@given(boxes=st.lists(_boxes, max_size=30))
def test_labels_lie_in_the_picture_and_never_on_each_other(boxes: list[tuple[int, int, int, int]]) -> None:
    """Wherever the objects are."""
    places = _places(*boxes)
    plates = [place[1] for box in boxes if (place := places.take(box, [FULL, SHORT])) is not None]
    for index, (left, top, right, bottom) in enumerate(plates):
        assert 0 <= left < right <= SIZE_WH[0]
        assert 0 <= top < bottom <= SIZE_WH[1]
        assert all(
            left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom
            for other in plates[:index]
        )
