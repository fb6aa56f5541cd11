"""A screen that nobody sees: an X server in memory, and what it shows."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import ImageGrab
from servers import need_server

__all__ = ["pixels_of", "virtual_screen"]

_READY_S = 20.0


@contextmanager
def virtual_screen() -> Iterator[str]:
    """Start one of 800x600 pixels; gives what DISPLAY has to be."""
    need_server(None if shutil.which("Xvfb") else "Xvfb is not installed")
    readable, writable = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(writable),
        "-screen",
        "0",
        "800x600x24",
        "-noreset",
        "-nolisten",
        "tcp",
    ]
    server = subprocess.Popen(command, pass_fds=[writable], stderr=subprocess.DEVNULL)
    os.close(writable)
    try:
        ready, _, _ = select.select([readable], [], [], _READY_S)
        assert ready, "Xvfb does not start"
        yield f":{os.read(readable, 16).decode().strip()}"
    finally:
        os.close(readable)
        server.terminate()
        server.wait()


def pixels_of(display: str) -> NDArray[np.int64]:
    """What the screen shows: 600x800x3, R, G, B."""
    return np.asarray(ImageGrab.grab(xdisplay=display)).astype(np.int64)
