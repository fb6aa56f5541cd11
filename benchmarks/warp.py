"""What it costs to register a pair on one core: from the images as cameras give them to one grey plane.

    python benchmarks/warp.py

Every row is `Registration.apply` as a run calls it, with the conversion to 8-bit grey, on one thread and over
pictures that differ from call to call. Beside it stands how far the result is from the same picture
interpolated in float64, and how long the maps take that are made once.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from _common import markdown_table, run, write_results

from streamfuse.frames import ColorRange, Image, ImageSpec, PixelFormat
from streamfuse.geometry.camera import Camera
from streamfuse.geometry.gray import codes
from streamfuse.geometry.pose import Pose
from streamfuse.geometry.rig import Plane, RigGeometry, full_grid
from streamfuse.geometry.warp import Registration
from streamfuse.io.synthetic.cameras import homography_visible_from_infrared

Floats = npt.NDArray[np.float64]
SizeWH = tuple[int, int]

TARGET_MS: Final = 1.5
"""Of processor time per pair of 640x480."""
PICTURES: Final = 8
VGA: Final = (640, 480)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one rig costs."""

    rig: str
    size_wh: SizeWH
    infrared: str
    seen: float
    cpu_p5_ms: float
    """What it takes when nobody else uses the core's caches."""
    cpu_ms: float
    wall_ms: float
    wall_p95_ms: float
    maps_ms: float
    most_off: float
    """Levels, from float64."""


def rig_with_matrix(size_wh: SizeWH, infrared_wh: SizeWH, *, share: float = 1.0) -> RigGeometry:
    """The two cameras of the drawn street; with a ``share`` below 1 the infrared one has a narrower view."""
    matrix = homography_visible_from_infrared(size_wh, infrared_wh)
    across, down = ((side - 1) / 2 for side in size_wh)
    narrow = np.array([[share, 0, across * (1 - share)], [0, share, down * (1 - share)], [0, 0, 1]])
    plane = Plane(distance_m=math.inf, H=narrow @ matrix)
    return RigGeometry(visible_size_wh=size_wh, infrared_size_wh=infrared_wh, planes=(plane,))


def rig_with_lenses(size_wh: SizeWH, infrared_wh: SizeWH) -> RigGeometry:
    """Barrel lenses and a baseline of 8 cm."""
    bent = (-0.30, 0.10, 0.001, -0.0005, -0.02)
    cameras = [
        Camera(size_wh=(w, h), fx=w * 0.86, fy=w * 0.86, cx=w / 2, cy=h / 2, distortion=bent)
        for w, h in (size_wh, infrared_wh)
    ]
    return RigGeometry(
        visible_size_wh=size_wh,
        infrared_size_wh=infrared_wh,
        visible=cameras[0],
        infrared=cameras[1],
        T_visible_from_infrared=Pose(rotation_vector=(0.01, -0.02, 0.005), translation_m=(0.08, 0.01, 0.0)),
    )


def pictures(size_wh: SizeWH, form: PixelFormat) -> list[Image]:
    """Noise, the hardest for interpolation; video in limited range, as cameras send it."""
    chance = np.random.default_rng(5)
    video = form is PixelFormat.YUV420P
    spec = ImageSpec(format=form, size_wh=size_wh, range=ColorRange.LIMITED if video else ColorRange.FULL)
    return [Image.from_buffer(spec, chance.bytes(spec.nbytes)) for _ in range(PICTURES)]


def interpolated(plane: npt.NDArray[np.uint8], grid: Floats) -> Floats:
    """The grey plane at places of ``grid``, bilinear in float64."""
    height, width = plane.shape
    x, y = np.moveaxis(grid, -1, 0)
    left = np.clip(np.floor(x).astype(int), 0, width - 2)
    top = np.clip(np.floor(y).astype(int), 0, height - 2)
    across, down = x - left, y - top
    values = plane.astype(np.float64)
    upper = values[top, left] * (1 - across) + values[top, left + 1] * across
    lower = values[top + 1, left] * (1 - across) + values[top + 1, left + 1] * across
    return np.asarray(upper * (1 - down) + lower * down)


def registration_of(rig: RigGeometry) -> Registration:
    """At 10 m."""
    return Registration.of(
        rig, visible_size_wh=rig.visible_size_wh, infrared_size_wh=rig.infrared_size_wh, distance_m=10.0
    )


def measure(name: str, rig: RigGeometry, form: PixelFormat, *, rounds: int) -> Row:
    """Time one rig with one kind of infrared images; visible ones are video."""
    begin = time.perf_counter()
    registration = registration_of(rig)
    maps_ms = (time.perf_counter() - begin) * 1e3
    visible = pictures(rig.visible_size_wh, PixelFormat.YUV420P)
    infrared = pictures(rig.infrared_size_wh, form)
    cpu, wall = [], []
    for index in range(rounds + PICTURES):
        begin_cpu, begin = time.thread_time(), time.perf_counter()
        registration.apply(infrared[index % PICTURES], visible[-index % PICTURES])
        wall.append((time.perf_counter() - begin) * 1e3)
        cpu.append((time.thread_time() - begin_cpu) * 1e3)
    grid = full_grid(rig.at(10.0), rig.visible_size_wh)[registration.seen]
    found = registration.apply(infrared[0], visible[0]).planes[0][registration.seen]
    image = codes(infrared[0])
    levels = np.clip((interpolated(image.plane, grid) - image.black) * image.gain, 0, 255)
    off = np.abs(found - levels).max()
    return Row(
        rig=name,
        size_wh=rig.visible_size_wh,
        infrared=f"{_words(rig.infrared_size_wh)} {form}",
        seen=float(registration.seen.mean()),
        cpu_p5_ms=float(np.percentile(cpu[PICTURES:], 5)),
        cpu_ms=float(np.median(cpu[PICTURES:])),
        wall_ms=float(np.median(wall[PICTURES:])),
        wall_p95_ms=float(np.percentile(wall[PICTURES:], 95)),
        maps_ms=maps_ms,
        most_off=float(off),
    )


def page(rows: list[Row]) -> str:
    """The table, and whether the target is met."""
    header = (
        "rig",
        "visible",
        "infrared",
        "seen",
        "cpu p5 ms",
        "cpu ms",
        "wall ms",
        "p95 ms",
        "maps ms",
        "off by levels",
    )
    cells = [
        (
            row.rig,
            _words(row.size_wh),
            row.infrared,
            f"{row.seen:.0%}",
            f"{row.cpu_p5_ms:.2f}",
            f"{row.cpu_ms:.2f}",
            f"{row.wall_ms:.2f}",
            f"{row.wall_p95_ms:.2f}",
            f"{row.maps_ms:.0f}",
            f"{row.most_off:.2f}",
        )
        for row in rows
    ]
    worst = max(row.cpu_ms for row in rows if row.size_wh == VGA)
    verdict = (
        f"Target: at most {TARGET_MS} ms per pair of 640x480 on one core; the slowest takes {worst:.2f} ms.\n"
    )
    return f"{markdown_table(header, cells, words=3)}\n{verdict}"


def main() -> None:
    """Measure all rigs, write the table and its JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300, help="calls that are timed per row")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    gray, video = PixelFormat.GRAY8, PixelFormat.YUV420P
    thermal = (640, 512)
    cases = [
        ("matrix", rig_with_matrix(VGA, VGA), gray),
        ("matrix", rig_with_matrix(VGA, VGA), video),
        ("matrix, narrow view", rig_with_matrix(VGA, VGA, share=0.8), gray),
        ("matrix, narrow view", rig_with_matrix(VGA, VGA, share=0.8), video),
        ("lenses and pose", rig_with_lenses(VGA, thermal), gray),
        ("lenses and pose", rig_with_lenses(VGA, thermal), video),
        ("lenses and pose", rig_with_lenses((1280, 720), thermal), gray),
        ("lenses and pose", rig_with_lenses((1920, 1080), thermal), gray),
    ]
    registration_of(cases[0][1])  # loads what is compiled
    rows = [measure(name, rig, form, rounds=args.rounds) for name, rig, form in cases]
    account = {
        "rows": [asdict(row) for row in rows],
        "commands": [shlex.join(["python", *sys.argv])],
    }
    write_results(args.results, "warp", account=account, text=page(rows))


def _words(size_wh: SizeWH) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"


if __name__ == "__main__":
    run(main)
