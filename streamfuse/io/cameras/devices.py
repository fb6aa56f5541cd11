"""What this machine has to see with: cameras, plug-ins, protocols and decoders. Nothing is started.

A part that is missing is a note, never an error: the list is there to find out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import av

from streamfuse.errors import MachineError, UsageError
from streamfuse.io.cameras.aravis import GenicamCamera, list_cameras, load
from streamfuse.io.cameras.av_hardware import accelerator
from streamfuse.io.cameras.v4l2_query import ask, stable_names
from streamfuse.io.plugins import PLUGIN_GROUP, package_of

__all__ = [
    "GenicamList",
    "Inventory",
    "Plugin",
    "V4l2Camera",
    "find_genicam",
    "find_hardware_decoders",
    "find_plugins",
    "find_protocols",
    "find_v4l2",
    "take_inventory",
]

_PROTOCOLS: Final = ("rtsp", "rtmp", "rtmps", "rtp", "srt", "udp", "http", "https")
_ASK_S: Final = 0.001
_ROOT: Final = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class V4l2Camera:
    """One capture device of the kernel."""

    device: str
    """Its number of today, ``/dev/videoN``."""
    name: str
    uris: tuple[str, ...]
    """Names that outlive a reboot, best first: what belongs into a pipeline file."""
    modes: tuple[str, ...]
    """What it offers: pixel format, size and highest rate."""
    note: str
    """Why it told nothing; empty if it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenicamList:
    """What answered to Aravis."""

    cameras: tuple[GenicamCamera, ...]
    note: str
    """Why there was no search, and how to mend it; empty if there was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A kind of source that another package brings."""

    scheme: str
    package: str
    """Its name and version."""
    target: str
    """The object that is called, as ``module:name``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All of it."""

    v4l2: tuple[V4l2Camera, ...]
    genicam: GenicamList
    plugins: tuple[Plugin, ...]
    protocols: tuple[str, ...]
    """Those that this FFmpeg was built with."""
    decoders: tuple[str, ...]
    """Kinds of hardware decoding that work here."""


def take_inventory(root: Path = _ROOT) -> Inventory:
    """Look at everything; the search for GenICam cameras takes a second."""
    return Inventory(
        v4l2=find_v4l2(root),
        genicam=find_genicam(),
        plugins=find_plugins(),
        protocols=find_protocols(),
        decoders=find_hardware_decoders(),
    )


def find_v4l2(root: Path = _ROOT) -> tuple[V4l2Camera, ...]:
    """The capture devices of the kernel, in the order of their numbers.

    Args:
        root: Where ``dev`` and ``sys`` are.
    """
    nodes = sorted((root / "sys/class/video4linux").glob("video*"), key=_number)
    return tuple(camera for node in nodes if (camera := _v4l2_camera(node, root)) is not None)


def find_genicam() -> GenicamList:
    """The cameras that answer to Aravis, or how to install it."""
    try:
        return GenicamList(cameras=list_cameras(load()), note="")
    except MachineError as error:
        return GenicamList(cameras=(), note=str(error))


def find_plugins() -> tuple[Plugin, ...]:
    """The kinds of sources of other packages; none of them is imported."""
    entries = metadata.entry_points(group=PLUGIN_GROUP)
    return tuple(
        Plugin(
            scheme=entry.name,
            package=package_of(entry),
            target=entry.value,
        )
        for entry in sorted(entries, key=lambda entry: entry.name)
    )


def _v4l2_camera(node: Path, root: Path) -> V4l2Camera | None:
    """The camera behind an entry of sysfs; None for a node that gives no video."""
    device = root / "dev" / node.name
    name = (node / "name").read_text().strip() if (node / "name").exists() else ""
    uris = stable_names(device, links=root / "dev/v4l")
    modes: tuple[str, ...] = ()
    note = ""
    try:
        answer = ask(device)
    except OSError as error:
        if _is_second_node(node):
            return None
        note = f"cannot be asked ({error.strerror})"
        if isinstance(error, PermissionError):
            note += "; `sudo usermod -aG video $USER` and log in anew"
    else:
        if not answer.captures:
            return None
        name, modes = answer.card, tuple(str(mode) for mode in answer.modes)
    return V4l2Camera(device=str(device), name=name, uris=uris, modes=modes, note=note)


def _is_second_node(node: Path) -> bool:
    """Whether it is a camera's node for metadata, which counts on from its node for video."""
    index = node / "index"
    return index.exists() and index.read_text().strip() != "0"


def _number(node: Path) -> int:
    digits = re.search(r"\d+$", node.name)
    return int(digits[0]) if digits else -1


def find_protocols() -> tuple[str, ...]:
    """The kinds of network video that this FFmpeg was built with.

    It tells which it lacks only when one is asked for: at a port where nobody answers.
    """
    return tuple(scheme for scheme in _PROTOCOLS if _speaks(scheme))


def _speaks(scheme: str) -> bool:
    try:
        av.open(f"{scheme}://127.0.0.1:9/", timeout=_ASK_S).close()
    except av.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError):
        return True
    return True


def find_hardware_decoders() -> tuple[str, ...]:
    """The kinds of hardware decoding that work here."""
    return tuple(kind for kind in ("cuda", "vaapi") if _decodes(kind))


def _decodes(kind: Literal["cuda", "vaapi"]) -> bool:
    try:
        return accelerator(kind, label="") is not None
    except UsageError:
        return False
