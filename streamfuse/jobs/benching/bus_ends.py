"""What the two ends of a transport are to the benchmark of the bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Protocol

from streamfuse.jobs.benching.bus_load import Load, Pixels, Stamped, Stream

__all__ = ["Receiver", "Sender", "Wire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What both ends of one stream are told before they start; each lives in a process of its own."""

    load: Load
    stream: Stream
    folder: Path
    """A run folder."""
    queues: Sequence[Queue[Any]]
    """One for each consumer, for the transport whose queues the parent has to make."""


class Sender(Protocol):
    """A producer's end."""

    def begin(self) -> None:
        """Wait until the consumers are there."""

    def lend(self, frame: Stamped) -> None:
        """Return when ``frame`` may be written again."""

    def send(self, frame: Stamped, *, seq: int, now_ns: int) -> None:
        """Hand a frame on. Blocks while there is no room, but ours drops the older frame when paced."""

    def idle(self, until_ns: int) -> None:
        """Wait for a moment, and serve the transport meanwhile."""

    def finish(self) -> Mapping[str, float]:
        """Wait until all has arrived; returns what else is known, by name."""

    def close(self) -> None:
        """End the connections."""


class Receiver(Protocol):
    """A consumer's end."""

    def receive(self) -> Sequence[Pixels] | None:
        """The planes of the next frame, in memory of this process; None at the end."""

    def finished(self) -> None:
        """The frame that was received last is done with."""

    def close(self) -> None:
        """End the connection."""
