"""Where labels go in a picture: not on each other, and not on what they speak of or what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Places"]

Floats = npt.NDArray[np.float64]
Plate = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

_HARMLESS: Final = 0.15
"""How much of any object a label may hide without a second thought."""
_BEARABLE: Final = 0.4
"""How much, where there is no better place; beyond it there is no label."""


class Places:
    """The places of one picture; each label takes one.

    Args:
        size_wh: of the picture, in pixels.
        boxes: (N, 4) left, top, right, bottom of its objects, which labels are to leave in view.
    """

    def __init__(self, size_wh: tuple[int, int], boxes: Floats) -> None:
        self._size_wh = size_wh
        self._boxes = boxes
        self._areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1.0)
        self._taken: list[Plate] = []

    def take(
        self, box: Sequence[float], sizes_wh: Sequence[tuple[int, int]], *, must: bool = False
    ) -> tuple[int, Plate] | None:
        """The best place at a box for one of some texts, longer ones first.

        A shorter text in a good place goes before a longer one that hides objects. The same picture always
        has the same places.

        Args:
            box: left, top, right, bottom in pixels.
            sizes_wh: of each text with its plate; one at least.
            must: the last text is shown in any case, even on another label.

        Returns:
            Which text, and where; None where there is no room for any.
        """
        best: tuple[float, int, Plate] | None = None
        for number, size_wh in enumerate(sizes_wh):
            plates = [plate for plate in self._around(box, size_wh) if self._is_free(plate)]
            for plate, harm in zip(plates, self._harm(plates), strict=True):
                if harm <= _HARMLESS:
                    self._taken.append(plate)
                    return number, plate
                if (must or harm <= _BEARABLE) and (best is None or harm < best[0]):
                    best = harm, number, plate
        if best is None and must:
            best = 1.0, len(sizes_wh) - 1, self._nearest(box, sizes_wh[-1])
        if best is None:
            return None
        self._taken.append(best[2])
        return best[1:]

    def _around(self, box: Sequence[float], size_wh: tuple[int, int]) -> list[Plate]:
        """Places that touch a box and are within the picture, the most usual first."""
        (left, top, right, bottom), (width, height) = (round(edge) for edge in box), size_wh
        corners = [
            (left, top - height),
            (right - width, top - height),
            (left, bottom),
            (right - width, bottom),
            (right, top),
            (left - width, top),
            (left, top),
            (right - width, bottom - height),
        ]
        most_x, most_y = self._size_wh[0] - width, self._size_wh[1] - height
        # A label over or under a box may be wider than it; at the edge of the picture it moves inwards.
        inwards = [
            (min(max(x, 0), most_x), y) if y + height <= top or y >= bottom else (x, y) for x, y in corners
        ]
        return [(x, y, x + width, y + height) for x, y in inwards if 0 <= x <= most_x and 0 <= y <= most_y]

    def _nearest(self, box: Sequence[float], size_wh: tuple[int, int]) -> Plate:
        x = max(0, min(round(box[0]), self._size_wh[0] - size_wh[0]))
        y = max(0, min(round(box[1]) - size_wh[1], self._size_wh[1] - size_wh[1]))
        return x, y, x + size_wh[0], y + size_wh[1]

    def _is_free(self, plate: Plate) -> bool:
        left, top, right, bottom = plate
        return not any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
            for other in self._taken
        )

    def _harm(self, plates: Sequence[Plate]) -> list[float]:
        """For each place, the largest share of an object that a label would hide there; 0..1."""
        if not plates or not len(self._boxes):
            return [0.0] * len(plates)
        at = np.array(plates, np.float64)[:, None]
        shared = np.minimum(at[..., 2:], self._boxes[:, 2:]) - np.maximum(at[..., :2], self._boxes[:, :2])
        hidden: list[float] = (np.clip(shared, 0, None).prod(axis=2) / self._areas).max(axis=1).tolist()
        return hidden
