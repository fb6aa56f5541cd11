"""The state of a run at one moment, and the file in the run's folder that tells its own workers about it.

The web viewer shows it to people; it is read by processes of the same run only and may change with them.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamfuse.io.files import write_text
from streamfuse.runtime.health import Health, WorkerHealth
from streamfuse.runtime.summary import Summary

__all__ = ["STATUS_FILE", "Status", "resident_bytes", "write_status"]

STATUS_FILE: Final = "status.json"
"""Its name in the folder of the run."""
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A run at one moment."""

    summary: Summary
    workers: dict[str, WorkerHealth]
    health: Health
    begun: bool
    """Whether all workers have been ready."""
    now_ns: int
    """The moment, on the monotonic clock."""

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types: ``summary``, ``workers``, ``ready``, ``reasons``, ``written_ns``."""
        return {
            "summary": self.summary.as_dict(),
            "workers": {
                name: {
                    "state": worker.phase.value,
                    "restarts": worker.restarts,
                    "pid": worker.pid,
                    "rss_bytes": worker.resident_bytes,
                }
                for name, worker in self.workers.items()
            },
            "ready": self.health.ready,
            "reasons": [*self.health.not_ready, *self.health.not_healthy],
            "written_ns": self.now_ns,
        }


def write_status(run_dir: Path, status: Status) -> None:
    """Replace the file in one step: who reads it sees the old one or the new one, whole.

    Raises:
        OutputError: it cannot be written, for example because the shared memory is full.
    """
    write_text(run_dir / STATUS_FILE, json.dumps(status.as_dict()))


def resident_bytes(pid: int | None) -> int:
    """Memory that a process has in use, shared memory it has touched included; 0 when there is none."""
    if pid is None:
        return 0
    with contextlib.suppress(OSError):  # it may end while it is looked at
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
        return int(pages[1]) * _PAGE_BYTES if len(pages) > 1 else 0
    return 0
