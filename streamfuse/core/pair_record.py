"""A fused frame as a plain record: what the publishers send and what the index of a recording keeps.

A record holds only what JSON knows, so ``json.dumps`` takes it as it is. Floats are rounded to what
the measurement can bear: milliseconds to 1 µs, boxes to 0.01 pixel, confidences to 0.0001,
temperatures to 0.01 °C, shares of the image to a millionth, dwell to 0.01 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamfuse.clock import Utc, utc_text
from streamfuse.frames import (
    ClassArea,
    Count,
    CountKind,
    Detection,
    Event,
    EventPhase,
    FusedFrame,
    Temperature,
)

__all__ = [
    "PAIR_SCHEMA",
    "area_of",
    "count_of",
    "count_record",
    "detection_of",
    "event_of",
    "event_record",
    "pair_record",
]

PAIR_SCHEMA = 1
"""Version of the record; it rises when a key changes its meaning or goes, not when one is added."""

_MS_DIGITS = 3
_BOX_DIGITS = 2
_CONFIDENCE_DIGITS = 4
_CELSIUS_DIGITS = 2
_SHARE_DIGITS = 6
_SECOND_DIGITS = 2

_COUNTED = {
    CountKind.LINE: ("forward", "backward"),
    CountKind.ZONE: ("inside", "entered", "left"),
}
"""The numbers of a :class:`~streamfuse.frames.Count` that mean something, by its kind."""


def pair_record(frame: FusedFrame, utc: Utc) -> dict[str, object]:
    """The record of one fused frame, without its pixels.

    Keys: ``schema``, ``pair_id``, ``capture_utc`` (ISO 8601 with milliseconds and ``Z``, rounded
    down), ``capture_ns`` (monotonic), ``state``, ``skew_ms``, ``infrared_age_ms``, ``visible_seq``,
    ``infrared_seq``, ``detections``, ``events``, ``counts``, ``areas``. What the frame does not have is None.

    A detection has ``class``, ``class_id``, ``confidence`` (0..1), ``box`` (left, top, right, bottom in
    pixels of the fused image), ``box_visible`` and ``box_infrared`` (the same in pixels of that camera's
    image), ``track_id``, ``predicted`` (not seen in this image), ``mask`` (run lengths, as in
    :class:`~streamfuse.frames.Detection`) and ``temperature_c`` (``min``, ``mean`` and ``max`` in °C within
    its mask, or else its box). An event has ``id``, ``rule``, ``phase`` (begun, going, ended), ``began_utc``,
    ``began_ns`` and ``objects``, that of a bumped bracket also ``shift_px``. A count has ``rule``, ``kind``,
    ``points`` (shares of the image) and, for a line, ``forward`` and ``backward``, for a zone ``inside``,
    ``entered``, ``left`` and ``longest_s``. An area has ``class``, ``share`` (0..1) and ``mask``.
    """
    return {
        "schema": PAIR_SCHEMA,
        "pair_id": frame.pair_id,
        "capture_utc": utc_text(utc.utc_of(frame.capture_ns)),
        "capture_ns": frame.capture_ns,
        "state": frame.state.value,
        "skew_ms": _rounded_ms(frame.skew_ms),
        "infrared_age_ms": _rounded_ms(frame.infrared_age_ms),
        "visible_seq": frame.visible_seq,
        "infrared_seq": frame.infrared_seq,
        "detections": [_record_of(detection) for detection in frame.detections],
        "events": [event_record(event, utc) for event in frame.events],
        "counts": [count_record(count) for count in frame.counts],
        "areas": [_record_of_area(area) for area in frame.areas],
    }


def detection_of(record: Mapping[str, Any]) -> Detection:
    """The detection that one entry of a record's ``detections`` describes.

    Raises:
        ValueError: a key is missing or its value cannot be what the key means.
    """
    try:
        box, track_id, mask = record["box"], record["track_id"], record["mask"]
        # These are not in recordings of older versions.
        temperature, box_infrared = record.get("temperature_c"), record.get("box_infrared")
        box_visible = record.get("box_visible", box)
        return Detection(
            box_xyxy=_box_of(box),
            box_visible_xyxy=None if box_visible == box else _box_of(box_visible),
            box_infrared_xyxy=None if box_infrared is None else _box_of(box_infrared),
            class_id=int(record["class_id"]),
            class_name=str(record["class"]),
            confidence=float(record["confidence"]),
            track_id=None if track_id is None else int(track_id),
            is_predicted=record.get("predicted", False) is True,
            mask_rle=None if mask is None else tuple(int(run) for run in mask),
            temperature_c=None if temperature is None else _temperature_of(temperature),
        )
    except KeyError as error:
        raise ValueError(f"a detection needs the key {error}, got only {sorted(record)}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"a detection cannot be read from {dict(record)}: {error}") from error


def event_of(record: Mapping[str, Any]) -> Event:
    """The event that one entry of a record's ``events`` describes.

    Raises:
        ValueError: a key is missing or its value cannot be what the key means.
    """
    try:
        shift = record.get("shift_px")
        return Event(
            id=str(record["id"]),
            rule=str(record["rule"]),
            phase=EventPhase(record["phase"]),
            began_ns=int(record["began_ns"]),
            objects=int(record["objects"]),
            shift_px=None if shift is None else (float(shift[0]), float(shift[1])),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"an event cannot be read from {dict(record)}: {error}") from error


def count_of(record: Mapping[str, Any]) -> Count:
    """The count that one entry of a record's ``counts`` describes.

    Raises:
        ValueError: a key is missing or its value cannot be what the key means.
    """
    try:
        kind = CountKind(record["kind"])
        return Count(
            rule=str(record["rule"]),
            kind=kind,
            points=tuple((float(x), float(y)) for x, y in record["points"]),
            longest_s=float(record["longest_s"]) if kind is CountKind.ZONE else 0.0,
            **{name: int(record[name]) for name in _COUNTED[kind]},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a count cannot be read from {dict(record)}: {error}") from error


def area_of(record: Mapping[str, Any]) -> ClassArea:
    """The area that one entry of a record's ``areas`` describes.

    Raises:
        ValueError: a key is missing or its value cannot be what the key means.
    """
    try:
        return ClassArea(
            class_name=str(record["class"]),
            share=float(record["share"]),
            mask_rle=tuple(int(run) for run in record["mask"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"an area cannot be read from {dict(record)}: {error}") from error


def event_record(event: Event, utc: Utc) -> dict[str, object]:
    """One entry of a record's ``events``."""
    shift = {} if event.shift_px is None else {"shift_px": [round(px, _BOX_DIGITS) for px in event.shift_px]}
    return {
        "id": event.id,
        "rule": event.rule,
        "phase": event.phase.value,
        "began_utc": utc_text(utc.utc_of(event.began_ns)),
        "began_ns": event.began_ns,
        "objects": event.objects,
        **shift,
    }


def count_record(count: Count) -> dict[str, object]:
    """One entry of a record's ``counts``."""
    record: dict[str, object] = {
        "rule": count.rule,
        "kind": count.kind.value,
        "points": [[float(x), float(y)] for x, y in count.points],
        **{name: int(getattr(count, name)) for name in _COUNTED[count.kind]},
    }
    if count.kind is CountKind.ZONE:
        record["longest_s"] = round(float(count.longest_s), _SECOND_DIGITS)
    return record


def _record_of(detection: Detection) -> dict[str, object]:
    # float() and int(): detectors hand over numpy scalars, which JSON does not know.
    mask, track_id, heat = detection.mask_rle, detection.track_id, detection.temperature_c
    box_infrared = detection.box_infrared_xyxy
    return {
        "class": detection.class_name,
        "class_id": int(detection.class_id),
        "confidence": round(float(detection.confidence), _CONFIDENCE_DIGITS),
        "box": _rounded_box(detection.box_xyxy),
        "box_visible": _rounded_box(detection.box_visible_xyxy or detection.box_xyxy),
        "box_infrared": None if box_infrared is None else _rounded_box(box_infrared),
        "track_id": None if track_id is None else int(track_id),
        "predicted": bool(detection.is_predicted),
        "mask": None if mask is None else [int(run) for run in mask],
        "temperature_c": None if heat is None else _celsius_of(heat),
    }


def _record_of_area(area: ClassArea) -> dict[str, object]:
    return {
        "class": area.class_name,
        "share": round(float(area.share), _SHARE_DIGITS),
        "mask": [int(run) for run in area.mask_rle],
    }


def _box_of(sides: Sequence[Any]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(side) for side in sides)
    return left, top, right, bottom


def _rounded_box(sides: Sequence[float]) -> list[float]:
    return [round(float(side), _BOX_DIGITS) for side in sides]


def _celsius_of(heat: Temperature) -> dict[str, float]:
    values = {"min": heat.min_c, "mean": heat.mean_c, "max": heat.max_c}
    return {key: round(float(value), _CELSIUS_DIGITS) for key, value in values.items()}


def _temperature_of(record: Mapping[str, Any]) -> Temperature:
    return Temperature(min_c=float(record["min"]), mean_c=float(record["mean"]), max_c=float(record["max"]))


def _rounded_ms(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(float(value_ms), _MS_DIGITS)
