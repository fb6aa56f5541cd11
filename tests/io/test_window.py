"""Windows on a real (virtual) screen, and what is said where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from screens import pixels_of, virtual_screen
from servers import Process

from streamfuse.errors import MachineError, SourceError
from streamfuse.io.overlay import encode_jpeg
from streamfuse.io.window import Window, decode_jpeg


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A screen that nobody sees, as DISPLAY."""
    with virtual_screen() as display:
        monkeypatch.setenv("DISPLAY", display)
        yield display


WINDOW_STORY = """
import select, sys
import numpy as np
from streamfuse.io.window import Window
with Window("fused") as window:
    window.show(np.full((120, 160, 3), (255, 0, 0), np.uint8))
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        window.key()
    print("open" if window.is_open else "closed", window.key(), flush=True)
assert not window.is_open
window.show(np.zeros((120, 160, 3), np.uint8))  # a closed window takes pictures and shows nothing
print("shown", flush=True)
"""


def test_a_window_shows_the_picture_and_goes(screen: str) -> None:
    """Red pixels are red on the screen while the window is open, and gone when it is closed."""
    process = Process([sys.executable, "-c", WINDOW_STORY])
    try:
        wait_until(lambda: reddest(screen) > 0.9)
        process.say("end")
        assert process.line() == "open None"
        assert process.line() == "shown"
        wait_until(lambda: reddest(screen) == 0)
    finally:
        process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something on a screen, which tells nobody when it changes."""
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)  # the screen of another program offers no event


def reddest(screen: str) -> float:
    """The share of a screen's middle that is red."""
    picture = pixels_of(screen)[20:100, 20:140]
    return float(np.mean((picture[..., 0] > 240) & (picture[..., 1] < 15) & (picture[..., 2] < 15)))


def test_without_a_screen_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No DISPLAY, or one that does not answer: an error that says how to mend it, and the process lives."""
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MachineError, match=r"DISPLAY is not set; leave out viewer\.window"):
        Window("nowhere")
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(MachineError, match="no window can be opened on DISPLAY=:987"):
        Window("nowhere")


def test_a_jpeg_comes_back_as_the_picture() -> None:
    """Red stays red, and what is no picture is an error."""
    red = np.full((16, 16, 3), (250, 10, 10), np.uint8)
    assert np.abs(decode_jpeg(encode_jpeg(red, 95)).astype(int) - red).max() < 12
    with pytest.raises(SourceError, match="expected a JPEG picture, got 5 bytes"):
        decode_jpeg(b"hello")
