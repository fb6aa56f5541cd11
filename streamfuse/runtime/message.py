"""What a run has to say to a person, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Level", "Message"]

Level = Literal["info", "warning", "error"]


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
