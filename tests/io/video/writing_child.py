"""Writes segments until it is killed: a video with texts and a lossless one beside it.

``writing_child.py FOLDER SEED [FPS]`` prints a line for each image that is in: ``NAME INDEX``. Without a
rate it is as fast as it can be.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from streamfuse.frames import Image
from streamfuse.io.video.encoder import VideoEncoder
from streamfuse.io.video.file import VideoFile

PERIOD_NS = 1_000_000_000 // 25


def main(folder: Path, seed: int, fps: float = math.inf) -> None:
    """Segments of 1 s to 3 s of 25 images a second, so that many are closed."""
    pace, began_s = threading.Event(), time.monotonic()
    lengths = random.Random(seed)  # noqa: S311 - a test's dice
    noise = np.random.default_rng(seed).integers(0, 256, (96, 128), dtype=np.uint8)
    gray, deep = Image.from_gray(noise), Image.from_gray(noise.astype(np.uint16) * 199)
    with VideoEncoder(gray.spec, fps=25) as eye, VideoEncoder(deep.spec, fps=25, codec="ffv1") as heat:
        begin = 0
        for number in itertools.count():
            count = lengths.randint(25, 75)
            start_ns = begin * PERIOD_NS
            with ExitStack() as stack:
                video = stack.enter_context(
                    VideoFile(folder / f"{number}.mp4", eye.template, start_ns=start_ns, texts=True)
                )
                raw = stack.enter_context(
                    VideoFile(folder / f"{number}.mkv", heat.template, start_ns=start_ns)
                )
                for index in range(count):
                    pts_ns = start_ns + index * PERIOD_NS
                    for packet in eye.encode(gray, pts_ns, key=index == 0):
                        video.write(packet)
                    video.write_text(str(index), pts_ns=pts_ns, duration_ns=PERIOD_NS)
                    for packet in heat.encode(deep, pts_ns):
                        raw.write(packet)
                    sys.stdout.write(f"{number} {index}\n")
                    sys.stdout.flush()
                    pace.wait(max(0.0, began_s + (begin + index + 1) / fps - time.monotonic()))
            begin += count


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
