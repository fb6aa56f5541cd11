"""A window on the screen of this machine; the only file that uses OpenCV's windows."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamfuse.errors import MachineError, SourceError
from streamfuse.io.closing import Closing

__all__ = ["Window", "decode_jpeg"]

Rgb = npt.NDArray[np.uint8]

_FLAGS: Final = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
_TRY_S: Final = 30.0
_FIRST_HEIGHT: Final = 720
"""Lines that a window has at most when it opens; people drag it as they like."""
_NO_KEY: Final = -1


class Window(Closing):
    """A window with a picture. All calls come from one thread, and often: they keep the window alive.

    Args:
        title: in its frame.

    Raises:
        MachineError: there is no screen here.
    """

    def __init__(self, title: str) -> None:
        _try_screen()
        self._title = title
        self._sized = False
        self._closed = False
        cv2.namedWindow(title, _FLAGS)

    @property
    def is_open(self) -> bool:
        """Whether it is still there: people close windows."""
        if not self._closed and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            self.close()
        return not self._closed

    def show(self, rgb: Rgb) -> None:
        """Draw a picture, HxWx3 uint8 in the order R, G, B; nothing when the window was closed."""
        if not self.is_open:
            return
        cv2.imshow(self._title, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        if not self._sized:  # only now: Qt forgets a size that it is given before the first picture
            self._sized = True
            height, width = rgb.shape[:2]
            shrink = min(1.0, _FIRST_HEIGHT / height)
            cv2.resizeWindow(self._title, round(width * shrink), round(height * shrink))

    def key(self) -> str | None:
        """Let the window react to what people do, and say which key they pressed; None: none."""
        if not self.is_open:
            return None
        code = cv2.pollKey()
        return None if code == _NO_KEY else chr(code & 0xFF)

    def close(self) -> None:
        """Close the window; may be called twice."""
        if not self._closed:
            self._closed = True
            cv2.destroyAllWindows()
            cv2.pollKey()  # Qt takes a window away only when it is given a turn


def decode_jpeg(data: bytes) -> Rgb:
    """The picture in a JPEG file as HxWx3 uint8 in the order R, G, B.

    Raises:
        SourceError: the data are no picture.
    """
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if pixels is None:
        raise SourceError(f"expected a JPEG picture, got {len(data)} bytes of something else")
    return pixels.astype(np.uint8, copy=False)


def _try_screen() -> None:
    """Open a window in another process: Qt ends the one that cannot reach its screen.

    Raises:
        MachineError: that did not work.
    """
    advice = "leave out viewer.window and use the web page"
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        raise MachineError(f"a window needs a screen, and DISPLAY is not set; {advice}")
    trial = "import cv2; cv2.namedWindow('trial'); cv2.destroyAllWindows()"
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-c", trial], capture_output=True, text=True, timeout=_TRY_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"the screen does not answer within {_TRY_S:.0f} s; {advice}") from error
    if done.returncode:
        words = next(filter(None, map(str.strip, done.stderr.splitlines())), "no reason given")
        raise MachineError(
            f"no window can be opened on DISPLAY={os.environ.get('DISPLAY')} ({words}); {advice}"
        )
