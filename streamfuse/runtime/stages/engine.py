"""The engine: one network, and for each pipeline that uses it a lane that pairs its frames and hands them on.

Each lane is a thread with sockets and counters of its own (:mod:`streamfuse.runtime.stages.lane`); they meet
only at the network (:mod:`streamfuse.runtime.stages.shared`). A lane that fails for a reason of its own ends,
one that breaks down unexpectedly begins again, and neither touches the others. What the last one raises ends
the process.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, closing

from streamfuse.core.backoff import Backoff
from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import PromiseError, StreamfuseError
from streamfuse.runtime.context import Context
from streamfuse.runtime.stages.compute import Compute
from streamfuse.runtime.stages.lane import run_lane
from streamfuse.runtime.stages.shared import SharedCompute

__all__ = ["run", "run_lanes"]


def run(contexts: Sequence[Context]) -> None:
    """Fuse for all pipelines until each has ended.

    Args:
        contexts: one for each pipeline; what they say of the network is the same.

    Raises:
        StreamfuseError: the network cannot be loaded, or the last pipeline has failed.
    """
    fusion = contexts[0].plan.config.fusion
    with ExitStack() as stack:
        engine = stack.enter_context(
            FusionEngine.load(
                fusion.model, weights=fusion.weights, backend=fusion.backend, precision=fusion.precision
            )
        )
        shared = stack.enter_context(closing(SharedCompute(engine, contexts[0].clock)))
        run_lanes(contexts, shared)


def run_lanes(contexts: Sequence[Context], shared: SharedCompute) -> None:
    """Run a lane for each pipeline, to the end of all.

    Raises:
        Exception: what has ended the last of them, or the network.
    """
    _Lanes(contexts, shared).run()


class _Lanes:
    def __init__(self, contexts: Sequence[Context], shared: SharedCompute) -> None:
        self._contexts = contexts
        self._shared = shared
        self._guard = threading.Lock()
        self._alive = {context.link.name for context in contexts}
        self._starting = set(self._alive)
        """Those that have not been ready yet, nor failed."""
        self._error: Exception | None = None

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._live, args=(context,), name=context.link.name)
            for context in self._contexts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _live(self, context: Context) -> None:
        """Run a lane, again and again if it breaks down."""
        backoff = Backoff()
        while True:
            try:
                run_lane(context, self._shared, on_ready=lambda compute: self._ready(context, compute))
            except Exception as error:  # noqa: BLE001 - the outermost frame of a thread: nothing is hidden
                if not self._outlives(context, error):
                    break
                delay_s = backoff.next_delay_s()
                context.link.send("lane_lost", text=f"it broke down; beginning again in {delay_s:.1f} s")
                if context.link.wait_for_stop(delay_s):
                    break
            else:
                context.link.send("lane_done")
                break
        with self._guard:
            self._alive.discard(context.link.name)
        self._started(context)

    def _outlives(self, context: Context, error: Exception) -> bool:
        """Whether a lane is to begin again; otherwise its end, or that of all, is on its way."""
        with self._guard:
            is_last = self._alive == {context.link.name}
        if is_last or error is self._shared.error:
            self._error = error
            return False
        if isinstance(error, StreamfuseError):
            context.link.send("lane_error", text=str(error), exit_code=error.exit_code)
            return False
        traceback.print_exception(error)
        if context.restarts == 0 and context.link.name in self._starting:
            text = "it broke down while starting; its last words are above"
            context.link.send("lane_error", text=text, exit_code=PromiseError.exit_code)
            return False
        return True

    def _ready(self, context: Context, compute: Compute) -> None:
        context.link.send(
            "lane_ready",
            backend=compute.engine.backend,
            device=compute.engine.device,
            finds=sorted(compute.looking.class_names) if compute.looking is not None else [],
        )
        self._started(context)

    def _started(self, context: Context) -> None:
        """The process is ready once each lane has been, or never will be."""
        with self._guard:
            name = context.link.name
            is_last = self._starting == {name}
            self._starting.discard(name)
        if is_last:
            context.link.process.send("ready")
