"""A consumer process for the tests of the bus: takes frames until the stream ends and checks each.

``python bus_consumer.py RUN_FOLDER WINDOW [NAME [PAUSE_S]]``; started again it goes on where it was killed.
It prints a line after every hundredth frame and the reason of the end. With a pause it takes that long over
each frame, and prints a line after each. Its board is that of ``consumer``, or of its name where it has one.
"""

import sys
import time
from pathlib import Path

from streamfuse.clock import SystemClock
from streamfuse.core.wire import Channel, EndOfStream
from streamfuse.io.transport.board import Board
from streamfuse.io.transport.bus import wait
from streamfuse.io.transport.inlet import Arrival, Inlet
from streamfuse.io.transport.rundir import RunDir


def main(folder: Path, window: int, name: str = "", pause_s: float = 0.0) -> None:
    """Take frames until the end."""
    clock = SystemClock()
    with (
        RunDir.join(folder) as run,
        Board.open(run.board(name or "consumer")) as board,
        Inlet(
            run.endpoint("visible"),
            stream=Channel.VISIBLE,
            consumer=name or "engine",
            window=window,
            ring_path=run.ring("visible"),
            ledger=board,
        ) as inlet,
    ):
        newest = -1
        while True:
            wait([inlet], timeout_ms=100)
            inlet.tick(clock.now_ns())
            while (message := inlet.receive()) is not None:
                if isinstance(message, EndOfStream):
                    print(f"end {message.reason}", flush=True)  # noqa: T201 - what the test waits for
                    return
                if isinstance(message, Arrival):
                    newest = check(message, newest)
                    time.sleep(pause_s)
                    inlet.consumed()
                    if pause_s or inlet.count("delivered") % 100 == 0:
                        print("delivered", flush=True)  # noqa: T201 - what the test waits for


def check(arrival: Arrival, newest: int) -> int:
    """The frame's number, after it was found in its samples and to be newer than the one before."""
    seq = arrival.descriptor.seq
    samples = arrival.image.planes[0]
    if not (samples.min() == samples.max() == seq and arrival.meta == b"%d" % seq and seq > newest):
        raise AssertionError(f"frame {seq} after {newest} holds {samples.min()}..{samples.max()}")
    return seq


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:4], *map(float, sys.argv[4:5]))
