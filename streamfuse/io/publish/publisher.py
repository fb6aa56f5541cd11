"""What all publishers have in common."""

from __future__ import annotations

from abc import abstractmethod

from streamfuse.core.messages import Message
from streamfuse.io.closing import Closing
from streamfuse.io.publish.standing import Standing

__all__ = ["Publisher"]


class Publisher(Closing):
    """A way out for messages. It never keeps the caller waiting for a receiver."""

    standing: Standing

    @abstractmethod
    def publish(self, message: Message) -> None:
        """Send a message, or take it over to be sent; what gets lost is counted in :attr:`standing`."""

    def turn(self) -> None:
        """Do what is due between messages; called several times a second."""

    def end(self) -> None:
        """Begin to end: nothing more will be published. :meth:`close` then waits for it."""
