"""Records of fused frames: what JSON gets and what comes back from it."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_MS, NS_PER_S, UtcLabel
from streamfuse.core.pair_record import (
    PAIR_SCHEMA,
    area_of,
    count_of,
    detection_of,
    event_of,
    pair_record,
)
from streamfuse.frames import (
    ClassArea,
    Count,
    CountKind,
    Detection,
    Event,
    EventPhase,
    FusedFrame,
    Image,
    PairState,
    Temperature,
)

UTC_NS = int(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC).timestamp()) * NS_PER_S
LABEL = UtcLabel(monotonic_ns=5 * NS_PER_S, utc_ns=UTC_NS)


def fused(
    *detections: Detection, capture_ns: int = 0, skew_ms: float | None = None, age_ms: float | None = None
) -> FusedFrame:
    """A frame of a visible camera alone, or a matched one where a skew is given."""
    matched = skew_ms is not None
    return FusedFrame(
        pair_id=7,
        state=PairState.MATCHED if matched else PairState.VISIBLE_ONLY,
        image=Image.from_rgb(np.zeros((2, 4, 3), np.uint8)),
        capture_ns=capture_ns,
        fused_ns=capture_ns + NS_PER_MS,
        skew_ms=skew_ms,
        infrared_age_ms=age_ms,
        visible_seq=41,
        infrared_seq=40 if matched else None,
        detections=detections,
    )


boxes = st.tuples(*[st.floats(-1e4, 1e4)] * 4).map(
    lambda sides: (min(sides[::2]), min(sides[1::2]), max(sides[::2]), max(sides[1::2]))
)
temperatures = st.lists(st.floats(-273, 2000), min_size=3, max_size=3).map(
    lambda values: Temperature(**dict(zip(("min_c", "mean_c", "max_c"), sorted(values), strict=True)))
)
detections = st.builds(
    Detection,
    box_xyxy=boxes,
    box_visible_xyxy=st.none() | boxes,
    box_infrared_xyxy=st.none() | boxes,
    is_predicted=st.booleans(),
    class_id=st.integers(0, 999),
    class_name=st.text(),
    confidence=st.floats(0, 1),
    track_id=st.none() | st.integers(0, 2**31),
    mask_rle=st.none() | st.lists(st.integers(0, 2**20)).map(tuple),
    temperature_c=st.none() | temperatures,
)


def test_a_matched_frame_gives_every_key() -> None:
    """The record of a matched frame tells its pair, times, frames and detections in JSON's own types."""
    car = Detection(box_xyxy=(1.234, 2.0, 3.456, 4.0), class_id=2, class_name="car", confidence=0.87654)
    record = pair_record(fused(car, capture_ns=6 * NS_PER_S, skew_ms=-3.14159, age_ms=3.14159), LABEL)
    assert record == {
        "schema": PAIR_SCHEMA,
        "pair_id": 7,
        "capture_utc": "2026-03-02T00:00:00.000Z",
        "capture_ns": 6_000_000_000,
        "state": "matched",
        "skew_ms": -3.142,
        "infrared_age_ms": 3.142,
        "visible_seq": 41,
        "infrared_seq": 40,
        "detections": [
            {
                "class": "car",
                "class_id": 2,
                "confidence": 0.8765,
                "box": [1.23, 2.0, 3.46, 4.0],
                "box_visible": [1.23, 2.0, 3.46, 4.0],
                "box_infrared": None,
                "track_id": None,
                "predicted": False,
                "mask": None,
                "temperature_c": None,
            }
        ],
        "events": [],
        "counts": [],
        "areas": [],
    }


def test_what_a_frame_lacks_is_none() -> None:
    """Without an infrared frame its number, age and the skew are None, not 0."""
    record = pair_record(fused(), LABEL)
    assert [record[key] for key in ("skew_ms", "infrared_age_ms", "infrared_seq")] == [None, None, None]
    assert record["detections"] == []


@pytest.mark.parametrize(
    ("after_label_ns", "label"),
    [
        (0, "2026-03-01T23:59:59.000Z"),
        (999_999, "2026-03-01T23:59:59.000Z"),
        (NS_PER_MS, "2026-03-01T23:59:59.001Z"),
        (-1, "2026-03-01T23:59:58.999Z"),
    ],
)
def test_utc_is_labelled_to_the_millisecond(after_label_ns: int, label: str) -> None:
    """The label is ISO 8601 in UTC with milliseconds, rounded down, also before the label was read."""
    record = pair_record(fused(capture_ns=LABEL.monotonic_ns + after_label_ns), LABEL)
    assert record["capture_utc"] == label


def test_numpy_numbers_of_a_detector_become_json() -> None:
    """A detection made of numpy scalars can be written as JSON."""
    side: Any = np.float32(1.5)
    number: Any = np.int64(9)
    found = Detection(
        box_xyxy=(side, side, side, side),
        class_id=number,
        class_name="person",
        confidence=side / 3,
        track_id=number,
        mask_rle=(number, number),
    )
    (entry,) = json.loads(json.dumps(pair_record(fused(found), LABEL)))["detections"]
    assert (entry["box"], entry["confidence"]) == ([1.5] * 4, 0.5)
    assert (entry["class_id"], entry["track_id"], entry["mask"]) == (9, 9, [9, 9])


def test_a_temperature_is_written_in_hundredths_and_read_back() -> None:
    """The record has min, mean and max in °C; a record of an older version without the key is read, too."""
    heat = Temperature(min_c=20.126, mean_c=30.0, max_c=36.444)
    person = Detection(
        box_xyxy=(0, 0, 2, 2), class_id=0, class_name="person", confidence=0.5, temperature_c=heat
    )
    (entry,) = json.loads(json.dumps(pair_record(fused(person), LABEL)))["detections"]
    assert entry["temperature_c"] == {"min": 20.13, "mean": 30.0, "max": 36.44}
    assert detection_of(entry).temperature_c == Temperature(min_c=20.13, mean_c=30.0, max_c=36.44)
    del entry["temperature_c"]
    assert detection_of(entry).temperature_c is None


def test_an_event_is_read_back_as_it_was_written() -> None:
    """What a rule says of a frame survives the way through JSON, with its beginning in both clocks."""
    event = Event(id="gate-7", rule="gate", phase=EventPhase.BEGUN, began_ns=LABEL.monotonic_ns, objects=2)
    record = pair_record(dataclasses.replace(fused(), events=(event,)), LABEL)
    (entry,) = json.loads(json.dumps(record))["events"]
    assert entry["began_utc"] == "2026-03-01T23:59:59.000Z"
    assert event_of(entry) == event
    with pytest.raises(ValueError, match="'phase'"):
        event_of({key: value for key, value in entry.items() if key != "phase"})


def test_an_older_record_has_neither_infrared_box_nor_prediction() -> None:
    """The detections of recordings made before these keys are read as they were meant."""
    car = Detection(
        box_xyxy=(0, 0, 2, 2),
        box_infrared_xyxy=(0, 0, 1, 1),
        is_predicted=True,
        class_id=2,
        class_name="car",
        confidence=0.5,
    )
    (entry,) = json.loads(json.dumps(pair_record(fused(car), LABEL)))["detections"]
    assert detection_of(entry) == car
    del entry["box_infrared"], entry["predicted"]
    assert detection_of(entry) == dataclasses.replace(car, box_infrared_xyxy=None, is_predicted=False)


LINE = Count(rule="gate", kind=CountKind.LINE, points=((0.25, 0.5), (0.75, 0.5)), forward=3, backward=1)
ZONE = Count(
    rule="yard",
    kind=CountKind.ZONE,
    points=((0, 0), (1, 0), (1, 1)),
    inside=2,
    entered=9,
    left=7,
    longest_s=4.5,
)


@pytest.mark.parametrize("count", [LINE, ZONE])
def test_a_count_is_read_back_as_it_was_written(count: Count) -> None:
    """A line tells its crossings, a zone who is and was there, and neither what it does not count."""
    record = pair_record(dataclasses.replace(fused(), counts=(count,)), LABEL)
    (entry,) = json.loads(json.dumps(record))["counts"]
    assert count_of(entry) == count
    assert ("forward" in entry, "inside" in entry) == (count is LINE, count is ZONE)
    for key in entry:
        with pytest.raises(ValueError, match=f"'{key}'"):
            count_of({name: value for name, value in entry.items() if name != key})


def test_an_area_is_read_back_as_it_was_written() -> None:
    """Class, share and mask survive the way through JSON."""
    area = ClassArea(class_name="car", share=0.25, mask_rle=(6, 2))
    record = pair_record(dataclasses.replace(fused(), areas=(area,)), LABEL)
    (entry,) = json.loads(json.dumps(record))["areas"]
    assert entry == {"class": "car", "share": 0.25, "mask": [6, 2]}
    assert area_of(entry) == area
    with pytest.raises(ValueError, match="'mask'"):
        area_of({"class": "car", "share": 0.25})
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        area_of(entry | {"share": 2})


@given(detections)
def test_a_detection_survives_the_way_through_json(detection: Detection) -> None:
    """Read back, a detection equals the one written but for the rounding; written again, nothing changes."""
    written = json.loads(json.dumps(pair_record(fused(detection), LABEL)))["detections"][0]
    back = detection_of(written)
    assert (back.class_id, back.class_name) == (detection.class_id, detection.class_name)
    assert (back.track_id, back.mask_rle) == (detection.track_id, detection.mask_rle)
    assert back.is_predicted is detection.is_predicted
    if detection.box_infrared_xyxy is not None:
        assert back.box_infrared_xyxy == pytest.approx(detection.box_infrared_xyxy, abs=0.5001e-2)
    assert back.confidence == pytest.approx(detection.confidence, abs=0.5001e-4)
    assert back.box_xyxy == pytest.approx(detection.box_xyxy, abs=0.5001e-2)
    assert json.loads(json.dumps(pair_record(fused(back), LABEL)))["detections"][0] == written


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"box": [1, 2, 3]}, "unpack"),
        ({"box": [3, 0, 1, 1]}, "left, top, right, bottom"),
        ({"confidence": 1.5}, "0..1"),
        ({"class_id": "car"}, "invalid literal"),
        ({"mask": 4}, "iterable"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], word: str) -> None:
    """A record whose value cannot be is refused with a ValueError that says what is wrong with it."""
    record = {
        "class": "car",
        "class_id": 2,
        "confidence": 0.5,
        "box": [0, 0, 1, 1],
        "track_id": None,
        "mask": None,
    }
    detection_of(record)
    with pytest.raises(ValueError, match=word):
        detection_of(record | change)


def test_a_missing_key_is_named() -> None:
    """A record without its box is refused by the name of that key."""
    with pytest.raises(ValueError, match="needs the key 'box'"):
        detection_of({"class": "car"})
