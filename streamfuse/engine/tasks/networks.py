"""Task networks as torch modules: read from the files that hold them, checked, and known by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from streamfuse.engine.store import locate, verify
from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.pickles import read_pickle
from streamfuse.engine.tasks.places import DEFAULT_DETECTOR, is_pickle
from streamfuse.engine.tasks.saved import load_saved
from streamfuse.engine.weights import check_numbers
from streamfuse.errors import WeightsError

__all__ = ["TaskNetwork", "load_task_network"]

_KINDS: Final = ("detect", "segment")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskNetwork:
    """A network that finds objects.

    Raises:
        ValueError: ``kind`` is none, or the classes are not numbered from 0.
    """

    module: nn.Module
    """Of Ultralytics; eval, float32, on the CPU. Takes (B, 3, H, W) in 0..1, sides multiples of a stride."""
    kind: str
    """``detect`` or ``segment``: what it can do, not what it was asked for."""
    names: Mapping[int, str]
    """Of its classes, from 0."""
    sha256: str
    """Of the file: what a cache knows it by."""
    title: str
    """For messages."""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {self.kind!r}")
        if sorted(self.names) != list(range(len(self.names))):
            raise ValueError(f"class numbers must be 0..{len(self.names) - 1}, got {sorted(self.names)}")


def load_task_network(weights: str, *, kind: str, trust: bool = False, where: str) -> TaskNetwork:
    """Read a network that can do ``kind``. One with masks serves for boxes too; not the other way round.

    Args:
        weights: ``default``, a name of the weights store, or a path ending in ``.safetensors`` or ``.pt``.
        kind: ``detect`` or ``segment``.
        trust: run the code in a ``.pt`` file, if it holds any beyond a known network.
        where: begins every message: ``tasks.detect.weights`` or ``--weights``.

    Raises:
        WeightsError: the file is missing, damaged, not trusted, no YOLO network, or one of another task.
    """
    place = f"{where}: {weights}"
    if is_pickle(weights):
        network = _of_pickle(Path(weights).expanduser(), trust=trust, where=where)
    else:
        network = _of_store(weights, where=where)
    if network.kind not in {kind, "segment"}:
        raise WeightsError(
            f"{place}: made for the task {network.kind}, has no masks; expected weights for {kind}"
        )
    return network


def _of_pickle(path: Path, *, trust: bool, where: str) -> TaskNetwork:
    place = f"{where}: {path}"
    module: Any = read_pickle(path, trust=trust, place=place)
    if module.task not in _KINDS:
        raise WeightsError(
            f"{place}: made for the task {module.task}; expected weights for detect or segment"
        )
    head = module.model[-1]
    if not isinstance(head, ultralytics("nn.modules.head").Detect):
        raise WeightsError(
            f"{place}: its {type(head).__name__} is not one of YOLO; expected YOLOv5u, YOLOv8 or later"
        )
    channels = module.yaml.get("channels", 3)
    if channels != 3:
        raise WeightsError(f"{place}: made for images of {channels} channels; expected 3, the fused colours")
    try:
        check_numbers(module.state_dict(), path)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return TaskNetwork(
        module=module.requires_grad_(False),
        kind=module.task,
        names=_numbered(module.names),
        sha256=digest,
        title=path.name,
    )


def _numbered(names: Mapping[int, str] | Sequence[str]) -> dict[int, str]:
    """Class names by number; early files hold a list."""
    return dict(names) if isinstance(names, Mapping) else dict(enumerate(names))


def _of_store(weights: str, *, where: str) -> TaskNetwork:
    try:
        found = verify(locate(weights, default=DEFAULT_DETECTOR))
        module: Any = load_saved(found)
    except WeightsError as error:
        hint = "; for networks of Ultralytics see `streamfuse weights download`" if _is_name(weights) else ""
        raise WeightsError(f"{where}: {error}{hint}") from error
    return TaskNetwork(
        module=module.requires_grad_(False),
        kind=module.task,
        names=dict(enumerate(found.card.classes)),
        sha256=found.card.sha256,
        title=found.card.name,
    )


def _is_name(weights: str) -> bool:
    """Whether it is neither a path nor ``default``."""
    return weights != "default" and not Path(weights).suffix
