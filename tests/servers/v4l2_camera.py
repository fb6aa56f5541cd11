"""A V4L2 camera that is not there: the driver ``fake_v4l2.c``, preloaded into a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from servers import need_server

__all__ = ["FPS", "build_driver", "camera_environment", "plug_in"]

FPS = 50


def build_driver(folder: Path) -> Path:
    """Compile the fake driver; the library to preload."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    need_server(None if compiler else "no C compiler, which the fake V4L2 driver needs")
    library = folder / "fake_v4l2.so"
    flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    source = Path(__file__).with_name("fake_v4l2.c")
    subprocess.run([str(compiler), *flags, "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


def plug_in(node: Path) -> Path:
    """Make the device node."""
    node.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(node)
    return node


def camera_environment(
    driver: Path, node: Path, *, fault: str = "", jpeg: Path | None = None
) -> dict[str, str]:
    """The environment of a process for which ``node`` is a camera."""
    return {
        **os.environ,
        "LD_PRELOAD": str(driver),
        "FAKE_V4L2_NODE": str(node),
        "FAKE_V4L2_FPS": str(FPS),
        "FAKE_V4L2_FAULT": fault,
        "FAKE_V4L2_JPEG": "" if jpeg is None else str(jpeg),
    }
