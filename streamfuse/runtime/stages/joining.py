"""The moment before the run, in which consumers find their producers."""

from __future__ import annotations

from typing import Final

from streamfuse.clock import NS_PER_S
from streamfuse.io.transport.outlet import Outlet
from streamfuse.runtime.context import Context

__all__ = ["wait_for_consumers"]

_PUMP_MS: Final = 50
_TIMEOUT_S: Final = 60.0


def wait_for_consumers(context: Context, outlet: Outlet) -> None:
    """Serve the bus until all expected consumers have joined, so that they miss no frame of the run.

    It gives up when the worker is told to stop, when a consumer is known to be gone, and after a
    minute: then the run goes on without the absent one, as it does when one dies later.
    """
    deadline_ns = context.clock.now_ns() + round(_TIMEOUT_S * NS_PER_S)
    while not outlet.has_joined() and context.clock.now_ns() < deadline_ns:
        if context.link.stop is not None or context.link.forgotten:
            return
        context.beat()
        outlet.pump(_PUMP_MS)
