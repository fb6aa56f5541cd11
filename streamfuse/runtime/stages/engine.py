"""The engine: takes both streams, makes pairs, has them computed, hands the fused frames on.

The loop never waits for the network. It reads the bus, pairs, and keeps at most one batch ready for
the compute thread; in ``realtime`` the oldest pair makes room for a newer one, in ``every_frame``
credit is given back to the captures only while there is room.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any, Final

from streamfuse.clock import NS_PER_MS, NS_PER_S, UtcFollower
from streamfuse.config.rig import load_rig
from streamfuse.core.bracket import Bump
from streamfuse.core.bump_events import BumpEvents
from streamfuse.core.flow import Delivery, Outbox
from streamfuse.core.pair_record import count_record, pair_record
from streamfuse.core.pairing import OnMissing, PairingMode, PairingPolicy
from streamfuse.core.wire import Channel, EndOfStream, EndReason
from streamfuse.engine.pinned import pinned_memory
from streamfuse.frames import DropCause, Event, EventPhase, Frame, FusedFrame, StreamName
from streamfuse.io.transport.bus import Pollable, Waker, wait
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.io.transport.outlet import Outlet
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.staging import Allocate, Staging, plain_memory
from streamfuse.runtime import counters as c
from streamfuse.runtime.context import Context
from streamfuse.runtime.plan import STREAM_WINDOW, Plan
from streamfuse.runtime.rigging import MENDED, bumped, correction_ends
from streamfuse.runtime.stages.alignment import Alignment
from streamfuse.runtime.stages.compute import Compute, Computed, ComputedBatch, ComputeThread
from streamfuse.runtime.stages.desk import Desk
from streamfuse.runtime.stages.joining import wait_for_consumers
from streamfuse.runtime.stages.looking import Rules
from streamfuse.runtime.stages.meter import Meter
from streamfuse.runtime.stages.tally import Tally

__all__ = ["run"]

_IDLE_MS: Final = 100
_STAGED: Final = 4 * STREAM_WINDOW
"""Frames of a stream with memory that is used again: under way, waiting for a partner, in two batches."""
_FAREWELL_S: Final = 1.0
"""How long the engine waits for the last words of its captures, and for its sinks, once told to stop."""


def run(context: Context) -> None:
    """Fuse until both streams have ended, enough pairs are done, or the supervisor says stop."""
    _settle(context)
    last_track = context.board.get(c.TRACKS)
    with ExitStack() as stack:
        compute = stack.enter_context(closing(Compute(context.plan, context.clock, last_track_id=last_track)))
        waker = stack.enter_context(closing(Waker()))
        thread = stack.enter_context(closing(ComputeThread(compute.run, on_done=waker.wake)))
        outlet = stack.enter_context(_outlet(context, stack))
        allocate = pinned_memory if compute.engine.backend == "torch-cuda" else plain_memory
        inlets = {stream: stack.enter_context(_inlet(context, stream, allocate)) for stream in StreamName}
        engine = _Engine(context, thread, compute, inlets=inlets, outlet=outlet)
        wait_for_consumers(context, outlet)
        context.link.send(
            "ready",
            backend=compute.engine.backend,
            device=compute.engine.device,
            finds=sorted(compute.looking.class_names) if compute.looking is not None else [],
        )
        engine.loop(waker)
        engine.finish()


def _outlet(context: Context, stack: ExitStack) -> Outlet:
    delivery = Delivery.EVERY_FRAME if context.plan.every_frame else Delivery.REALTIME
    return Outlet(
        context.run_dir.endpoint("fused"),
        ring=stack.enter_context(closing(RingWriter.open(context.run_dir.ring("fused")))),
        outbox=Outbox(delivery, context.plan.sinks, ledger=context.board),
        stream=Channel.FUSED,
    )


def _inlet(context: Context, stream: StreamName, allocate: Allocate) -> Inlet:
    return Inlet(
        context.run_dir.endpoint(stream),
        stream=Channel(stream),
        consumer=c.ENGINE,
        window=STREAM_WINDOW,
        ring_path=context.run_dir.ring(stream),
        ledger=context.board,
        staging=Staging(context.plan.source(stream).spec.nbytes, buffers=_STAGED, allocate=allocate),
    )


def _settle(context: Context) -> None:
    """What a killed predecessor held is lost; say so in its place."""
    board = context.board
    for stream in StreamName:
        known = board.get(c.emitted(stream)) + sum(board.get(c.dropped(stream, cause)) for cause in DropCause)
        board.add(c.dropped(stream, DropCause.WORKER_LOST), board.get(f"from.{stream}.delivered") - known)
        board.set(c.held(stream), 0)


def _pairing_policy(plan: Plan) -> PairingPolicy:
    sync = plan.config.sync
    return PairingPolicy(
        visible_fps=plan.visible.fps,
        infrared_fps=plan.infrared.fps,
        mode=PairingMode(sync.mode),
        base=StreamName(sync.base),
        max_skew_ms=None if sync.max_skew_ms == "auto" else sync.max_skew_ms,
        max_wait_ms=sync.max_wait_ms,
        on_missing=OnMissing(sync.on_missing),
        max_hold_ms=sync.max_hold_ms,
        offset_ms=sync.offset_ms + load_rig(plan.config.rig).time_offset_ms,
        every_frame=plan.every_frame,
    )


class _Engine:
    def __init__(
        self,
        context: Context,
        thread: ComputeThread,
        compute: Compute,
        *,
        inlets: Mapping[StreamName, Inlet],
        outlet: Outlet,
    ) -> None:
        self._context = context
        self._plan = context.plan
        self._board = context.board
        self._clock = context.clock
        self._thread = thread
        self._inlets = inlets
        self._outlet = outlet
        self._meter = Meter(from_arrival=context.plan.every_frame)
        policy = _pairing_policy(context.plan)
        self._alignment = Alignment(
            context.plan.config.sync.estimate_offset,
            known_ms=policy.offset_ms,
            may_apply=not policy.every_frame,
        )
        self._desk = Desk(
            policy,
            max_batch=compute.batch,
            max_delay_ms=context.plan.config.fusion.max_delay_ms,
            board=context.board,
            meter=self._meter,
        )
        self._utc = UtcFollower(on_step=lambda text: context.link.send("log", text=text))
        self._fusion = compute.engine
        self._tally = Tally(context.run_dir.path, warn=self._warn)
        self._rules = Rules(
            context.plan.config, utc=self._utc, looking=compute.looking, before=self._tally.read()
        )
        self._registering = compute.registering
        self._bumps = BumpEvents(self._utc)
        self._layers = context.plan.layers
        self._found: dict[str, Any] = {}
        """What the tasks say of the newest frame, as fields of ``stats``."""
        self._computed: deque[Computed] = deque()
        self._owed = dict.fromkeys(StreamName, 0)
        self._ended: set[StreamName] = set()
        self._dismissed: set[str] = set()
        self._stop_seen_ns: int | None = None

    def loop(self, waker: Waker) -> None:
        """Work until everything is done or the engine is told to hurry."""
        sources: list[Pollable] = [*self._inlets.values(), self._outlet, waker]
        while not self._done():
            self._context.beat()
            wait(sources, timeout_ms=self._patience_ms())
            for stream, inlet in self._inlets.items():
                self._read(stream, inlet)
            self._end_the_missing()
            self._align()
            self._desk.decide(self._clock.now_ns())
            self._collect(self._thread.take())
            self._emit_computed()
            self._start_batch()
            self._give_credit()
            self._desk.note_held()
            self._utc.follow(self._clock.now_ns())
            if (config := self._context.fresh_config()) is not None:
                self._rules.reload(config)
                self._registering.reload(config.registration)
            if self._meter.is_due(self._clock.now_ns()):
                self._tell()

    def finish(self) -> None:
        """Account for what is still held, and say good-bye to the sinks."""
        if self._enough():
            self._context.link.send("enough")
        self._collect(self._thread.take(wait=True))
        deadline_ns = self._clock.now_ns() + round(_FAREWELL_S * NS_PER_S)
        while self._computed and self._clock.now_ns() < deadline_ns:
            self._emit_computed()
            self._outlet.pump(_IDLE_MS if self._computed else 0)
        for done in self._computed:
            self._desk.drop(done.pair)
        self._desk.give_up(self._clock.now_ns())
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
        working = self._thread.busy or self._computed or not self._desk.is_empty
        return len(self._ended) == len(StreamName) and not working

    def _enough(self) -> bool:
        limit = self._plan.max_frames
        return limit is not None and self._board.get(c.FUSED) >= limit

    def _patience_ms(self) -> int:
        deadline_ns = self._desk.deadline_ns(idle=not (self._thread.busy or self._computed))
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
                frame = _frame(stream, message)
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
            **self._found,
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

    def _start_batch(self) -> None:
        if self._thread.busy or self._computed:
            return
        limit = self._plan.max_frames
        left = None if limit is None else limit - self._board.get(c.FUSED)
        flush = len(self._ended) == len(StreamName)
        if batch := self._desk.next_batch(self._clock.now_ns(), flush=flush, limit=left):
            self._thread.submit(batch)

    def _collect(self, batch: ComputedBatch | None) -> None:
        if batch is not None:
            self._computed.extend(batch.done)
            self._meter.computed(batch.took_ms)

    def _emit_computed(self) -> None:
        """Hand finished frames to the sinks, as far as they may be handed on."""
        self._outlet.pump(0)
        while self._computed and self._outlet.has_room():
            self._emit(self._computed.popleft())

    def _emit(self, done: Computed) -> None:
        pair, now_ns = done.pair, self._clock.now_ns()
        fused = FusedFrame(
            pair_id=pair.pair_id,
            state=pair.state,
            image=done.image,
            capture_ns=pair.base.capture_ns,
            fused_ns=now_ns,
            skew_ms=pair.skew_ms,
            infrared_age_ms=pair.infrared_age_ms,
            visible_seq=pair.visible.seq if pair.visible else None,
            infrared_seq=pair.infrared.seq if pair.infrared else None,
        )
        fused = self._rules.see(fused, done.looked)
        fused = replace(fused, events=(*fused.events, *self._bumped(done.bump, fused.pair_id)))
        # Counted before it is handed on: a crash in between loses a picture, never the balance.
        self._desk.emitted(pair)
        self._count(fused, left_out=0 if done.looked is None else done.looked.left_out)
        self._outlet.offer(
            fused.image,
            seq=fused.pair_id,
            pts_ns=pair.base.pts_ns,
            capture_ns=fused.capture_ns,
            arrival_ns=now_ns,
            meta=json.dumps({**pair_record(fused, self._utc), "layers": list(done.layers)}).encode(),
            beside={self._layers[layer][0]: image for layer, image in done.layers.items()},
        )
        self._meter.emitted(pair, now_ns)

    def _bumped(self, bump: Bump | None, pair_id: int) -> tuple[Event, ...]:
        """The event of a bumped bracket, told to people when it begins and when it ends."""
        events = self._bumps.see(bump, pair_id=pair_id)
        for event in events:
            if event.phase is EventPhase.BEGUN and bump is not None:
                self._warn(bumped(bump.misfit))
            elif event.phase is EventPhase.ENDED:
                self._context.link.send("log", text=MENDED)
        return events

    def _count(self, fused: FusedFrame, *, left_out: int) -> None:
        board = self._board
        board.add(c.DETECTIONS, sum(not found.is_predicted for found in fused.detections))
        board.add(c.LEFT_OUT, left_out)
        newest = max((found.track_id or 0 for found in fused.detections), default=0)
        board.set(c.TRACKS, max(newest, board.get(c.TRACKS)))
        self._tally.write(self._rules.counted, fused.counts)
        self._found = {
            "tracks": sum(found.track_id is not None for found in fused.detections),
            "counts": [count_record(count) for count in fused.counts],
        }
        board.add(c.EVENTS, sum(event.phase is EventPhase.BEGUN for event in fused.events))


def _frame(stream: StreamName, message: Arrival) -> Frame:
    descriptor = message.descriptor
    return Frame(
        stream=stream,
        seq=descriptor.seq,
        image=message.image,
        pts_ns=descriptor.pts_ns,
        capture_ns=descriptor.capture_ns,
        arrival_ns=descriptor.arrival_ns,
    )
