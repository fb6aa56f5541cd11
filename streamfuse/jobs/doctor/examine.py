"""``streamfuse doctor``: one look after the other; a part that is broken does not hide the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

from streamfuse.errors import StreamfuseError
from streamfuse.jobs.doctor.finding import Finding, Level

__all__ = ["Look", "examine", "looks"]

Look = tuple[str, Callable[[], Iterable[Finding]]]
"""The part that is looked at, and the looking."""


def looks(folder: Path) -> tuple[Look, ...]:
    """All parts, the quick ones first.

    Args:
        folder: where recordings are to lie.
    """
    return (
        ("python", _late("machine", "look_at_python")),
        ("memory", _late("machine", "look_at_memory")),
        ("shared memory", _late("machine", "look_at_shared_memory")),
        ("disk", _late("machine", "look_at_disk", folder)),
        ("cache", _late("machine", "look_at_cache")),
        ("limits", _late("machine", "look_at_limits")),
        ("ports", _late("machine", "look_at_ports")),
        ("clock", _late("timekeeping", "look_at_clock")),
        ("encoders", _late("media", "look_at_encoders")),
        ("network video", _late("media", "look_at_network_video")),
        ("camera", _late("media", "look_at_cameras")),
        ("torch", _late("compute", "look_at_torch")),
        ("cuda", _late("compute", "look_at_cuda")),
        ("openvino", _late("compute", "look_at_openvino")),
    )


def _late(module: str, function: str, *arguments: object) -> Callable[[], Iterable[Finding]]:
    """A look whose module is imported when it is wanted: an import that fails is a finding, too."""

    def look() -> Iterable[Finding]:
        found: Iterable[Finding] = getattr(import_module(f"streamfuse.jobs.doctor.{module}"), function)(
            *arguments
        )
        return found

    return look


def examine(looks: Iterable[Look]) -> Iterator[Finding]:
    """What is found, as it is found.

    A library that cannot be loaded, or is not allowed to look, is a failure of its part.
    """
    for what, look in looks:
        try:
            yield from look()
        except ImportError as error:
            fix = "install streamfuse into a fresh virtual environment, with the system libraries it names"
            text = f"cannot be loaded ({error})"
            yield Finding(what=what, level=Level.FAIL, text=text, fix=fix)
        except (StreamfuseError, OSError) as error:
            fix = "mend that, then ask the doctor again"
            yield Finding(what=what, level=Level.FAIL, text=str(error), fix=fix)
