"""Records pairs as fast as it can until it is killed: ``recording_child.py FOLDER`` prints each number."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from made_recordings import START_NS, UTC, fused

from streamfuse.config.outputs import Record
from streamfuse.frames import Event, EventPhase
from streamfuse.io.recorder.recorder import Recorder

PERIOD_NS = 40_000_000


def main(folder: Path) -> None:
    """All tracks at 25 pairs a second, in segments of 3 s, with an event that goes on for ever."""
    how = Record(
        dir=folder,
        segment_s=3,
        codec="libx264",
        visible=True,
        infrared=True,
        raw_infrared=True,
        subtitles=True,
    )
    with Recorder(how, name="yard", fps=25, utc=UTC) as recorder:
        for number in itertools.count():
            now_ns = START_NS + number * PERIOD_NS
            phase = EventPhase.GOING if number else EventPhase.BEGUN
            event = Event(id="gate-1", rule="gate", phase=phase, began_ns=START_NS, objects=1)
            frame = fused(number % 32, now_ns, infrared_seq=number - number % 2, events=(event,))
            recorder.turn(now_ns)
            recorder.write(frame, now_ns=now_ns)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
