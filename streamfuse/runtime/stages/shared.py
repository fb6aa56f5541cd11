"""The network that the pipelines of an engine share, the thread that runs it, and each pipeline's seat at it.

The loops of the pipelines never wait for the network. They pair at camera rate and lay their pairs down;
whenever the network is free, its thread takes the next batch (:mod:`streamfuse.core.sharing` decides which),
so that a pair is chosen at the last moment. A pair that the network has no time for is dropped as a pair, in
its own lane, and never as two halves by two different queues.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence

from streamfuse.clock import NS_PER_MS, NS_PER_S, Clock
from streamfuse.core.pairing import CAPACITY
from streamfuse.core.sharing import LanePolicy, SharedBatcher
from streamfuse.engine.fusion import FusionEngine
from streamfuse.engine.video import fuse_together
from streamfuse.errors import StreamfuseError
from streamfuse.frames import FramePair, Image
from streamfuse.runtime.plan import Plan
from streamfuse.runtime.stages.compute import Compute, ComputedBatch, Prepared

__all__ = ["Seat", "SharedCompute", "lane_policy"]


def lane_policy(plan: Plan, *, batch: int, fused: int) -> LanePolicy:
    """How the pairs of a pipeline wait for the network.

    Args:
        plan: of the pipeline.
        batch: pairs to compute at once.
        fused: how many pairs it has fused already.
    """
    every_frame, limit = plan.every_frame, plan.max_frames
    width, height = plan.fused_spec.size_wh
    return LanePolicy(
        kind=plan.fused_spec,
        max_batch=batch,
        max_delay_ms=plan.config.fusion.max_delay_ms,
        # In realtime no more than one batch waits: the longer the line, the older the picture.
        capacity=batch + (CAPACITY if every_frame else 0),
        newest_wins=not every_frame,
        max_out=2 * batch,  # one is computed while the one before goes to the sinks
        most=None if limit is None else max(0, limit - fused),
        cost=width * height,  # what the network's time goes by
    )


class Seat:
    """A pipeline's place at the network: pairs go in, results come out, in order.

    All but :meth:`put` belong to the thread of the pipeline's loop.
    """

    def __init__(
        self,
        shared: SharedCompute,
        name: str,
        compute: Compute,
        policy: LanePolicy,
        *,
        wake: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._name = name
        self.compute = compute
        self.policy = policy
        self.wake = wake
        """Has the loop look again, in any thread, as long as the seat is open."""
        self._results: queue.SimpleQueue[ComputedBatch | Exception] = queue.SimpleQueue()
        self._is_open = True
        shared.open(name, self)

    @property
    def waiting(self) -> int:
        """Pairs that wait for the network."""
        with self._shared.changed:
            return self._shared.batcher.waiting(self._name)

    @property
    def out(self) -> int:
        """Pairs that are computed at this moment, or whose results are not settled."""
        with self._shared.changed:
            return self._shared.batcher.out(self._name)

    def offer(self, pair: FramePair, now_ns: int) -> list[FramePair]:
        """Lay a pair down, and return those that it has pushed out."""
        with self._shared.changed:
            dropped = self._shared.batcher.add(self._name, pair, now_ns)
            self._shared.changed.notify_all()
            return dropped

    def flush(self) -> None:
        """Nothing more comes: what waits need not wait for company."""
        with self._shared.changed:
            self._shared.batcher.flush(self._name)
            self._shared.changed.notify_all()

    def take(self, *, wait: bool = False) -> ComputedBatch | None:
        """The next results, or None; with ``wait`` it blocks for those under way.

        Raises:
            Exception: whatever the work raised, in the thread of the caller.
        """
        if (error := self._shared.error) is not None:
            raise error
        try:
            result = self._results.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(result, Exception):
            raise result
        return result

    def settle(self) -> None:
        """A pair whose result was taken is done with."""
        with self._shared.changed:
            self._shared.batcher.settle(self._name)
            self._shared.changed.notify_all()

    def withdraw(self) -> list[FramePair]:
        """Take back what waits."""
        with self._shared.changed:
            return self._shared.batcher.withdraw(self._name)

    def put(self, result: ComputedBatch | Exception) -> None:
        """Bring results, or what went wrong; called by the network's thread."""
        with self._shared.changed:
            if self._is_open:  # a loop that has left is not woken
                self._results.put(result)
                self.wake()

    def close(self) -> None:
        """Leave; results that still come are nobody's. May be called twice."""
        with self._shared.changed:
            if self._is_open:
                self._is_open = False
                self._shared.close_lane(self._name)


class SharedCompute:
    """Runs one batch at a time, in a thread of its own, until it is closed.

    Args:
        engine: the network; while this runs, nobody else may use it but under :attr:`device`.
        clock: of the pairs' times.
    """

    def __init__(self, engine: FusionEngine, clock: Clock) -> None:
        self.engine = engine
        self.changed = threading.Condition()
        """Guards :attr:`batcher`; notified when there may be another batch."""
        self.batcher: SharedBatcher[FramePair] = SharedBatcher()
        self.device = threading.Lock()
        """Held by whoever uses the engine."""
        self.error: Exception | None = None
        """What has ended the thread before its time: the engine cannot be trusted any more."""
        self._clock = clock
        self._seats: dict[str, Seat] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="compute")
        self._thread.start()

    def open(self, name: str, seat: Seat) -> None:
        """Begin to serve a seat."""
        with self.changed:
            self.batcher.open(name, seat.policy)
            self._seats[name] = seat

    def close_lane(self, name: str) -> None:
        """Serve a seat no more."""
        with self.changed:
            self.batcher.close(name)
            del self._seats[name]

    def close(self) -> None:
        """End the thread after the batch under way."""
        with self.changed:
            self._closing = True
            self.changed.notify_all()
        self._thread.join()

    def _loop(self) -> None:
        while (batch := self._next()) is not None:
            try:
                with self.device:
                    self._work(batch)
            except Exception as error:  # noqa: BLE001 - raised by Seat.take() in the loops' threads
                self.error = error
                for seat in batch:
                    seat.put(error)
                return

    def _next(self) -> dict[Seat, list[FramePair]] | None:
        """Wait for a batch; None when this is to end."""
        with self.changed:
            while not self._closing:
                now_ns = self._clock.now_ns()
                if batch := self.batcher.take(now_ns):
                    for name in batch:
                        self._seats[name].wake()  # there is room for more
                    return {self._seats[name]: pairs for name, pairs in batch.items()}
                due_ns = self.batcher.deadline_ns()
                self.changed.wait(None if due_ns is None else (due_ns - now_ns) / NS_PER_S)
        return None

    def _work(self, batch: Mapping[Seat, Sequence[FramePair]]) -> None:
        """Compute one batch; what fails for one pipeline is brought to it, and the others go on."""
        prepared: dict[Seat, Prepared] = {}
        for seat, pairs in batch.items():
            try:
                prepared[seat] = seat.compute.prepare(pairs)
            except Exception as error:  # noqa: BLE001 - carried to the loop's thread and raised there
                seat.put(error)
        if prepared:
            self._fuse(prepared)

    def _fuse(self, prepared: Mapping[Seat, Prepared]) -> None:
        began_ns = self._clock.now_ns()
        try:
            images = fuse_together([each.to_fuse for each in prepared.values()])
        except StreamfuseError as error:
            for seat, alone in prepared.items():
                if len(prepared) == 1:
                    seat.put(error)
                else:  # perhaps the pictures of one are to blame
                    self._fuse({seat: alone})
            return
        fuse_ms = (self._clock.now_ns() - began_ns) / NS_PER_MS
        self._complete(prepared, dict(zip(prepared, images, strict=True)), fuse_ms=fuse_ms)

    def _complete(
        self, prepared: Mapping[Seat, Prepared], images: Mapping[Seat, Sequence[Image]], *, fuse_ms: float
    ) -> None:
        size = sum(map(len, images.values()))
        # Who looks for nothing does not wait for the task networks of others.
        for seat in sorted(prepared, key=lambda seat: seat.compute.looking is not None):
            try:
                done = seat.compute.complete(prepared[seat], images[seat], fuse_ms=fuse_ms, size=size)
            except Exception as error:  # noqa: BLE001 - as above
                seat.put(error)
            else:
                seat.put(done)
