"""Messages on a ZeroMQ PUB socket: part one the topic (``pairs``, ``events``), part two the message."""

from __future__ import annotations

from streamfuse.config.outputs import ZeromqSink
from streamfuse.core.messages import Message
from streamfuse.io.publish.publisher import Publisher
from streamfuse.io.publish.standing import Standing
from streamfuse.io.transport.curve import ServerKeys, load_server_keys
from streamfuse.io.transport.pubsub import Broadcast

__all__ = ["ZeromqPublisher", "load_keys"]


def load_keys(sink: ZeromqSink) -> ServerKeys | None:
    """The keys of those who may listen; None if none are wanted.

    Raises:
        UsageError: a key cannot be used.
    """
    return None if sink.keys is None else load_server_keys(sink.keys.own, sink.keys.allow)


class ZeromqPublisher(Publisher):
    """Sends each message to all who have subscribed; who reads too slowly misses some.

    Raises:
        UsageError: a key cannot be used, or there is none for an address that others can reach.
        MachineError: the address is in use, or is none of this machine's.
    """

    def __init__(self, sink: ZeromqSink) -> None:
        self._broadcast = Broadcast(sink.bind, keys=load_keys(sink))
        self.endpoint = self._broadcast.endpoint
        """Where it listens."""
        self.standing = Standing(self.endpoint)

    def publish(self, message: Message) -> None:
        """Send a message."""
        self._broadcast.send(message.kind.topic, message.body)

    def turn(self) -> None:
        """Let in who is allowed to subscribe."""
        self._broadcast.serve()

    def close(self) -> None:
        """End all connections; may be called twice."""
        self._broadcast.close()
