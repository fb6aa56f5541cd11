"""Aravis, the library of GenICam cameras (GigE Vision, USB3 Vision), by GObject introspection.

It is not part of an installation, so it is loaded when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from streamfuse.errors import MachineError, SourceError

__all__ = ["GenicamCamera", "Library", "find_camera", "list_cameras", "load"]

_HOW_TO_INSTALL: Final = (
    "`sudo apt install gir1.2-aravis-0.8 libgirepository1.0-dev libcairo2-dev pkg-config gcc`, then "
    "`pip install 'streamfuse[genicam]'`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenicamCamera:
    """A camera that answered to a search."""

    id: str
    """Aravis' name of it: maker, model and serial number."""
    vendor: str
    model: str
    serial: str
    address: str
    """Its IP address; empty or a bus name for others."""
    protocol: str

    @property
    def uri(self) -> str:
        """What to write into a pipeline file."""
        return f"genicam://{self.id}"


@dataclass(frozen=True, slots=True)
class Library:
    """Aravis, and the class of the errors that it raises."""

    api: Any
    error: type[Exception]


@cache
def load() -> Library:
    """Load Aravis.

    Raises:
        MachineError: it is not installed; the message says how to.
    """
    try:
        import gi  # noqa: PLC0415 - an optional library

        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis, GLib  # noqa: PLC0415
    except (ImportError, ValueError) as error:
        raise MachineError(f"GenICam cameras need Aravis, and {error}; {_HOW_TO_INSTALL}") from error
    return Library(Aravis, GLib.Error)


def list_cameras(library: Library) -> tuple[GenicamCamera, ...]:
    """Search all interfaces, which takes a second."""
    api = library.api
    api.update_device_list()
    return tuple(
        GenicamCamera(
            id=api.get_device_id(index),
            vendor=api.get_device_vendor(index) or "",
            model=api.get_device_model(index) or "",
            serial=api.get_device_serial_nbr(index) or "",
            address=api.get_device_address(index) or "",
            protocol=api.get_device_protocol(index) or "",
        )
        for index in range(api.get_n_devices())
    )


def find_camera(library: Library, wanted: str, *, label: str) -> str:
    """Aravis' name of the camera with the id, serial number or address ``wanted``; empty: the only one.

    Raises:
        SourceError: not there, or it is unclear which one is meant.
    """
    cameras = list_cameras(library)
    found = [
        camera for camera in cameras if not wanted or wanted in {camera.id, camera.serial, camera.address}
    ]
    if len(found) == 1:
        return found[0].id
    others = ", ".join(camera.uri for camera in cameras) or "none"
    if found:
        raise SourceError(f"{label}: fits several cameras ({others}); name one of them")
    raise SourceError(f"{label}: no such camera answers; check power and network (there: {others})")
