"""What browsers cost the run: 0, 1, 20 and 50 of them, half of them stalled.

``python benchmarks/viewers.py [--seconds 6]`` shows frames of the size of HD video on the real web viewer, 30
a second, while a second process holds the browsers' WebSockets. A stalled one never says that it has drawn a
picture. Counted are the frames shown, the JPEGs made of each, how long handing a frame over takes, and the
processor time of the viewer's process: one core is 100 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
from _common import markdown_table, run, write_results
from websockets.asyncio.client import connect

from streamfuse.frames import ColorRange, FusedFrame, Image, ImageSpec, Layer, PairState, PixelFormat
from streamfuse.io.viewer.server import WebViewer
from streamfuse.io.viewer.settings import ViewerSettings

FPS = 30
SIZE_WH = (1280, 720)
BROWSERS = (0, 1, 20, 50)
_DIFFERENT = 8
"""Frames that are made beforehand and shown in turn."""


def frames() -> list[FusedFrame]:
    """Frames with some texture, so that their JPEGs have the size of a real scene's."""
    spec = ImageSpec(format=PixelFormat.YUV420P, size_wh=SIZE_WH, range=ColorRange.LIMITED)
    rng = np.random.default_rng(7)
    made = []
    for number in range(_DIFFERENT):
        planes = tuple(
            np.kron(rng.integers(60, 190, (height // 8, width // 8)), np.ones((8, 8))).astype(np.uint8)
            for height, width in ((rows // 8 * 8, columns // 8 * 8) for rows, columns in spec.plane_shapes)
        )
        image = Image(spec, planes)
        made.append(
            FusedFrame(
                pair_id=number,
                state=PairState.MATCHED,
                image=image,
                capture_ns=0,
                fused_ns=0,
                skew_ms=0.0,
                infrared_age_ms=0.0,
                visible_seq=number,
                infrared_seq=number,
                layers={Layer.VISIBLE: image, Layer.INFRARED: Image.from_gray(planes[0])},
            )
        )
    return made


def browse(url: str, count: int, ready: Event, drawn: Any) -> None:
    """The second process: half of the browsers draw, the others stall."""
    asyncio.run(_browse_all(url, count, ready, drawn))


async def _browse_all(url: str, count: int, ready: Event, drawn: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_browse(url, number % 2 == 0, drawn))
        ready.set()


async def _browse(url: str, draws: bool, drawn: Any) -> None:
    async with connect(f"{url.replace('http', 'ws', 1)}live", max_size=None, compression=None) as socket:
        await socket.send(json.dumps({"want": {"layers": ["fused"], "fps": FPS}}))
        async for message in socket:
            if draws and isinstance(message, bytes):
                (length,) = struct.unpack_from("<I", message)
                await socket.send(json.dumps({"ready": json.loads(message[4 : 4 + length])["frame"]}))
                drawn.value += 1


def measure(shown: Sequence[FusedFrame], count: int, seconds: float) -> dict[str, float]:
    """One row: the viewer with ``count`` browsers."""
    spawn = multiprocessing.get_context("spawn")
    ready, drawn = spawn.Event(), spawn.Value("q", 0)
    with WebViewer(ViewerSettings(max_fps=2 * FPS)) as viewer:
        viewer.start()
        browsers = spawn.Process(target=browse, args=(viewer.url, count, ready, drawn), daemon=True)
        browsers.start()
        ready.wait(30)
        took_ms: list[float] = []
        _show(viewer, shown, 1.0, took_ms)  # all have connected, all is warm
        took_ms.clear()
        before = viewer.encoded, drawn.value, time.process_time(), time.monotonic()
        _show(viewer, shown, seconds, took_ms)
        encoded, pictures, used_s, wall_s = (
            now - then
            for now, then in zip(
                (viewer.encoded, drawn.value, time.process_time(), time.monotonic()), before, strict=True
            )
        )
        browsers.terminate()
        browsers.join()
    drawing = (count + 1) // 2
    return {
        "browsers": count,
        "stalled": count // 2,
        "fps": len(took_ms) / wall_s,
        "jpegs_per_frame": encoded / len(took_ms),
        "show_p50_ms": float(np.percentile(took_ms, 50)),
        "show_p95_ms": float(np.percentile(took_ms, 95)),
        "pictures_per_browser_and_s": pictures / drawing / wall_s if drawing else 0.0,
        "cpu_percent": 100 * used_s / wall_s,
    }


def _show(viewer: WebViewer, shown: Sequence[FusedFrame], seconds: float, took_ms: list[float]) -> None:
    """Frames at an even pace."""
    start_s = time.monotonic()
    for number in range(round(seconds * FPS)):
        time.sleep(max(0.0, start_s + number / FPS - time.monotonic()))
        begun_s = time.perf_counter()
        viewer.show(replace(shown[number % len(shown)], pair_id=number))
        took_ms.append((time.perf_counter() - begun_s) * 1e3)


def table(rows: Sequence[dict[str, float]]) -> str:
    """The rows in Markdown."""
    head = ["browsers", "of them stalled", "frames/s shown", "share of without", "JPEGs a frame"]
    head += ["handing over p50 / p95", "pictures/s at a browser", "processor"]
    cells = [
        [
            *(f"{row[key]:.0f}" for key in ("browsers", "stalled")),
            f"{row['fps']:.1f}",
            f"{row['fps'] / rows[0]['fps']:.3f}",
            f"{row['jpegs_per_frame']:.2f}",
            f"{row['show_p50_ms']:.2f} / {row['show_p95_ms']:.2f} ms",
            f"{row['pictures_per_browser_and_s']:.1f}",
            f"{row['cpu_percent']:.0f} %",
        ]
        for row in rows
    ]
    return markdown_table(head, cells, words=0)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="for each number of browsers")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args()
    shown = frames()
    rows = [measure(shown, count, options.seconds) for count in BROWSERS]
    width, height = SIZE_WH
    account = {
        "size_wh": SIZE_WH,
        "fps": FPS,
        "rows": rows,
        "commands": [f"python benchmarks/viewers.py --seconds {options.seconds:g}"],
    }
    text = f"Frames of {width}x{height} at {FPS} a second, the fused layer, JPEG quality 80.\n\n{table(rows)}"
    write_results(options.out, "viewers", account=account, text=text)


if __name__ == "__main__":
    run(main)
