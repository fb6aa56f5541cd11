"""A hidden file beside the results that says how they were made: what lets a job be resumed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import UsageError
from streamfuse.io.files import write_text
from streamfuse.jobs.fusing.job import FuseJob

__all__ = ["MANIFEST", "FuseSettings", "begin"]

MANIFEST = ".streamfuse-fuse.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FuseSettings:
    """Everything that decides what a result looks like."""

    visible: str
    infrared: str
    """Absolute paths of the inputs."""
    mode: str
    weights_sha256: str | None
    backend: str
    precision: str

    @classmethod
    def of(cls, job: FuseJob, engine: FusionEngine) -> FuseSettings:
        """The settings of a job on an engine."""
        return cls(
            visible=str(job.visible.resolve()),
            infrared=str(job.infrared.resolve()),
            mode=job.mode.value,
            weights_sha256=engine.weights.card.sha256 if engine.weights else None,
            backend=engine.backend,
            precision=engine.precision.value,
        )


def begin(job: FuseJob, settings: FuseSettings, *, results_exist: bool) -> int:
    """Start or resume a job in its folder.

    Returns:
        Modification time of the manifest in nanoseconds: a result that is not older belongs to this job.

    Raises:
        UsageError: there are results of other settings, or of unknown origin, and ``overwrite`` is off.
        OutputError: the manifest cannot be written.
    """
    path = job.out / MANIFEST
    wanted = asdict(settings)
    found = _read(path)
    if found != wanted or job.overwrite:
        if results_exist and not job.overwrite:
            raise UsageError(
                f"{job.out} holds images made {_difference(found, wanted)}; "
                "add --overwrite to replace them, or choose another folder"
            )
        write_text(path, json.dumps(wanted, indent=2) + "\n")
    return path.stat().st_mtime_ns


def _read(path: Path) -> dict[str, object] | None:
    """The settings in a manifest; None when there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _difference(found: dict[str, object] | None, wanted: dict[str, object]) -> str:
    if found is None:
        return "by something else"
    changed = [f"{key} {found.get(key)}" for key in wanted if found.get(key) != wanted[key]]
    return f"with {', '.join(changed)}"
