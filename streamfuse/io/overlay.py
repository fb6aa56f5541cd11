"""Drawing what was found into a picture, and the picture as a JPEG. This file is the only one to draw."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.core.masks import decode_window
from streamfuse.core.trails import Trail
from streamfuse.errors import OutputError
from streamfuse.frames import ClassArea, Count, CountKind, Detection

__all__ = ["draw_overlay", "encode_jpeg"]

Rgb = npt.NDArray[np.uint8]
Corners = npt.NDArray[np.int32]
"""Nx2: x and y of pixels."""
Color = tuple[int, int, int]

# One colour per class, told apart on grey and by most colour-blind eyes (Okabe and Ito, 2008), as R, G, B.
_COLORS: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_WHITE: Final = (255, 255, 255)
_DARK: Final = (16, 18, 22)
"""Lies under every line, so that it is seen on smoke as well as at night."""
_TINT: Final = 0.35
"""How much of a mask's colour lies over the picture."""
_ZONE_TINT: Final = 0.12
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_LINES_PER_SCALE: Final = 960
"""Height in pixels at which text has OpenCV's scale 1."""
_MOST_LABELS: Final = 100
"""Among more nobody could read any; the surest objects have theirs."""
_DASH: Final = 5
"""Length of a dash and of the gap after it, in widths of the line."""
_FAR: Final = 1 << 14
"""Pixels from the picture beyond which a corner is moved nearer: OpenCV's lines are that long at most."""


def draw_overlay(
    rgb: Rgb,
    detections: Sequence[Detection],
    *,
    counts: Sequence[Count] = (),
    areas: Sequence[ClassArea] = (),
    trails: Sequence[Trail] = (),
) -> Rgb:
    """A copy of a picture with what was found in it: masks, trails, boxes with labels, lines and zones.

    The box of an object that was not seen but predicted is dashed.

    Args:
        rgb: HxWx3 uint8 in the order R, G, B.
        detections: boxes in pixels of ``rgb``; masks of its size.
        counts: what rules have counted; each is drawn with its line or zone.
        areas: classes of the pixels; masks of the picture's size.
        trails: in pixels of ``rgb``.

    Raises:
        ValueError: a mask is not of the picture's size.
    """
    pen = _Pen(np.array(rgb, order="C"))
    boxes = _corners([found.box_xyxy for found in detections]).reshape(-1, 2, 2)
    for area in areas:
        pen.tint(area.mask_rle, _color(zlib.crc32(area.class_name.encode())))
    for found in detections:
        if found.mask_rle is not None:
            pen.mask(found.mask_rle, _color(found.class_id))
    for count in counts:
        pen.shape(count)
    for trail in trails:
        pen.lines(_corners(trail.points), _color(trail.class_id))
    for found, box in zip(detections, boxes, strict=True):
        pen.box(box.tolist(), _color(found.class_id), dashed=found.is_predicted)
    for count in counts:
        pen.label(_count_text(count), pen.places(count.points), _DARK)
    surest = sorted(range(len(boxes)), key=lambda index: -detections[index].confidence)
    for index in surest[:_MOST_LABELS]:
        pen.label(_caption(detections[index]), boxes[index], _color(detections[index].class_id))
    pen.write()
    return pen.rgb


def encode_jpeg(rgb: Rgb, quality: int = 80) -> bytes:
    """A picture as a JPEG file.

    Args:
        rgb: HxWx3 uint8 in the order R, G, B.
        quality: 1 (small) to 100 (exact but for rounding).

    Raises:
        ValueError: ``quality`` is outside its range.
        OutputError: the picture has no pixels, or more than JPEG can hold (65535 a side).
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be within 1..100, got {quality}")
    try:
        done, buffer = cv2.imencode(
            ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
    except cv2.error as error:
        raise OutputError(f"a picture of shape {rgb.shape} cannot be a JPEG: {error.err}") from error
    if not done:
        raise OutputError(f"a picture of shape {rgb.shape} cannot be a JPEG")
    return buffer.tobytes()


class _Pen:
    """Draws into ``rgb``, in lines that suit its size."""

    def __init__(self, rgb: Rgb) -> None:
        self.rgb = rgb
        self._size_wh = rgb.shape[1], rgb.shape[0]
        self._width = max(1, round(len(rgb) / 320))
        self._taken: list[tuple[int, int, int, int]] = []
        """Left, top, right, bottom of the labels so far."""
        self._labels: list[tuple[str, tuple[int, int], Color]] = []
        self._text = max(0.4, len(rgb) / _LINES_PER_SCALE), max(1, self._width // 2)
        """Scale and weight of the letters."""

    def tint(self, runs: Sequence[int], color: Color) -> None:
        """Let a mask shine through its colour."""
        mask, (left, top) = decode_window(runs, self._size_wh)
        if mask.size:
            height, width = mask.shape
            part = self.rgb[top : top + height, left : left + width]
            tinted = cv2.addWeighted(part, 1 - _TINT, np.full_like(part, color), _TINT, 0)
            np.copyto(part, tinted, where=mask[..., None])

    def mask(self, runs: Sequence[int], color: Color) -> None:
        """Tint a mask and go around it: at night the tint alone is hardly seen, on smoke neither."""
        self.tint(runs, color)
        mask, corner_xy = decode_window(runs, self._size_wh)
        if mask.size:
            edges, _ = cv2.findContours(
                mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=corner_xy
            )
            cv2.drawContours(self.rgb, edges, -1, color, max(1, self._width // 2))

    def shape(self, count: Count) -> None:
        """The line of a rule with an arrow to where ``forward`` is, or its zone."""
        corners = self.places(count.points)
        if len(corners) == 0:
            return
        if count.kind is CountKind.ZONE:
            filled = cv2.fillPoly(self.rgb.copy(), [corners], _WHITE)
            cv2.addWeighted(filled, _ZONE_TINT, self.rgb, 1 - _ZONE_TINT, 0, dst=self.rgb)
            self.lines(np.concatenate((corners, corners[:1])), _WHITE)
            return
        (x, y), (dx, dy) = corners.mean(axis=0), (corners[-1] - corners[0]).astype(float)
        reach = 12 * self._width / max(1.0, float(np.hypot(dx, dy)))
        tip = _corners([(x - dy * reach, y + dx * reach)])[0]  # to the right of the way, as y points down
        for ink, width in ((_DARK, 3 * self._width), (_WHITE, self._width)):
            cv2.arrowedLine(self.rgb, (round(x), round(y)), tuple(tip.tolist()), ink, width, tipLength=0.5)
        self.lines(corners, _WHITE)

    def lines(self, corners: Corners, color: Color) -> None:
        """Straight lines from corner to corner."""
        for ink, width in ((_DARK, self._width + 2), (color, self._width)):
            cv2.polylines(self.rgb, [corners], False, ink, width, cv2.LINE_AA)

    def box(self, corners: list[list[int]], color: Color, *, dashed: bool) -> None:
        """The outline of a box, given its upper left and its lower right corner."""
        (left, top), (right, bottom) = corners
        if not dashed:
            cv2.rectangle(self.rgb, (left, top), (right, bottom), _DARK, self._width + 2)
            cv2.rectangle(self.rgb, (left, top), (right, bottom), color, self._width)
            return
        step = 2 * _DASH * self._width
        width, height = self._size_wh
        for x in range(max(left, 0), min(right, width), step):
            for y in (top, bottom):
                cv2.line(self.rgb, (x, y), (min(x + step // 2, right), y), color, self._width)
        for y in range(max(top, 0), min(bottom, height), step):
            for x in (left, right):
                cv2.line(self.rgb, (x, y), (x, min(y + step // 2, bottom)), color, self._width)

    def label(self, text: str, corners: Corners, color: Color) -> None:
        """Find a plate for a text above, below or in what ``corners`` surround, where no other label lies."""
        if len(corners) == 0:
            return
        (width, height), baseline = cv2.getTextSize(text, _FONT, *self._text)
        height += 2 * baseline
        (left, top), bottom = corners.min(axis=0).tolist(), int(corners[:, 1].max())
        left = max(0, min(left, self._size_wh[0] - width))
        last = max(0, self._size_wh[1] - height)
        heights = (top - height, bottom, top, *(top - n * height for n in (2, 3)), bottom + height)
        nearest = min(max(top - height, 0), last)
        plates = [(left, y, left + width, y + height) for y in (*heights, nearest) if 0 <= y <= last]
        free = (each for each in plates if not any(_meet(each, other) for other in self._taken))
        plate = next(free, plates[0])
        self._taken.append(plate)
        self._labels.append((text, (left, plate[3] - baseline), color))

    def write(self) -> None:
        """Draw the labels: where there is no room for all, the first ones lie on top."""
        scale, weight = self._text
        for plate, (text, at, color) in zip(reversed(self._taken), reversed(self._labels), strict=True):
            left, top, right, bottom = plate
            self.rgb[top:bottom, left:right] = color
            ink = (0, 0, 0) if sum(color) > 380 else _WHITE
            cv2.putText(self.rgb, text, at, _FONT, scale, ink, weight, cv2.LINE_AA)

    def places(self, points: Sequence[tuple[float, float]]) -> Corners:
        """Shares of the picture in pixels."""
        width, height = self._size_wh
        return _corners([(x * (width - 1), y * (height - 1)) for x, y in points])


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _corners(points: Sequence[Sequence[float]]) -> Corners:
    return np.rint(np.clip(np.array(points, np.float64).reshape(-1, 2), -_FAR, _FAR)).astype(np.int32)


def _caption(found: Detection) -> str:
    """Class, track and confidence, and where it is known the temperature of the hottest pixel."""
    track = "" if found.track_id is None else f" #{found.track_id}"
    words = f"{found.class_name}{track} {found.confidence:.2f}"
    heat = found.temperature_c
    return words if heat is None else f"{words} {heat.max_c:.1f} °C"


def _count_text(count: Count) -> str:
    if count.kind is CountKind.LINE:
        return f"{count.rule}: {count.forward} forward, {count.backward} back"
    dwell = f" for {count.longest_s:.0f} s" if count.inside else ""
    return f"{count.rule}: {count.inside} inside{dwell}, {count.entered} entered"


def _color(number: int) -> Color:
    return _COLORS[number % len(_COLORS)]
