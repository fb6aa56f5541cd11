"""The transports that the benchmark of the bus compares."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from streamfuse.jobs.benching import bus_peers as peers
from streamfuse.jobs.benching.bus_ends import Receiver, Sender, Wire
from streamfuse.jobs.benching.bus_ours import RingReceiver, RingSender

__all__ = ["OURS", "RIVAL", "TRANSPORTS", "Transport"]

OURS: Final = "streamfuse"
RIVAL: Final = "zeromq no-copy"
"""What our flat-out rate is measured by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How to make the two ends, each in its own process."""

    sender: Callable[[Wire], Sender]
    receiver: Callable[[Wire, int], Receiver]
    """Of the consumer with this number."""
    package: str | None = None
    """What must be installed for it."""

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return self.package is None or importlib.util.find_spec(self.package) is not None


TRANSPORTS: Mapping[str, Transport] = MappingProxyType(
    {
        OURS: Transport(sender=RingSender, receiver=RingReceiver),
        "multiprocessing.Queue": Transport(sender=peers.QueueSender, receiver=peers.QueueReceiver),
        "zeromq copy": Transport(sender=peers.ZmqCopySender, receiver=peers.ZmqCopyReceiver),
        RIVAL: Transport(sender=peers.ZmqSender, receiver=peers.ZmqReceiver),
        "imagezmq": Transport(
            sender=peers.ImageZmqSender, receiver=peers.ImageZmqReceiver, package="imagezmq"
        ),
        "vidgear NetGear": Transport(
            sender=peers.NetGearSender, receiver=peers.NetGearReceiver, package="vidgear"
        ),
    }
)
"""By the name that the results have."""
