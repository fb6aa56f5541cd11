"""What a run can take over from a pipeline file that was changed under it, and what it cannot.

Decided key by key: what can change is told to the workers whom it concerns, or they are replaced by ones that
know it from the beginning; everything else stays as it is, with a reason. A reason names the key and never
a value, which may be a password.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamfuse.config.pipeline import PipelineConfig

__all__ = ["Refusal", "Reload", "plan_reload"]

Path = tuple[str, ...]

_TOLD: Final[Mapping[Path, tuple[str, ...]]] = {
    ("tasks", "detect", "confidence"): ("engine",),
    ("tasks", "segment", "confidence"): ("engine",),
    ("tasks", "more"): ("engine",),
    ("tasks", "rules"): ("engine",),
    ("registration", "distance_m"): ("engine",),
    ("events",): ("engine", "recorder"),
    ("record", "retention"): ("recorder",),
    ("record", "clips"): ("recorder",),
}
"""Workers that take over a change while they run."""
_REPLACED: Final[Mapping[Path, str]] = {("viewer",): "viewer", ("publish",): "publisher"}
"""Workers that are replaced: a change of theirs is a change of sockets."""
_LOADED: Final = "the networks are loaded when the run begins"
_SINKS_ARE_FIXED: Final = "which workers there are is decided when the run begins"
_WHY_NOT: Final[Mapping[Path, str]] = {
    ("name",): "the recordings and messages carry it from the beginning",
    ("mode",): "it decides how the workers are connected",
    ("sources",): "the shared memory is laid out for these cameras",
    ("rig",): "the pictures are registered with it from the beginning",
    ("registration",): "the pictures are registered with it from the beginning",
    ("sync",): "the pairing works with it from the beginning",
    ("fusion",): "the network is loaded when the run begins",
    ("tasks",): _LOADED,
    ("record",): "the recorder's files and memory are laid out for it",
    ("viewer", "window"): _SINKS_ARE_FIXED,
    ("metrics",): "its address is opened when the run begins",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A change that waits for a new start."""

    key: str
    """``fusion.batch``."""
    why: str

    def __str__(self) -> str:
        return f"{self.key} stays as it was: {self.why}; start again to change it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What becomes of a changed pipeline file."""

    config: PipelineConfig
    """The configuration from now on: the old one with what could be changed."""
    applied: tuple[str, ...]
    """Keys that changed, as ``tasks.detect.confidence``."""
    refused: tuple[Refusal, ...]
    told: frozenset[str]
    """Workers to be told of ``config`` while they run."""
    replaced: frozenset[str]
    """Workers to be replaced by ones that begin with ``config``."""


def plan_reload(old: PipelineConfig, new: PipelineConfig) -> Reload:
    """Compare two configurations of one running pipeline.

    Args:
        old: What the run works with.
        new: What its file says now, already checked on its own.
    """
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    applied: list[Path] = []
    refused: list[Refusal] = []
    told: set[str] = set()
    replaced: set[str] = set()
    for path in _changes(before, after):
        if (why := _objection(path, before, after)) is not None:
            refused.append(Refusal(key=".".join(path), why=why))
            continue
        applied.append(path)
        told.update(_first(_TOLD, path) or ())
        if (role := _first(_REPLACED, path)) is not None:
            replaced.add(role)
        _set(before, path, _get(after, path))
    return Reload(
        config=PipelineConfig.model_validate_json(json.dumps(before)),
        applied=tuple(".".join(path) for path in applied),
        refused=tuple(refused),
        told=frozenset(told),
        replaced=frozenset(replaced),
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """The keys whose values differ; a block that comes or goes is one change, and so is a list."""
    for key in {**before, **after}:
        path, was, now = (*at, key), before.get(key), after.get(key)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict) and path not in _TOLD:
            yield from _changes(was, now, path)
        else:
            yield path


def _objection(path: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Why a change cannot be made while the run goes on; None when it can."""
    if (lack := _lack(path, before, after)) is not None or path in _WHY_NOT:
        return lack or _WHY_NOT[path]
    if _first(_TOLD, path) is not None or _first(_REPLACED, path) is not None:
        return None
    return _first(_WHY_NOT, path) or "it is read when the run begins"


def _lack(path: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """What the run does not have for a change that could be made otherwise; None when it lacks nothing."""
    if path == ("events",) and before["tasks"] is None:
        return "nothing is looked for, as `tasks` cannot be added"
    if path == ("tasks", "rules") and not _has_tracks(before):
        return "objects count by their tracks, and `track` cannot be switched on"
    if path == ("tasks", "more") and not _same_but_confidence(_get(before, path), _get(after, path)):
        return _LOADED
    if path == ("registration", "distance_m") and before["registration"]["crop"]:
        return "with `crop` the size of the pictures goes by it, and the shared memory is laid out for that"
    sinks_change = path == ("publish",) and not (before["publish"] and after["publish"])
    if sinks_change or (path[0] == "viewer" and not (_has_page(before) and _has_page(after))):
        return _SINKS_ARE_FIXED
    return None


def _has_tracks(plain: Mapping[str, Any]) -> bool:
    detect = plain["tasks"]["detect"]
    return bool(detect and detect["track"])


def _same_but_confidence(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists of tasks are those of the same networks, which only take other scores."""
    without = [[{**task, "confidence": None} for task in tasks] for tasks in (before, after)]
    return without[0] == without[1]


def _has_page(plain: Mapping[str, Any]) -> bool:
    return bool(plain["viewer"] and plain["viewer"]["web"])


def _first(table: Mapping[Path, Any], path: Path) -> Any:
    """The table's entry for the path or for the longest part of it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in table:
            return table[path[:length]]
    return None


def _get(plain: Mapping[str, Any], path: Path) -> Any:
    value: Any = plain
    for key in path:
        value = value[key]
    return value


def _set(plain: dict[str, Any], path: Path, value: Any) -> None:
    *blocks, last = path
    for key in blocks:
        plain = plain[key]
    plain[last] = value
