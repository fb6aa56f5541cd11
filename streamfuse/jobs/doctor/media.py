"""Codecs and cameras: what the machine can record with, and see with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from streamfuse.config.outputs import Codec
from streamfuse.errors import MachineError
from streamfuse.io.cameras.devices import find_genicam, find_hardware_decoders, find_protocols, find_v4l2
from streamfuse.io.video.encoders import LOSSLESS, pick_encoder
from streamfuse.jobs.doctor.finding import Finding, Level

__all__ = ["look_at_cameras", "look_at_encoders", "look_at_network_video"]

_ROOT: Final = Path("/")


def look_at_encoders(codecs: tuple[str, ...] = (*get_args(Codec), LOSSLESS)) -> Iterator[Finding]:
    """Each encoder that a pipeline file may name, by encoding a picture.

    Args:
        codecs: their names; ``auto`` is what a pipeline without a word about it gets.
    """
    working: list[str] = []
    refusals: list[str] = []
    for codec in codecs:
        try:
            working.append(pick_encoder(codec).name)
        except MachineError as error:
            refusals.append(f"{codec} ({_reason(str(error))})")
    without = f"; not here: {', '.join(refusals)}" if refusals else ""
    fix = "`pip install --force-reinstall av`: PyAV's own wheels have x264"
    if not working:
        yield Finding(what="encoders", level=Level.FAIL, text=f"none works{without}", fix=fix)
        return
    level = Level.OK if LOSSLESS in working or LOSSLESS not in codecs else Level.WARNING
    text = f"{working[0]} records; works: {', '.join(dict.fromkeys(working))}{without}"
    yield Finding(what="encoders", level=level, text=text, fix="" if level is Level.OK else fix)


def _reason(message: str) -> str:
    """What FFmpeg said, without the advice that is meant for a run."""
    said = re.search(r"\(\S+: (.*)\); ", message)
    return said[1] if said else message


def look_at_network_video() -> Iterator[Finding]:
    """Kinds of streams that this FFmpeg reads, and who decodes them."""
    protocols, decoders = find_protocols(), find_hardware_decoders()
    text = f"reads {', '.join(protocols)}; decoded by {', '.join(decoders) or 'the processor'}"
    if "rtsp" in protocols:
        yield Finding(what="network video", level=Level.OK, text=text)
    else:
        fix = "`pip install --force-reinstall av`: PyAV's own wheels read RTSP"
        yield Finding(what="network video", level=Level.WARNING, text=text, fix=fix)


def look_at_cameras(root: Path = _ROOT) -> Iterator[Finding]:
    """Cameras at this machine; those of the network are found by GenICam only.

    Args:
        root: where ``dev`` and ``sys`` are.
    """
    attached = find_v4l2(root)
    for camera in attached:
        if camera.note:
            text = f"{camera.device} {camera.name}: {camera.note.partition('; ')[0]}"
            fix = camera.note.partition("; ")[2] or "end what uses the camera (`fuser -v /dev/video*`)"
            yield Finding(what="camera", level=Level.WARNING, text=text, fix=fix)
        else:
            modes = f", {len(camera.modes)} modes" if camera.modes else ""
            yield Finding(what="camera", level=Level.OK, text=f"{camera.device} {camera.name}{modes}")
    genicam = find_genicam()
    for found in genicam.cameras:
        yield Finding(what="camera", level=Level.OK, text=f"{found.vendor} {found.model} {found.address}")
    if not attached and not genicam.cameras:
        text = "none is attached; files, network cameras and drawn scenes work without"
        yield Finding(what="camera", level=Level.OK, text=text)
