"""Records pairs until it is killed, printing the number of each: ``recording_child.py FOLDER FPS``."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from made_recordings import START_NS, UTC, fused

from streamfuse.clock import NS_PER_S
from streamfuse.config.outputs import Record
from streamfuse.frames import Event, EventPhase
from streamfuse.io.recorder.recorder import Recorder

SEGMENT = 75
"""Pairs of a segment."""


def main(folder: Path, fps: int) -> None:
    """All tracks, each infrared image for two pairs, with an event that goes on for ever."""
    how = Record(
        dir=folder,
        segment_s=SEGMENT / fps,
        codec="libx264",
        visible=True,
        infrared=True,
        raw_infrared=True,
        subtitles=True,
    )
    with Recorder(how, name="yard", fps=fps, utc=UTC) as recorder:
        for number in itertools.count():
            now_ns = START_NS + number * NS_PER_S // fps
            phase = EventPhase.GOING if number else EventPhase.BEGUN
            event = Event(id="gate-1", rule="gate", phase=phase, began_ns=START_NS, objects=1)
            frame = fused(number % 32, now_ns, infrared_seq=number - number % 2, events=(event,))
            recorder.turn(now_ns)
            recorder.write(frame, now_ns=now_ns)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
