"""Messages for whoever wants them: a ZeroMQ PUB socket, with keys beyond this machine.

One of the files that know ZeroMQ. A message has two parts, its topic and its body. Nobody is waited for: who
subscribes late or reads slowly misses messages, and sees it by their numbers.
"""

from __future__ import annotations

from typing import Final

import zmq

from streamfuse.errors import UsageError
from streamfuse.io.closing import Closing
from streamfuse.io.transport.bus import listen
from streamfuse.io.transport.curve import Gate, ServerKeys
from streamfuse.io.transport.netbus import Tcp, is_on_loopback

__all__ = ["Broadcast"]

_SUBSCRIPTION_MAX: Final = 1_024
"""Bytes of the longest subscription that is accepted."""
_QUEUE: Final = 256
"""Messages that wait for one slow subscriber before it misses some; they cost memory here."""


class Broadcast(Closing):
    """Sends messages to all subscribers. Belongs to one thread.

    Args:
        endpoint: ``tcp://ADDRESS:PORT``; port 0 takes a free one, which :attr:`endpoint` tells.
        keys: who may listen; None only on the loopback.

    Raises:
        UsageError: another endpoint, or plain text off the loopback.
        MachineError: the address is in use, or is none of this machine's.
        BusError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: str, *, keys: ServerKeys | None) -> None:
        if keys is None and not is_on_loopback(endpoint):
            raise UsageError(
                f"{endpoint}: other machines can reach this address, so keys are needed: make them with "
                "`streamfuse keys` and name them as `keys`, or listen at 127.0.0.1"
            )
        network = Tcp(endpoint, keys, part_max=_SUBSCRIPTION_MAX)
        self._contexts = network.contexts
        self._socket = self._contexts.open(zmq.PUB)
        self.gate = None if keys is None else Gate(self._contexts.open(zmq.REP), keys.allowed)
        try:
            self._socket.set(zmq.SNDHWM, _QUEUE)
            network.prepare(self._socket)
            listen(self._socket, endpoint)
        except BaseException:
            self.close()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)

    def send(self, topic: str, body: bytes) -> None:
        """Hand a message to all who have subscribed to a beginning of its topic; never blocks."""
        self._socket.send_multipart([topic.encode(), body], zmq.DONTWAIT)

    def serve(self) -> None:
        """Let in who is allowed; to be called several times a second. Never blocks."""
        if self.gate is not None:
            self.gate.serve()

    def close(self) -> None:
        """End all connections; what was handed over gets a moment to leave."""
        if self.gate is not None:
            self._contexts.close(self.gate.socket)
        self._contexts.close(self._socket)
