"""Ultralytics' own files (.pt): pickles, read so that they run no code unless the user trusts their maker."""

from __future__ import annotations

import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from streamfuse.engine.tasks.library import libraries_unchanged, ultralytics
from streamfuse.errors import WeightsError

__all__ = ["read_pickle"]

_UNREADABLE: Final = (
    *(AttributeError, EOFError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError),
    pickle.UnpicklingError,
)
"""What comes of a file that is no YOLO network depends on what it is instead."""

_EXPECTED: Final = "expected a .pt file of the ultralytics package (yolov5u, yolov8 or later)"
_OLD_YOLOV5: Final = ("models.yolo.", "models.common.")
"""Classes of the program that YOLOv5 came with, before the ultralytics package."""
_HURT: Final = ", or a damaged one; copy or fetch it again"
_NAMED: Final = 3
"""Foreign names that a message tells."""


def read_pickle(path: Path, *, trust: bool, place: str) -> nn.Module:
    """The network of a file, float32, on the CPU, in eval mode.

    It is read in Ultralytics' safe mode, which rebuilds known network classes and runs nothing. Only a
    file that asks for more and is trusted is read as any pickle is.

    Args:
        path: of the file.
        trust: run the code in the file, if it holds any.
        place: begins every message: where the file was named, and its name.

    Raises:
        WeightsError: the file is missing, damaged, no YOLO network, or holds code and is not trusted.
    """
    if not path.is_file():
        raise WeightsError(
            f"{place}: no such file; nothing is downloaded unasked: put the weights there, or see "
            "`streamfuse weights download`"
        )
    instead = _what_it_is_instead(path)
    if instead:
        raise WeightsError(f"{place}: {instead}")
    try:
        return _load(path, safe=True)
    except _UNREADABLE as error:
        foreign = _foreign_names(path)
        if not foreign:
            raise WeightsError(f"{place}: not a YOLO network; {_EXPECTED}") from error
        if any(name.startswith(_OLD_YOLOV5) for name in foreign):
            raise WeightsError(
                f"{place}: made by the yolov5 program, whose files nothing else can read; {_EXPECTED}"
            ) from error
        if not trust:
            raise WeightsError(f"{place}: {_distrust(foreign, place)}") from error
    try:
        return _load(path, safe=False)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{place}: trusted, but not a YOLO network: {reason}; {_EXPECTED}") from error


def _what_it_is_instead(path: Path) -> str:
    """What a file is that cannot be weights, and how to mend it; nothing for one that may be."""
    with path.open("rb") as file:
        head = file.read(512)
    start = head.lstrip().lower()
    if not head:
        return f"not a YOLO network but empty; {_EXPECTED}"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "not a YOLO network but a web page; fetch the file itself, not the page that offers it"
    if start.startswith(b"version https://git-lfs"):
        return "not a YOLO network but a note of Git LFS; run `git lfs pull` where it lies"
    if not zipfile.is_zipfile(path):
        return f"not a YOLO network{_HURT if head.startswith(b'PK') else f'; {_EXPECTED}'}"
    return _what_is_wrong_inside(path)


def _what_is_wrong_inside(path: Path) -> str:
    """Of a file of torch. It is compared with its checksums: torch would read wrong weights."""
    try:
        with zipfile.ZipFile(path) as file:
            if any(name.endswith("/constants.pkl") for name in file.namelist()):
                return "not a YOLO network but an export (TorchScript); use the .pt file it was made from"
            hurt = file.testzip() is not None
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        hurt = True
    return f"not a YOLO network{_HURT}" if hurt else ""


def _load(path: Path, *, safe: bool) -> nn.Module:
    """Read a network under a name of our own.

    Ultralytics rewrites some names (``yolov5n.pt``, any with a quote) and downloads what it then
    does not find, even when told to stay offline.
    """
    tasks = ultralytics("nn.tasks")
    with tempfile.TemporaryDirectory(prefix="streamfuse-") as folder, libraries_unchanged():
        link = Path(folder) / "weights.pt"
        link.symlink_to(path.resolve())
        content, _ = tasks.torch_safe_load(link, safe_only=safe)
    network: Any = content.get("ema") or content.get("model")
    if not isinstance(network, nn.Module) or not hasattr(network, "names"):
        raise TypeError(f"expected a network, got {type(network).__name__}")
    network.task = getattr(network, "task", None) or tasks.guess_model_task(network)
    return network.float().eval()


def _foreign_names(path: Path) -> list[str]:
    """What a file asks for beyond the classes that Ultralytics knows; to be asked after it was refused."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except _UNREADABLE:  # damaged: it asks for nothing
        return []


def _distrust(foreign: list[str], place: str) -> str:
    named = ", ".join(foreign[:_NAMED]) + (
        f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
    )
    switch = "`trust: true` beside it" if place.startswith("tasks.") else "--trust"
    return (
        f"holds more than a known network ({named}), and reading it would run that code on this machine; "
        f"only if you trust its maker, say so with {switch}"
    )
