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
from streamfuse.io.overlay_places import Places

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
_BLACK: Final = (0, 0, 0)
_LUMA: Final = (0.299, 0.587, 0.114)
"""What R, G and B give to brightness (BT.601)."""
_DARK: Final = (16, 18, 22)
"""Lies under every line, so that it is seen on smoke as well as at night."""
_TINT: Final = 0.35
"""How much of a mask's colour lies over the picture."""
_ZONE_TINT: Final = 0.12
_FONT: Final = cv2.FontFace("sans")
_WEIGHT: Final = 600
_LINES_PER_LETTER: Final = 42
"""Height of the picture in heights of its letters."""
_LEAST_LETTER_PX: Final = 11
_MOST_LABELS: Final = 100
"""Among more nobody could read any; the largest objects have theirs."""
_SPECK, _SMALL = 1.3, 3.0
"""Longer side of a box, in heights of letters, below which an object has no label, or only its number."""
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
    corners = _corners([found.box_xyxy for found in detections])
    boxes = corners.reshape(-1, 4).tolist()
    pen = _Pen(
        np.array(rgb, order="C"), Places((rgb.shape[1], rgb.shape[0]), corners.reshape(-1, 4).astype(float))
    )
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
        pen.box(box, _color(found.class_id), dashed=found.is_predicted)
    for count in counts:
        pen.name_rule(count)
    largest = sorted(range(len(boxes)), key=lambda i: (-_side(boxes[i]), -detections[i].confidence))
    for index in largest[:_MOST_LABELS]:
        pen.name(detections[index], boxes[index])
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

    def __init__(self, rgb: Rgb, places: Places) -> None:
        self.rgb = rgb
        self._size_wh = rgb.shape[1], rgb.shape[0]
        self._width = max(1, round(len(rgb) / 320))
        self._letter = max(_LEAST_LETTER_PX, round(len(rgb) / _LINES_PER_LETTER))
        """Height of the letters in pixels."""
        self._places = places
        self._labels: list[tuple[str, tuple[int, int, int, int], Color]] = []

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

    def box(self, edges: Sequence[int], color: Color, *, dashed: bool) -> None:
        """The outline of a box: left, top, right, bottom. Thin around who is far away and would be hidden."""
        left, top, right, bottom = edges
        width = self._width if _side(edges) >= _SMALL * self._letter else max(1, self._width // 2)
        if not dashed:
            cv2.rectangle(self.rgb, (left, top), (right, bottom), _DARK, width + 2)
            cv2.rectangle(self.rgb, (left, top), (right, bottom), color, width)
            return
        step = 2 * _DASH * width
        for x in range(max(left, 0), min(right, self._size_wh[0]), step):
            for y in (top, bottom):
                cv2.line(self.rgb, (x, y), (min(x + step // 2, right), y), color, width)
        for y in range(max(top, 0), min(bottom, self._size_wh[1]), step):
            for x in (left, right):
                cv2.line(self.rgb, (x, y), (x, min(y + step // 2, bottom)), color, width)

    def name(self, found: Detection, edges: Sequence[int]) -> None:
        """Find a place for the label of an object, as far as it is large enough for one."""
        letters = _side(edges) / self._letter
        texts = [] if letters < _SPECK else _captions(found)[-1:] if letters < _SMALL else _captions(found)
        self._label(texts, _grown(edges, self._width), _color(found.class_id), must=False)

    def name_rule(self, count: Count) -> None:
        """Find a place for what a rule has counted."""
        corners = self.places(count.points)
        if len(corners):
            edges = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
            self._label([_count_text(count)], _grown(edges, 2 * self._width), _DARK, must=True)

    def _label(self, texts: Sequence[str], box: Sequence[float], color: Color, *, must: bool) -> None:
        sizes = [self._plate_wh(text) for text in texts]
        if place := self._places.take(box, sizes, must=must):
            number, plate = place
            self._labels.append((texts[number], plate, color))

    def _plate_wh(self, text: str) -> tuple[int, int]:
        _, _, width, _ = cv2.getTextSize(self._size_wh, text, (0, 0), _FONT, self._letter, _WEIGHT)
        return width + self._letter // 2 + 1, round(1.4 * self._letter)

    def write(self) -> None:
        """Draw the labels."""
        for text, (left, top, right, bottom), color in self._labels:
            self.rgb[max(top, 0) : bottom, max(left, 0) : right] = color
            ink = _BLACK if np.dot(color, _LUMA) > 100 else _WHITE
            start = left + self._letter // 4, bottom - round(0.37 * self._letter)
            cv2.putText(self.rgb, text, start, ink, _FONT, self._letter, _WEIGHT)

    def places(self, points: Sequence[tuple[float, float]]) -> Corners:
        """Shares of the picture in pixels."""
        width, height = self._size_wh
        return _corners([(x * (width - 1), y * (height - 1)) for x, y in points])


def _side(edges: Sequence[int]) -> int:
    """The longer side of a box."""
    return max(edges[2] - edges[0], edges[3] - edges[1])


def _grown(edges: Sequence[float], by: int) -> tuple[float, float, float, float]:
    """A box with its outline."""
    left, top, right, bottom = edges
    return left - by, top - by, right + by + 1, bottom + by + 1


def _corners(points: Sequence[Sequence[float]]) -> Corners:
    return np.rint(np.clip(np.array(points, np.float64).reshape(-1, 2), -_FAR, _FAR)).astype(np.int32)


def _captions(found: Detection) -> list[str]:
    """Class, track, confidence and, where it is known, the temperature of the hottest pixel; then ever less.

    The last one is for objects far away: their number, as their colour tells the class.
    """
    heat = "" if found.temperature_c is None else f" {found.temperature_c.max_c:.1f} °C"
    if found.track_id is None:
        return [f"{found.class_name} {found.confidence:.0%}{heat}", f"{found.class_name}{heat}"]
    named = f"{found.class_name} #{found.track_id}"
    return [f"{named} {found.confidence:.0%}{heat}", f"{named}{heat}", f"#{found.track_id}"]


def _count_text(count: Count) -> str:
    if count.kind is CountKind.LINE:
        return f"{count.rule}: {count.forward} forward, {count.backward} back"
    dwell = f" for {count.longest_s:.0f} s" if count.inside else ""
    return f"{count.rule}: {count.inside} inside{dwell}, {count.entered} entered"


def _color(number: int) -> Color:
    return _COLORS[number % len(_COLORS)]
