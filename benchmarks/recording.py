"""What recording costs, and what a killed recorder loses: encoders, the file, the disk.

``python benchmarks/recording.py [--folder DIR]`` encodes the synthetic street (640x480, 30 frames per second)
with every encoder that works here: processor and wall time per frame, the size, what the file costs the
caller, and what the disk takes to keep it (``fdatasync``, which a thread waits for). Then writers that keep
pace with a camera are killed (``kill -9``) at random moments, and their files are read.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from _common import markdown_table, run, write_results

from streamfuse.clock import NS_PER_S
from streamfuse.errors import MachineError
from streamfuse.frames import Image, StreamName
from streamfuse.io.shelf import part_of
from streamfuse.io.synthetic.source import SyntheticSource
from streamfuse.io.video.encoder import VideoEncoder, VideoPacket
from streamfuse.io.video.encoders import LOSSLESS, pick_encoder
from streamfuse.io.video.file import FRAGMENT_S, VideoFile

SCENE = "synthetic://street?seed=7&format=gray16&people=2&cars=1&cyclists=0"
FPS = 30
WAYS = (
    ("visible", "h264_nvenc"),
    ("visible", "h264_vaapi"),
    ("visible", "libx264"),
    ("visible", "libsvtav1"),
    ("visible", "libopenh264"),
    ("visible", "mpeg4"),
    ("infrared", LOSSLESS),
)
_SUFFIX = {"visible": ".mp4", "infrared": ".mkv"}
_KILLED_AFTER_S = (0.2, 4.0)
_AT_ONCE = 5


def scene(stream: str, count: int) -> list[Image]:
    """The first pictures of the street."""
    with closing(SyntheticSource(SCENE, stream=StreamName(stream))) as source:
        return [frame.image for frame in (source.read() for _ in range(count)) if frame is not None]


def cost(folder: Path, stream: str, codec: str, images: Sequence[Image]) -> dict[str, float]:
    """Times in ms per frame, but for ``sync_ms`` and ``close_ms``; sizes per frame and against raw images."""
    packets: list[VideoPacket] = []
    with VideoEncoder(images[0].spec, fps=FPS, codec=codec) as encoder:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for index, image in enumerate(images):
            packets += encoder.encode(image, index * NS_PER_S // FPS)
        packets += encoder.flush()
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    path = folder / f"{codec}{_SUFFIX[stream]}"
    write_ms = []
    file = VideoFile(path, encoder.template)
    for packet in packets:
        began_s = time.perf_counter()
        file.write(packet)
        write_ms.append((time.perf_counter() - began_s) * 1e3)
    began_s = time.perf_counter()
    file.close()
    nbytes = path.stat().st_size
    raw = images[0].spec.nbytes * len(images)
    return {
        "encode_cpu_ms": cpu_s * 1e3 / len(images),
        "encode_ms": wall_s * 1e3 / len(images),
        "write_ms": float(np.mean(write_ms)),
        "write_p99_ms": float(np.percentile(write_ms, 99)),
        "close_ms": (time.perf_counter() - began_s) * 1e3,
        "kb": nbytes / 1e3 / len(images),
        "mbit_s": nbytes * 8e-6 / len(images) * FPS,
        "ratio": raw / nbytes,
    }


def sync_ms(folder: Path, nbytes: int, *, times: int = 20) -> dict[str, float]:
    """How long the disk takes to keep a fragment of so many bytes."""
    took_ms = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(nbytes))
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - began_s) * 1e3)
    return {"sync_ms": float(np.median(took_ms)), "sync_max_ms": max(took_ms)}


def lost_s(folder: Path, stream: str, codec: str, seed: int) -> float:
    """Start a writer and kill it at a random moment; seconds of video that it had and that are gone."""
    path = folder / f"{codec}-{seed}{_SUFFIX[stream]}"
    command = [sys.executable, __file__, "--write", str(path), "--stream", stream, "--codec", codec]
    # Our own command with our own files.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:  # noqa: S603
        assert writer.stdout is not None
        written = [writer.stdout.readline()]
        timer = threading.Timer(random.Random(seed).uniform(*_KILLED_AFTER_S), writer.kill)  # noqa: S311
        timer.start()
        written += writer.stdout.readlines()
        timer.join()
    with av.open(part_of(path), format="matroska" if codec == LOSSLESS else "mp4") as container:
        readable = sum(1 for _ in container.decode(video=0))
    return (len(written) - readable) / FPS


def write_for_ever(path: Path, stream: str, codec: str) -> None:
    """Keep pace with a camera, and say so for each picture that is in."""
    images = scene(stream, FPS)
    pace = threading.Event()
    with (
        VideoEncoder(images[0].spec, fps=FPS, codec=codec) as encoder,
        VideoFile(path, encoder.template) as file,
    ):
        begin_s = time.monotonic()
        index = 0
        while True:
            for packet in encoder.encode(images[index % FPS], index * NS_PER_S // FPS):
                file.write(packet)
            index += 1
            sys.stdout.write(f"{index}\n")
            sys.stdout.flush()
            pace.wait(max(0.0, begin_s + index / FPS - time.monotonic()))


def measure(folder: Path, *, frames: int, kills: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A row for each encoder that works, and why the others do not."""
    rows: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    images = {stream: scene(stream, frames) for stream in ("visible", "infrared")}
    for stream, codec in WAYS:
        try:
            pick_encoder(codec)
        except MachineError as error:
            refused[codec] = str(error).partition(f"({codec}: ")[2].partition(");")[0]
            continue
        row: dict[str, Any] = {"stream": stream, "codec": codec}
        row |= cost(folder, stream, codec, images[stream])
        row |= sync_ms(folder, round(row["kb"] * 1e3 * FPS * FRAGMENT_S))
        if codec in {LOSSLESS, pick_encoder().name}:
            kill = functools.partial(lost_s, folder, stream, codec)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                row["lost_s"] = list(pool.map(kill, range(kills)))
        rows.append(row)
    return rows, refused


def table(rows: Sequence[Mapping[str, Any]], refused: Mapping[str, str]) -> str:
    """The measurements in Markdown."""
    numbers = {
        "encode ms": "encode_ms",
        "of the processor": "encode_cpu_ms",
        "write ms": "write_ms",
        "p99": "write_p99_ms",
        "close ms": "close_ms",
        "fdatasync ms": "sync_ms",
        "max": "sync_max_ms",
        "kB a frame": "kb",
        "Mbit/s": "mbit_s",
        "raw : file": "ratio",
    }
    lines = ([row["stream"], row["codec"], *(f"{row[key]:.2f}" for key in numbers.values())] for row in rows)
    killed = [
        [row["codec"], str(len(lost)), f"{np.median(lost):.2f}", f"{max(lost):.2f}"]
        for row in rows
        if (lost := row.get("lost_s"))
    ]
    absent = "".join(f"\n* `{codec}` does not work here: {why}." for codec, why in refused.items())
    return (
        f"{markdown_table(['640x480 at 30 fps', 'encoder', *numbers], lines, words=2)}\n"
        f"{markdown_table(['killed writer', 'kills', 'lost, median s', 'at most s'], killed)}{absent}\n"
    )


def main() -> None:
    """Measure every way, write ``recording.md`` and ``recording.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="on the disk to measure; else for temporary files")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stream", help=argparse.SUPPRESS)
    parser.add_argument("--codec", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_for_ever(arguments.write, arguments.stream, arguments.codec)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix=".recording-") as name:
        rows, refused = measure(Path(name), frames=arguments.frames, kills=arguments.kills)
    account = {"commands": [shlex.join(["python", *sys.argv])], "rows": rows, "refused": refused}
    write_results(arguments.results, "recording", account=account, text=table(rows, refused))


if __name__ == "__main__":
    run(main)
