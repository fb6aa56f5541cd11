"""Choosing an encoder by trying."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from streamfuse.errors import MachineError
from streamfuse.frames import Image
from streamfuse.io.video.encoder import VideoEncoder
from streamfuse.io.video.encoders import pick_encoder
from streamfuse.io.video.priority import ordinary_priority


def test_the_chosen_encoder_works_and_is_remembered() -> None:
    """What auto gives has encoded a picture; asking again costs nothing."""
    choice = pick_encoder()
    assert pick_encoder() is choice
    assert pick_encoder(choice.name) == choice


@pytest.mark.parametrize("name", ["libx264", "libsvtav1", "mpeg4", "ffv1"])
def test_what_every_wheel_of_pyav_has_works(name: str) -> None:
    """These need no hardware."""
    choice = pick_encoder(name)
    assert choice.name == name
    assert not choice.hardware
    assert choice.is_lossless == (name == "ffv1")


@pytest.mark.parametrize(("name", "why"), [("h266_dream", "not in this FFmpeg"), ("aac", "encodes audio")])
def test_an_encoder_that_does_not_work_is_told(name: str, why: str) -> None:
    """The message has the reason and the way out."""
    with pytest.raises(MachineError, match=rf"\({name}: {why}\); set codec to auto"):
        pick_encoder(name)


@pytest.mark.skipif("h264_vaapi" in av.codecs_available, reason="this FFmpeg has VAAPI")
def test_why_there_is_no_vaapi_is_told() -> None:
    """The wheels of PyAV lack it on every machine, and the message has what would mend that."""
    with pytest.raises(MachineError, match="PyAV's wheels come without VAAPI; build PyAV on"):
        pick_encoder("h264_vaapi")


def test_what_a_hardware_encoder_lacks_is_told() -> None:
    """FFmpeg's own word (Operation not permitted) helps nobody."""
    try:
        choice = pick_encoder("h264_nvenc")
    except MachineError as error:
        assert re.search(r"\(h264_nvenc: .+; it needs an NVIDIA GPU that has an encoder", str(error))  # noqa: PT017
    else:
        assert choice.hardware


def test_av1_is_quiet() -> None:
    """The library tells standard error its configuration unless it is asked not to."""
    script = "from streamfuse.io.video.encoders import pick_encoder; pick_encoder('libsvtav1')"
    environment = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    assert run.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a real-time priority")
def test_av1_takes_no_real_time_priority() -> None:
    """As root the library takes the highest one, for its threads and the main one, and starves the machine.

    It does so a while after it was opened, so this looks until the first packet has come.
    """
    image = Image.from_gray(np.zeros((48, 64), np.uint8))
    policies = set()
    with VideoEncoder(image.spec, fps=10.0, codec="libsvtav1") as encoder:
        packets = encoder.encode(image, 0)
        packets += encoder.flush()
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                policies.add(os.sched_getscheduler(int(task.name)))
    assert packets
    assert policies == {os.SCHED_OTHER}
    with pytest.raises(PermissionError), ordinary_priority():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
