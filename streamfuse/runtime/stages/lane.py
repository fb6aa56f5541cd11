"""One pipeline in the engine: takes both streams, makes pairs, has them computed, hands the fused frames on.

The loop never waits for the network. It reads the bus, pairs, and lays the pairs down at its seat; in
``realtime`` the oldest pair makes room for a newer one, in ``every_frame`` credit is given back to the
captures only while there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Final

from streamfuse.clock import NS_PER_MS, NS_PER_S, UtcFollower
from streamfuse.core.wire import EndOfStream, EndReason
from streamfuse.engine.pinned import pinned_memory
from streamfuse.frames import StreamName
from streamfuse.io.transport.bus import Pollable, Waker, wait
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.io.transport.outlet import Outlet
from streamfuse.io.transport.staging import plain_memory
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.rigging import correction_ends
from streamfuse.runtime.stages.alignment import Alignment
from streamfuse.runtime.stages.compute import Compute, Computed, ComputedBatch
from streamfuse.runtime.stages.desk import Desk, pairing_policy
from streamfuse.runtime.stages.emission import Emission
from streamfuse.runtime.stages.ends import frame_of, open_inlet, open_outlet, settle
from streamfuse.runtime.stages.joining import wait_for_consumers
from streamfuse.runtime.stages.meter import Meter
from streamfuse.runtime.stages.shared import Seat, SharedCompute, lane_policy

__all__ = ["run_lane"]

_IDLE_MS: Final = 100
_FAREWELL_S: Final = 1.0
"""How long a lane waits for the last words of its captures, and for its sinks, once told to stop."""


def run_lane(context: Context, shared: SharedCompute, *, on_ready: Callable[[Compute], None]) -> None:
    """Fuse until both streams have ended, enough pairs are done, or the supervisor says stop."""
    settle(context)
    with ExitStack() as stack:
        with shared.device:
            compute = Compute(
                context.plan, context.clock, shared.engine, last_track_id=context.board.get(c.TRACKS)
            )
        stack.enter_context(closing(compute))
        waker = stack.enter_context(closing(Waker()))
        policy = lane_policy(context.plan, batch=compute.batch, fused=context.board.get(c.FUSED))
        seat = stack.enter_context(closing(Seat(shared, context.link.name, compute, policy, wake=waker.wake)))
        outlet = stack.enter_context(open_outlet(context, stack))
        allocate = pinned_memory if shared.engine.backend == "torch-cuda" else plain_memory
        inlets = {stream: stack.enter_context(open_inlet(context, stream, allocate)) for stream in StreamName}
        lane = _Lane(context, seat, inlets=inlets, outlet=outlet)
        wait_for_consumers(context, outlet)
        on_ready(compute)
        lane.loop(waker)
        lane.finish()


class _Lane:
    def __init__(
        self, context: Context, seat: Seat, *, inlets: Mapping[StreamName, Inlet], outlet: Outlet
    ) -> None:
        self._context = context
        self._plan = context.plan
        self._board = context.board
        self._clock = context.clock
        self._seat = seat
        self._inlets = inlets
        self._outlet = outlet
        self._meter = Meter(from_arrival=context.plan.every_frame)
        policy = pairing_policy(context.plan)
        self._alignment = Alignment(
            context.plan.config.sync.estimate_offset,
            known_ms=policy.offset_ms,
            may_apply=not policy.every_frame,
        )
        self._desk = Desk(
            policy, seat, max_batch=seat.policy.max_batch, board=context.board, meter=self._meter
        )
        self._utc = UtcFollower(on_step=lambda text: context.link.send("log", text=text))
        compute = seat.compute
        self._fusion = compute.engine
        self._registering = compute.registering
        self._emission = Emission(context, outlet, looking=compute.looking, utc=self._utc, warn=self._warn)
        self._computed: deque[Computed] = deque()
        self._owed = dict.fromkeys(StreamName, 0)
        self._ended: set[StreamName] = set()
        self._dismissed: set[str] = set()
        self._stop_seen_ns: int | None = None

    def loop(self, waker: Waker) -> None:
        """Work until everything is done or the lane is told to hurry."""
        sources: list[Pollable] = [*self._inlets.values(), self._outlet, waker]
        while not self._done():
            self._context.beat()
            wait(sources, timeout_ms=self._patience_ms())
            for stream, inlet in self._inlets.items():
                self._read(stream, inlet)
            self._end_the_missing()
            self._align()
            self._desk.decide(self._clock.now_ns())
            if len(self._ended) == len(StreamName):
                self._seat.flush()
            self._collect(self._seat.take())
            self._emit_computed()
            self._give_credit()
            self._desk.note_held()
            self._utc.follow(self._clock.now_ns())
            if (config := self._context.fresh_config()) is not None:
                self._emission.reload(config)
                self._registering.reload(config.registration)
            if self._meter.is_due(self._clock.now_ns()):
                self._tell()

    def finish(self) -> None:
        """Account for what is still held, and say good-bye to the sinks."""
        if self._enough():
            self._context.link.send("enough")
        self._desk.stop_line()
        while len(self._computed) < self._seat.out:
            self._collect(self._seat.take(wait=True))
        deadline_ns = self._clock.now_ns() + round(_FAREWELL_S * NS_PER_S)
        while self._computed and self._clock.now_ns() < deadline_ns:
            self._emit_computed()
            self._outlet.pump(_IDLE_MS if self._computed else 0)
        for done in self._computed:
            self._desk.drop(done.pair)
        self._desk.give_up()
        self._tell()
        if (applied := self._registering.applied) is not None:
            self._warn(correction_ends(applied))
        reason = EndReason.STOPPED if self._context.link.stop else EndReason.FINISHED
        while not self._outlet.finish_step(reason, timeout_ms=_IDLE_MS):
            self._context.beat()
            self._dismiss_the_dead()
            if self._context.hurried and self._clock.now_ns() > deadline_ns:
                return

    def _done(self) -> bool:
        if self._context.hurried or self._enough():
            return True
        working = self._seat.out or not self._desk.is_empty
        return len(self._ended) == len(StreamName) and not working

    def _enough(self) -> bool:
        limit = self._plan.max_frames
        return limit is not None and self._board.get(c.FUSED) >= limit

    def _patience_ms(self) -> int:
        deadline_ns = self._desk.deadline_ns()
        if deadline_ns is None:
            return _IDLE_MS
        left_ms = -(-(deadline_ns - self._clock.now_ns()) // NS_PER_MS)
        return min(_IDLE_MS, max(0, left_ms))

    def _read(self, stream: StreamName, inlet: Inlet) -> None:
        inlet.tick(self._clock.now_ns())
        while (message := inlet.receive()) is not None:
            if isinstance(message, EndOfStream):
                self._end(stream)
            elif isinstance(message, Arrival):
                self._owed[stream] += 1
                frame = frame_of(stream, message)
                self._alignment.see(frame)
                self._desk.accept(frame, self._clock.now_ns())

    def _align(self) -> None:
        if (offset_ms := self._alignment.offset_ms(self._clock.now_ns())) is not None:
            self._desk.set_offset_ms(offset_ms)

    def _tell(self) -> None:
        memory = self._fusion.memory_bytes
        device = {} if memory is None else {"device_memory_bytes": memory}
        self._context.link.send(
            "stats",
            **self._meter.stats(),
            **self._alignment.stats(),
            **self._registering.stats,
            **self._emission.found,
            **device,
        )

    def _warn(self, text: str) -> None:
        self._context.link.send("log", text=text, level="warning")

    def _end(self, stream: StreamName) -> None:
        self._ended.add(stream)
        self._desk.end(stream)

    def _end_the_missing(self) -> None:
        """Do not wait for a capture that is gone for good, or has had its time to say good-bye."""
        if self._context.link.stop is not None and self._stop_seen_ns is None:
            self._stop_seen_ns = self._clock.now_ns()
        overdue = (
            self._stop_seen_ns is not None
            and self._clock.now_ns() - self._stop_seen_ns > _FAREWELL_S * NS_PER_S
        )
        for stream in set(StreamName) - self._ended:
            if overdue or stream in self._context.link.forgotten:
                self._end(stream)
        self._dismiss_the_dead()

    def _dismiss_the_dead(self) -> None:
        for sink in self._context.link.forgotten.intersection(self._plan.sinks) - self._dismissed:
            self._outlet.dismiss(sink)
            self._dismissed.add(sink)

    def _give_credit(self) -> None:
        for stream, inlet in self._inlets.items():
            if self._owed[stream] and self._desk.wants(stream):
                inlet.consumed(self._owed[stream])
                self._owed[stream] = 0

    def _collect(self, batch: ComputedBatch | None) -> None:
        if batch is not None:
            self._computed.extend(batch.done)
            self._meter.computed(batch.took_ms, size=batch.size)

    def _emit_computed(self) -> None:
        """Hand finished frames to the sinks, as far as they may be handed on."""
        self._outlet.pump(0)
        while self._computed and self._outlet.has_room():
            done = self._computed.popleft()
            now_ns = self._clock.now_ns()
            # Counted before it is handed on: a crash in between loses a picture, never the balance.
            self._desk.emitted(done.pair)
            self._emission.emit(done, now_ns)
            self._meter.emitted(done.pair, now_ns)
            self._seat.settle()
