"""Messages: every one fits its published schema, and none of an event's two is ever missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfuse.clock import NS_PER_MS, UtcLabel
from streamfuse.config.pipeline import load_pipeline
from streamfuse.core.messages import MESSAGE_SCHEMA, Changes, Kind, Newsroom, status_message
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

LABEL = UtcLabel(monotonic_ns=0, utc_ns=1_700_000_000_000_000_000)
SCHEMA = json.loads((resources.files("streamfuse") / "schema" / "message.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PAGE = (Path(__file__).parents[2] / "docs" / "messages.md").read_text("utf-8")
BEGUN, GOING, ENDED = EventPhase


def event(event_id: str, phase: EventPhase = GOING) -> Event:
    """An event of some rule."""
    return Event(id=event_id, rule="people", phase=phase, began_ns=0, objects=int(phase is not ENDED))


def fused(*events: Event, pair_id: int = 0, detections: Sequence[Detection] = ()) -> FusedFrame:
    """A frame of the visible camera alone that was fused 25 ms after it was captured."""
    capture_ns = pair_id * 40 * NS_PER_MS
    return FusedFrame(
        pair_id=pair_id,
        state=PairState.VISIBLE_ONLY,
        image=Image.from_rgb(np.zeros((2, 4, 3), np.uint8)),
        capture_ns=capture_ns,
        fused_ns=capture_ns + 25 * NS_PER_MS,
        skew_ms=None,
        infrared_age_ms=None,
        visible_seq=pair_id,
        infrared_seq=None,
        detections=tuple(detections),
        events=events,
    )


def plain(body: bytes) -> dict[str, Any]:
    """What a message says; it has to fit the schema."""
    said: dict[str, Any] = json.loads(body)
    VALIDATOR.validate(said)
    return said


def newsroom(*kinds: Kind) -> Newsroom:
    """A newsroom for readers of these kinds."""
    return Newsroom("gate", utc=LABEL, kinds=set(kinds))


def test_the_schema_is_one() -> None:
    """The file is a valid JSON Schema of the version that the messages name."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith(f":{MESSAGE_SCHEMA}")


def test_a_pair_message_tells_of_the_whole_pair() -> None:
    """Pipeline, time, latency, size of the picture, objects with masks and temperatures, and events."""
    heat = Temperature(min_c=20, mean_c=30, max_c=36.6)
    person = Detection(
        box_xyxy=(0, 0, 2, 2),
        class_id=0,
        class_name="piéton",
        confidence=0.5,
        mask_rle=(0, 2, 6),
        temperature_c=heat,
    )
    (message,) = newsroom(Kind.PAIR).of(fused(event("e"), pair_id=3, detections=[person]))
    said = plain(message.body)
    assert (said["kind"], said["schema"], said["pipeline"], said["seq"]) == ("pair", 1, "gate", 1)
    assert (said["pair_id"], said["latency_ms"], said["size"]) == (3, 25.0, [4, 2])
    assert said["capture_utc"] == "2023-11-14T22:13:20.120Z"
    (detection,) = said["detections"]
    assert (detection["class"], detection["mask"]) == ("piéton", [0, 2, 6])
    assert detection["temperature_c"]["max"] == 36.6
    assert [each["id"] for each in said["events"]] == ["e"]


def test_a_pair_message_tells_what_was_counted_and_where_classes_are() -> None:
    """Counts of lines and zones and areas; an event message has the counts, too, but no areas."""
    frame = replace(
        fused(event("e", BEGUN)),
        counts=(
            Count(rule="gate", kind=CountKind.LINE, points=((0, 0.5), (1, 0.5)), forward=2),
            Count(rule="yard", kind=CountKind.ZONE, points=((0, 0), (1, 0), (1, 1)), inside=1, entered=1),
        ),
        areas=(ClassArea(class_name="car", share=0.25, mask_rle=(6, 2)),),
    )
    told, pair = (plain(message.body) for message in newsroom(Kind.PAIR, Kind.EVENT).of(frame))
    assert [(each["rule"], each["kind"]) for each in pair["counts"]] == [("gate", "line"), ("yard", "zone")]
    assert pair["counts"][0]["forward"] == 2
    assert pair["areas"] == [{"class": "car", "share": 0.25, "mask": [6, 2]}]
    assert (told["counts"], "areas" in told) == (pair["counts"], False)


def test_polygons_come_only_where_they_are_asked_for() -> None:
    """With an outline each object has its polygons, null without a mask; without one there is no such key."""
    asked = []

    def outline(runs: Sequence[int], size_wh: tuple[int, int]) -> list[list[tuple[float, float]]]:
        asked.append((runs, size_wh))
        return [[(0, 0), (2, 0), (2, 1)]]

    bare = Detection(box_xyxy=(0, 0, 2, 2), class_id=0, class_name="person", confidence=0.5)
    frame = fused(detections=[bare, replace(bare, mask_rle=(0, 2, 6))])
    room = Newsroom("gate", utc=LABEL, kinds={Kind.PAIR}, outline=outline)
    without, with_mask = plain(room.of(frame)[0].body)["detections"]
    assert without["polygons"] is None
    assert with_mask["polygons"] == [[[0, 0], [2, 0], [2, 1]]]
    assert asked == [((0, 2, 6), (4, 2))]
    assert all("polygons" not in each for each in plain(newsroom(Kind.PAIR).of(frame)[0].body)["detections"])


def test_messages_of_a_kind_are_numbered() -> None:
    """Whoever misses one sees it by the numbers; each kind has its own."""
    room = newsroom(Kind.PAIR, Kind.EVENT)
    messages = [*room.of(fused(event("a", BEGUN))), *room.of(fused()), *room.farewell()]
    told = [(message.kind.value, plain(message.body)["seq"]) for message in messages]
    assert told == [("event", 1), ("pair", 1), ("event", 2), ("pair", 2)]


def test_nothing_is_made_that_nobody_wants() -> None:
    """Readers of pairs get no event messages, and the other way round."""
    frame = fused(event("a", BEGUN))
    assert [message.kind for message in newsroom(Kind.PAIR).of(frame)] == [Kind.PAIR]
    assert [message.kind for message in newsroom(Kind.EVENT).of(frame)] == [Kind.EVENT]


def test_an_event_is_told_when_it_begins_and_when_it_ends() -> None:
    """Two messages, with the frame at which each was told; nothing between."""
    room = newsroom(Kind.EVENT)
    frames = [fused(event("a", phase), pair_id=n) for n, phase in enumerate((BEGUN, GOING, ENDED))]
    told = [plain(message.body) for frame in frames for message in room.of(frame)]
    assert [(each["phase"], each["id"], each["pair_id"]) for each in told] == [
        ("begun", "a", 0),
        ("ended", "a", 2),
    ]
    assert room.farewell() == []


def test_the_end_of_the_stream_ends_what_still_goes_on() -> None:
    """Whoever waits for the end of an alarm gets it."""
    room = newsroom(Kind.EVENT)
    room.of(fused(event("a", BEGUN), pair_id=8))
    (message,) = room.farewell()
    said = plain(message.body)
    assert (said["phase"], said["id"], said["objects"], said["pair_id"]) == ("ended", "a", 0, 8)
    assert newsroom(Kind.EVENT).farewell() == []


@pytest.mark.parametrize("online", [True, False])
def test_a_status_fits_the_schema(online: bool) -> None:
    """It says no more than whether somebody is there."""
    assert plain(status_message("gate", online=online).body)["online"] is online


def test_a_reader_that_missed_frames_still_hears_both() -> None:
    """An event that is seen late has begun; one that is gone without a word has ended."""
    changes = Changes()
    told = changes.see({"a": event("a", GOING)}) + changes.see({}) + changes.see({"b": event("b", ENDED)})
    assert [(each.id, each.phase) for each in told] == [
        ("a", BEGUN),
        ("a", ENDED),
        ("b", BEGUN),
        ("b", ENDED),
    ]


stories = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([BEGUN, GOING])), max_size=12
)  # per frame: which events are there


@given(stories)
def test_every_event_that_goes_on_has_been_told(story: Sequence[dict[str, EventPhase]]) -> None:
    """Begun and ended alternate for each event, and what is told to go on is what goes on."""
    changes = Changes()
    open_ids: set[str] = set()
    for frame in story:
        for change in changes.see({each: event(each, phase) for each, phase in frame.items()}):
            assert (change.id in open_ids) is (change.phase is ENDED)
            open_ids ^= {change.id}
        assert open_ids == set(frame)


def examples() -> Iterator[dict[str, Any]]:
    """The messages that the page shows."""
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        yield json.loads(block)


def test_the_examples_of_the_page_fit_the_schema() -> None:
    """The page shows a message of each kind, and each is one."""
    shown = list(examples())
    for example in shown:
        VALIDATOR.validate(example)
    assert {example["kind"] for example in shown} == set(Kind)


def test_the_pipeline_of_the_page_is_one(tmp_path: Path) -> None:
    """Its ways out can be written as they stand."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "pipeline.yaml"
    path.write_text(f"sources: {{visible: {{uri: v}}, infrared: {{uri: i}}}}\n{block}")
    kinds = [sink.kind for sink in load_pipeline(path).publish]
    assert kinds == ["jsonl", "zeromq", "mqtt", "webhook"]


def test_the_page_explains_every_key() -> None:
    """No key of the schema is missing in the page's tables."""
    keys = {key for part in SCHEMA["$defs"].values() for key in part.get("properties", {})}
    explained = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\|.*", PAGE, re.MULTILINE))))
    assert keys <= explained, keys - explained


@pytest.mark.parametrize(
    "change",
    [{"kind": "pigeon"}, {"schema": 2}, {"state": "lost"}, {"pair_id": None}, {"capture_utc": "now"}],
)
def test_the_schema_refuses_what_is_no_message(change: dict[str, object]) -> None:
    """Another kind, version, state or type is told apart."""
    (message,) = newsroom(Kind.PAIR).of(fused())
    assert not VALIDATOR.is_valid(json.loads(message.body) | change)
