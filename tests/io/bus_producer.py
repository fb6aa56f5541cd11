"""A producer process for the tests of the bus: offers numbered flat frames until its stdin ends.

``python bus_producer.py RUN_FOLDER realtime|every_frame [CONSUMER]…``; started again it goes on where it was
killed. The ring is as large as windows of 3 need, at least for one consumer, which is ``engine`` by default.
It prints a line after every hundredth frame and at the end whether all was consumed.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamfuse.clock import NS_PER_S, SystemClock
from streamfuse.core.flow import Delivery, Outbox
from streamfuse.core.wire import Channel, EndReason
from streamfuse.frames import Image, ImageSpec, PixelFormat
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.bus import Pollable, wait
from streamfuse.io.transport.outlet import Fill, Outlet
from streamfuse.io.transport.ring import RingWriter
from streamfuse.io.transport.rundir import RunDir

SPEC = ImageSpec(format=PixelFormat.GRAY16, size_wh=(64, 48))


class Stdin:
    """Standard input, as something to wait for."""

    @property
    def socket(self) -> int:
        """Its file descriptor."""
        return sys.stdin.fileno()


def main(folder: Path, policy: Delivery, consumers: Sequence[str]) -> None:
    """Offer frames until standard input ends."""
    stdin: Pollable = Stdin()
    slots = 3 * (len(consumers) + 1)
    with (
        RunDir.join(folder) as run,
        Board.open(run.board("producer")) as board,
        RingWriter.ensure(run.ring("visible"), slots=slots, slot_nbytes=SPEC.nbytes) as ring,
        Outlet(
            run.endpoint("visible"),
            ring=ring,
            outbox=Outbox(policy, consumers, ledger=board),
            stream=Channel.VISIBLE,
        ) as outlet,
    ):
        pace_ms = 1 if policy is Delivery.REALTIME else 0
        while stdin not in wait([outlet, stdin], timeout_ms=pace_ms if outlet.has_room() else 100):
            outlet.pump(0)
            if not outlet.has_room():
                continue
            seq = board.get("to.engine.offered") % 2**16
            outlet.offer(image_of(seq), seq=seq, pts_ns=seq, capture_ns=seq, arrival_ns=seq, meta=b"%d" % seq)
            if seq % 100 == 99:
                print(f"offered {seq + 1}", flush=True)  # noqa: T201 - what the test waits for
        done = outlet.finish(EndReason.FINISHED, deadline_ns=SystemClock().now_ns() + 20 * NS_PER_S)
        print(f"finished {done}", flush=True)  # noqa: T201 - what the test waits for


def image_of(seq: int) -> Image | Fill:
    """A frame whose every sample is its number; every other one is made in its slot."""
    if seq % 2:
        return Fill(SPEC, lambda image: image.planes[0].fill(seq))
    return Image.from_gray(np.full((48, 64), seq, np.uint16))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Delivery(sys.argv[2]), sys.argv[3:] or ["engine"])
