"""Reads a V4L2 source in a process of its own, beside the preloaded fake driver, and prints what comes.

Argument: JSON with ``count`` and the source's block. Each frame, and an error, is one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time

from streamfuse.config.sources import InfraredSource
from streamfuse.errors import StreamfuseError
from streamfuse.frames import StreamName
from streamfuse.io.cameras.v4l2 import V4l2Source


def main() -> None:
    """Read until the count or the error."""
    wanted = json.loads(sys.argv[1])
    count = wanted.pop("count")
    if "size" in wanted:
        wanted["size"] = tuple(wanted["size"])
    began = time.monotonic()
    try:
        source = V4l2Source(InfraredSource(**wanted), stream=StreamName.INFRARED)
        try:
            spec = source.info.spec
            say(format=spec.format, size=spec.size_wh, fps=source.info.fps, live=source.info.live)
            for _ in range(count):
                began = time.monotonic()
                frame = source.read()
                assert frame is not None
                stamp = frame.stamp and [frame.stamp.source, time.monotonic_ns() - frame.stamp.time_ns]
                value = int(frame.image.planes[0][-1, -1])
                say(value=value, pts_ns=frame.pts_ns, stamp=stamp, lost=dict(frame.lost))
        finally:
            source.close()
            source.close()
    except StreamfuseError as error:
        say(error=type(error).__name__, text=str(error), waited_s=time.monotonic() - began)


def say(**values: object) -> None:
    """One line."""
    sys.stdout.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
