"""A consumer process for the tests of the bus: takes frames until the stream ends and checks each.

``python bus_consumer.py RUN_FOLDER WINDOW``; started again it goes on where it was killed. It prints a line
after every hundredth frame and the reason of the end.
"""

import sys
from pathlib import Path

from streamfuse.clock import SystemClock
from streamfuse.core.wire import Channel, EndOfStream
from streamfuse.io.board import Board
from streamfuse.io.bus import wait
from streamfuse.io.inlet import Arrival, Inlet
from streamfuse.io.rundir import RunDir


def main(folder: Path, window: int) -> None:
    """Take frames until the end."""
    clock = SystemClock()
    with (
        RunDir.join(folder) as run,
        Board.open(run.board("consumer")) as board,
        Inlet(
            run.endpoint("visible"),
            stream=Channel.VISIBLE,
            consumer="engine",
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
                    inlet.consumed()
                    if inlet.count("delivered") % 100 == 0:
                        print("delivered", flush=True)  # noqa: T201 - what the test waits for


def check(arrival: Arrival, newest: int) -> int:
    """The frame's number, after it was found in its samples and to be newer than the one before."""
    seq = arrival.descriptor.seq
    samples = arrival.image.planes[0]
    if not (samples.min() == samples.max() == seq and arrival.meta == b"%d" % seq and seq > newest):
        raise AssertionError(f"frame {seq} after {newest} holds {samples.min()}..{samples.max()}")
    return seq


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
