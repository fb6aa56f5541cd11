"""The one way to OpenVINO: without its telemetry, and with one core for the whole process."""

from __future__ import annotations

import sys
from typing import Final

# Nothing leaves the machine: when it is imported, OpenVINO reports to a server through this package, and
# falls back to a silent stand-in where the package cannot be imported. There is no setting for it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "not importable"

import openvino  # noqa: E402 - after the line above

__all__ = ["CORE", "openvino"]

CORE: Final = openvino.Core()
"""Lives as long as the process. The CPU plugin gives the thread that loads it another stack for signal
handlers, and unmaps that with its core; from then on the next signal, such as Ctrl-C, would kill the process
(seen with 2026.4.1 where another thread drops the core)."""
