"""The window of a run: it shows the pictures, and its absence stops nothing."""

from __future__ import annotations

import signal
import time
from functools import partial

import numpy as np
import pytest
from screens import pixels_of, virtual_screen

from streamfuse.frames import Detection, FusedFrame, Image, Layer, PairState
from streamfuse.runtime.stages.window import Look, draw

STREET = "synthetic://street?seed=7&size=160x120&fps=10"
SHAPE = (24, 32)


def frame(*, infrared: bool = True) -> FusedFrame:
    """Fused grey, visible red, infrared half warm, with one object in the middle."""
    height, width = SHAPE
    layers = {Layer.VISIBLE: Image.from_rgb(np.full((height, width, 3), (200, 0, 0), np.uint8))}
    if infrared:
        layers[Layer.INFRARED] = Image.from_gray(np.full(SHAPE, 128, np.uint8))
    return FusedFrame(
        pair_id=1,
        state=PairState.MATCHED if infrared else PairState.VISIBLE_ONLY,
        image=Image.from_rgb(np.full((height, width, 3), 90, np.uint8)),
        capture_ns=1,
        fused_ns=2,
        skew_ms=None,
        infrared_age_ms=None,
        visible_seq=1,
        infrared_seq=None,
        detections=(Detection(box_xyxy=(8, 6, 24, 18), class_id=0, class_name="person", confidence=0.5),),
        layers=layers,
    )


def test_each_key_shows_something_else() -> None:
    """Fused, visible, infrared and both beside each other; boxes and palettes come and go."""
    bare = Look().after("b")
    assert np.all(draw(frame(), bare) == 90)
    assert np.all(draw(frame(), bare.after("2")) == (200, 0, 0))
    assert np.all(draw(frame(), bare.after("3")) == 128)
    side = draw(frame(), bare.after("4"))
    assert side.shape == (24, 64, 3)
    assert np.all(side[:, :32] == (200, 0, 0))
    assert np.all(side[:, 32:] == 128)
    painted = draw(frame(), bare.after("3").after("p").after("p"))
    assert len(np.unique(painted.reshape(-1, 3)[0])) > 1  # no grey any more
    assert not np.array_equal(draw(frame(), Look()), draw(frame(), bare))
    assert bare.after("z") == bare


def test_a_silent_camera_is_black() -> None:
    """Without an infrared picture its place is black and the rest is shown."""
    side = draw(frame(infrared=False), Look(mode="side", boxes=False))
    assert np.all(side[:, 32:] == 0)
    assert np.all(side[:, :32] == (200, 0, 0))


def _shows_a_picture(display: str) -> bool:
    """Whether the screen has more than an empty window; asked twice a second, not to hold X up."""
    time.sleep(0.5)  # the screen of another program offers no event
    return len(np.unique(pixels_of(display)[:120, :160])) > 100


@pytest.mark.slow
def test_a_run_shows_its_pictures_in_a_window(world, wait_until, monkeypatch: pytest.MonkeyPatch) -> None:
    """With viewer.window the street is on the screen while the run goes on."""
    with virtual_screen() as display:
        monkeypatch.setenv("DISPLAY", display)
        world.write_pipeline("realtime", STREET, STREET, "viewer: {window: true}\n")
        process = world.start("--set", "record=null")
        shown = partial(_shows_a_picture, display)
        wait_until(shown)
        process.send_signal(signal.SIGINT)
        words, _ = process.communicate(timeout=30)
        assert process.returncode == 130, words
    assert world.summary["sinks"]["window"]["written"] > 0
