"""What a benchmark says beside its numbers: the machine, the versions, and the promises that it checks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Target", "machine_facts", "versions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what was measured of it."""

    what: str
    limit: float
    got: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it was kept."""
        return self.got >= self.limit if self.at_least else self.got <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"what": self.what, "limit": self.limit, "got": round(self.got, 3), "met": self.met}


def machine_facts() -> dict[str, Any]:
    """Processor, cores that this process may use, and kernel."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": next(names, platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
    }


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Of installed packages; None for those that are not."""
    return {name: _version(name) for name in packages}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
