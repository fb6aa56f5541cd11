"""What a benchmark says beside its numbers: the machine, the versions, and the promises that it checks."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Target", "has_amx", "machine_facts", "verdict", "versions"]

_FEATURES: Final = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimddp",
    "bf16",
    "sve",
)
"""Of a processor, that networks are quick by; as Linux calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what was measured of it."""

    what: str
    limit: float
    got: float
    at_least: bool = False
    possible: float = math.inf
    """More than this cannot be: whoever got it has measured what else the machine did."""

    @property
    def met(self) -> bool | None:
        """Whether it was kept; None where nobody can say."""
        if self.got > self.possible:
            return None
        return self.got >= self.limit if self.at_least else self.got <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "what": self.what,
            "limit": self.limit,
            "at_least": self.at_least,
            "got": round(self.got, 3),
            "met": self.met,
        }


def verdict(target: Mapping[str, Any]) -> str:
    """In words, of a promise as the JSON has it."""
    words = {True: "met", False: "missed", None: "too noisy to say"}
    return words[target["met"]]


def machine_facts() -> dict[str, Any]:
    """Processor, what networks are quick by on it, cores that this process may use, and kernel."""
    return {
        "processor": _first("model name") or platform.machine(),
        "features": [name for name in _FEATURES if name in _flags()],
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
    }


def has_amx() -> bool:
    """Whether the processor multiplies matrices of bfloat16 in tiles."""
    return "amx_bf16" in _flags()


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Of installed packages; None for those that are not."""
    return {name: _version(name) for name in packages}


def _flags() -> list[str]:
    return (_first("flags") or _first("Features")).split()


def _first(key: str) -> str:
    """What Linux says first of the processors under a key; empty where it says nothing."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
