"""What was measured on this machine, kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from streamfuse.clock import utc_text
from streamfuse.engine.backends.base import Precision
from streamfuse.folders import cache_dir, warn_of_cache

__all__ = ["Choice", "ChoiceFile", "Measured", "machine_facts"]

_REVISION: Final = 1
"""Of how backends are measured; raise it when a kept choice should be made again."""
_PACKAGES: Final = (
    "streamfuse",
    "torch",
    "openvino",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-cu12",
)
_NVIDIA: Final = Path("/proc/driver/nvidia")


@dataclass(frozen=True, slots=True)
class Measured:
    """How fast a backend was."""

    backend: str
    precision: Precision
    ms: float
    """Milliseconds for one pair."""

    def __str__(self) -> str:
        return f"{self.backend} {self.ms:.3g} ms in {self.precision}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Backends by what they took, the fastest first, and why others do not work."""

    ranking: tuple[Measured, ...]
    failures: tuple[str, ...] = ()
    """One clause each."""


class ChoiceFile:
    """A choice in our cache folder; without a folder to write to there is none.

    Args:
        subject: what was measured, such as the digest of a network's weights; with the machine and the
            versions of the libraries it is what a choice is kept by.
    """

    def __init__(self, subject: str) -> None:
        key = json.dumps([_REVISION, subject, *machine_facts()])
        self._path = cache_dir() / "choices" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"

    def read(self) -> Choice | None:
        """What was kept; None where nothing was, or nothing that can be read."""
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            ranking = tuple(
                Measured(str(one["backend"]), Precision(one["precision"]), float(one["ms"]))
                for one in kept["ranking"]
            )
            return Choice(ranking, tuple(map(str, kept["failures"])))
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def written_on(self) -> str:
        """The day on which a choice was kept, in UTC, as 2026-11-22; ``an unknown day`` if it is gone."""
        try:
            return utc_text(self._path.stat().st_mtime_ns).partition("T")[0]
        except OSError:
            return "an unknown day"

    def write(self, choice: Choice) -> bool:
        """Keep a choice: whoever reads meanwhile sees the old one or this; False: it could not be kept."""
        partial = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self._path.parent, prefix=".", delete=False
            ) as file:
                partial = Path(file.name)
                json.dump(asdict(choice), file)
            partial.replace(self._path)
        except OSError as error:
            warn_of_cache(error)
            if partial is not None:
                with contextlib.suppress(OSError):
                    partial.unlink()
            return False
        return True


def machine_facts() -> tuple[str, ...]:
    """What decides how fast a backend is here: processor, its cores that we may use, GPUs, versions.

    GPUs are read from their driver's files, so that no library that can compute need be loaded.
    """
    driver = [_NVIDIA / "version", *sorted(_NVIDIA.glob("gpus/*/information"))]
    return (
        platform.machine(),
        _processor(),
        str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        *(_text(path) for path in driver),
        os.environ.get("CUDA_VISIBLE_DEVICES", "all GPUs"),
        *(f"{package} {_version(package)}" for package in _PACKAGES),
    )


def _processor() -> str:
    """The processor in words: the same line for every core."""
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    telling = ("model name", "cpu part", "hardware", "model")
    return (
        "; ".join(sorted({line for line in lines if line.lower().startswith(telling)}))
        or platform.processor()
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "is not installed"
