"""Messages: what the publishers tell the world, one JSON object each.

A ``pair`` message tells of one fused frame, an ``event`` message of the beginning or the end of an event.
Their keys are described in ``docs/messages.md`` and checked by ``schema/message.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from streamfuse.clock import NS_PER_MS, Utc
from streamfuse.core.pair_record import event_record, pair_record
from streamfuse.frames import Event, EventPhase, FusedFrame

__all__ = ["MESSAGE_SCHEMA", "Changes", "Kind", "Message", "Newsroom", "status_message"]

MESSAGE_SCHEMA: Final = 1
"""Version of the messages; it rises when a key changes its meaning or goes, not when one is added."""

_MS_DIGITS: Final = 3
_OF_THE_FRAME: Final = (
    *("pair_id", "capture_utc", "capture_ns", "state", "skew_ms", "infrared_age_ms"),
    *("visible_seq", "infrared_seq", "detections", "counts"),
)
"""What an event message says of the frame that it belongs to."""


Outline = Callable[[Sequence[int], tuple[int, int]], Sequence[Sequence[tuple[float, float]]]]


class Kind(StrEnum):
    """What a message is about."""

    PAIR = "pair"
    EVENT = "event"
    STATUS = "status"

    @property
    def topic(self) -> str:
        """The channel that such messages go to: ``pairs``, ``events`` or ``status``."""
        return self.value if self is Kind.STATUS else f"{self.value}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, ready to be sent."""

    kind: Kind
    body: bytes
    """A JSON object, UTF-8, in one line without its end."""


class Changes:
    """Which events begin and end, told from the frames that reach one reader.

    A frame may be missed, and with it the phase that it carried: an event is new when its id is, and over
    when it has ended or is not there any more. Each gives one ``begun`` and then one ``ended``.
    """

    def __init__(self) -> None:
        self._going: dict[str, Event] = {}

    def see(self, events: Mapping[str, Event]) -> list[Event]:
        """What changes with the next frame, whose events are these, by their ids."""
        gone = [event for event_id, event in self._going.items() if event_id not in events]
        new = [event for event_id, event in events.items() if event_id not in self._going]
        over = [event for event in events.values() if event.phase is EventPhase.ENDED]
        self._going = {
            event_id: event for event_id, event in events.items() if event.phase is not EventPhase.ENDED
        }
        return [
            *(replace(event, phase=EventPhase.ENDED, objects=0) for event in gone),
            *(replace(event, phase=EventPhase.BEGUN) for event in new),
            *over,
        ]


class Newsroom:
    """Makes messages of the frames of one pipeline.

    Args:
        pipeline: its name.
        utc: labels monotonic times with UTC.
        kinds: what anybody wants to hear of.
        outline: makes polygons of a mask's run lengths and the width and height of the image; with it
            the detections tell them, too.
    """

    def __init__(
        self, pipeline: str, *, utc: Utc, kinds: Container[Kind], outline: Outline | None = None
    ) -> None:
        self._pipeline = pipeline
        self._utc = utc
        self._kinds = kinds
        self._outline = outline
        self._changes = Changes()
        self._told = dict.fromkeys(Kind, 0)
        self._last: FusedFrame | None = None

    def of(self, frame: FusedFrame) -> list[Message]:
        """The messages of the next frame: its events' first, then its pair's."""
        self._last = frame
        changes = self._changes.see({event.id: event for event in frame.events})
        if Kind.PAIR not in self._kinds and not changes:
            return []
        record = self._record(frame)
        messages = list(self._of_events(record, changes))
        if Kind.PAIR in self._kinds:
            messages.append(self._message(Kind.PAIR, record))
        return messages

    def farewell(self) -> list[Message]:
        """The stream has ended, and with it what still went on."""
        changes = self._changes.see({})
        if self._last is None or not changes:
            return []
        return list(self._of_events(self._record(self._last), changes))

    def _record(self, frame: FusedFrame) -> Mapping[str, Any]:
        record: dict[str, Any] = pair_record(frame, self._utc)
        record["latency_ms"] = round((frame.fused_ns - frame.capture_ns) / NS_PER_MS, _MS_DIGITS)
        record["size"] = list(frame.image.spec.size_wh)
        if (outline := self._outline) is not None:
            for told, found in zip(record["detections"], frame.detections, strict=True):
                runs = found.mask_rle
                told["polygons"] = None if runs is None else outline(runs, frame.image.spec.size_wh)
        return record

    def _of_events(self, record: Mapping[str, Any], changes: list[Event]) -> Iterator[Message]:
        if Kind.EVENT not in self._kinds:
            return
        frame = {key: record[key] for key in (*_OF_THE_FRAME, "latency_ms", "size")}
        for event in changes:
            yield self._message(Kind.EVENT, {**event_record(event, self._utc), **frame})

    def _message(self, kind: Kind, record: Mapping[str, Any]) -> Message:
        self._told[kind] += 1
        rest = {key: value for key, value in record.items() if key != "schema"}
        return Message(kind=kind, body=_encoded(self._pipeline, kind, {"seq": self._told[kind], **rest}))


def status_message(pipeline: str, *, online: bool) -> Message:
    """Whether the pipeline's publisher is there: what an MQTT broker keeps for those who come later."""
    return Message(kind=Kind.STATUS, body=_encoded(pipeline, Kind.STATUS, {"online": online}))


def _encoded(pipeline: str, kind: Kind, record: Mapping[str, Any]) -> bytes:
    plain = {"kind": kind.value, "schema": MESSAGE_SCHEMA, "pipeline": pipeline, **record}
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
