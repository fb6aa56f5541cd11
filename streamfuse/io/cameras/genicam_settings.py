"""Features of a GenICam camera, set by their names from the pipeline file."""

from __future__ import annotations

from typing import Any

from streamfuse.errors import UsageError
from streamfuse.io.cameras.aravis import Library

__all__ = ["set_feature"]


def set_feature(library: Library, camera: Any, name: str, value: str, *, label: str) -> None:
    """Set one feature; ``exposure`` (µs) and ``gain`` stand for what this camera calls them.

    Raises:
        UsageError: the camera has no such feature, or refuses the value.
    """
    api, device = library.api, camera.get_device()
    feature = device.get_feature(name)
    try:
        if name == "exposure":
            camera.set_exposure_time(float(value))
        elif name == "gain":
            camera.set_gain(float(value))
        elif feature is None:
            raise UsageError(f"{label}: options: this camera has no feature {name}; `arv-tool-0.8 features`")
        elif isinstance(feature, api.GcCommand):
            device.execute_command(name)
        elif isinstance(feature, api.GcBoolean):
            device.set_boolean_feature_value(name, value.lower() in {"true", "1", "on", "yes"})
        elif isinstance(feature, api.GcEnumeration | api.GcString):  # an enumeration is an integer, too
            device.set_string_feature_value(name, value)
        elif isinstance(feature, api.GcFloat):
            device.set_float_feature_value(name, float(value))
        else:
            device.set_integer_feature_value(name, int(value, 0))
    except (library.error, ValueError) as error:
        reason = getattr(error, "message", str(error))
        raise UsageError(f"{label}: options: {name} cannot be set to {value}: {reason}") from error
