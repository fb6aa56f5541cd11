"""The one way to OpenVINO: without its telemetry."""

from __future__ import annotations

import sys

# Nothing leaves the machine: when it is imported, OpenVINO reports to a server through this package, and
# falls back to a silent stand-in where the package cannot be imported. There is no setting for it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "not importable"

import openvino  # noqa: E402 - after the line above

__all__ = ["openvino"]
