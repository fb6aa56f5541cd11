"""What a run has to say to a person, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

__all__ = ["Level", "Message", "message_of"]

Level = Literal["info", "warning", "error"]

_TOLD: Final[Mapping[str, Level]] = MappingProxyType(
    {
        "log": "info",
        "camera": "info",
        "lost": "warning",
        "lane_lost": "warning",
        "lane_error": "warning",
        "warning": "warning",
    }
)
"""Events of workers that people are told of, with the level of those that name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something happened."""

    text: str
    source: str = "run"
    """The worker that it is about, or ``run``."""
    event: str = "message"
    """What kind of thing, in a word: ``log``, ``lost``, ``camera``, ``reload``, …"""
    level: Level = "info"

    def __str__(self) -> str:
        """As people read it, with the worker's name before it."""
        if self.source == "run":
            return self.text
        return f"{self.source}: {self.text}" if self.event == "camera" else f"[{self.source}] {self.text}"


def message_of(event: Mapping[str, Any], *, source: str) -> Message | None:
    """What people are told of a worker's event; None where it is not for them."""
    kind = event["event"]
    if kind not in _TOLD:
        return None
    text = f"{event['text']}; this pipeline ends" if kind == "lane_error" else event["text"]
    return Message(text=text, source=source, event=kind, level=event.get("level", _TOLD[kind]))
