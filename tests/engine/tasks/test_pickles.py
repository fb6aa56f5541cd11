"""Files of Ultralytics that cannot be used, or only if their maker is trusted."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from streamfuse.engine.tasks.library import ultralytics
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.engine.tasks.saved import build_task_network
from streamfuse.errors import WeightsError

NAMES = {0: "person", 1: "bicycle", 2: "car"}
WHERE = "tasks.detect.weights"

Write = Callable[[Path], object]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A detector with random weights."""
    return build_task_network("yolov8n", NAMES)


@pytest.fixture(scope="module")
def whole(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Its file as Ultralytics makes them."""
    path = tmp_path_factory.mktemp("pickles") / "whole.pt"
    torch.save({"model": network}, path)
    return path.read_bytes()


def _script(path: Path) -> None:
    torch.jit.trace(nn.Identity(), torch.zeros(1)).save(path)  # type: ignore[no-untyped-call]


def _other(architecture: str) -> Write:
    return lambda path: ultralytics().YOLO(architecture).save(path)


def _grey(path: Path) -> None:
    model = ultralytics("nn.tasks").DetectionModel("yolov8n.yaml", ch=1, nc=3, verbose=False)
    model.task = "detect"
    torch.save({"model": model}, path)


def _nan(path: Path) -> None:
    network = build_task_network("yolov8n", NAMES)
    with torch.no_grad():
        next(network.parameters())[0, 0, 0, 0] = torch.nan
    torch.save({"model": network}, path)


BAD: dict[str, tuple[Write, str]] = {
    "empty": (lambda path: path.write_bytes(b""), "not a YOLO network but empty; expected"),
    "text": (lambda path: path.write_text("hello"), "not a YOLO network; expected"),
    "page": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "not a YOLO network but a web page"),
    "lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "run `git lfs pull`",
    ),
    "tensor": (lambda path: torch.save(torch.zeros(3), path), "not a YOLO network; expected"),
    "dict": (lambda path: torch.save({"model": {"a": torch.zeros(3)}}, path), "not a YOLO network; expected"),
    "script": (_script, "not a YOLO network but an export (TorchScript)"),
    "class": (
        _other("yolov8n-cls.yaml"),
        "made for the task classify; expected weights for detect or segment",
    ),
    "grey": (_grey, "made for images of 1 channels; expected 3"),
}


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:FutureWarning")
@pytest.mark.parametrize("kind", sorted(BAD))
def test_what_is_no_detector_is_one_sentence(kind: str, tmp_path: Path) -> None:
    """Files of every other kind say what they are, or what was expected."""
    write, words = BAD[kind]
    path = tmp_path / "other.pt"
    write(path)
    with pytest.raises(WeightsError) as error:
        load_task_network(str(path), kind="detect", where=WHERE)
    assert str(error.value).startswith(f"{WHERE}: {path}: ")
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_file_cut_short_is_told(whole: bytes, tmp_path: Path, share: float) -> None:
    """Wherever the copy ended."""
    (tmp_path / "cut.pt").write_bytes(whole[: round(len(whole) * share)])
    with pytest.raises(WeightsError, match=r"not a YOLO network, or a damaged one; copy or fetch it again$"):
        load_task_network(str(tmp_path / "cut.pt"), kind="detect", where=WHERE)


def test_damage_inside_a_file_is_told(whole: bytes, tmp_path: Path) -> None:
    """A whole file with wrong bytes in the middle is refused, never run."""
    content = bytearray(whole)
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    (tmp_path / "hurt.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"hurt.pt: not a YOLO network, or a damaged one"):
        load_task_network(str(tmp_path / "hurt.pt"), kind="detect", where=WHERE)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(("where", "switch"), [(WHERE, "`trust: true`"), ("--weights", "--trust")])
def test_code_in_a_file_runs_only_when_trusted(
    network: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    switch: str,
) -> None:
    """The refusal names the code and how to say that its maker is trusted; then the file is read."""
    monkeypatch.chdir(tmp_path)
    torch.save({"model": network, "more": _Evil()}, "evil.pt")
    with pytest.raises(WeightsError, match=rf"evil.pt: holds more .*\(posix.mkdir\).* say so with {switch}"):
        load_task_network("evil.pt", kind="detect", where=where)
    assert not Path("ran").exists()
    assert load_task_network("evil.pt", kind="detect", trust=True, where=where).names == NAMES
    assert Path("ran").exists()


def test_trust_makes_no_network_of_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted file that holds none is refused all the same, in one line."""
    monkeypatch.chdir(tmp_path)
    torch.save({"model": _Evil()}, "evil.pt")
    with pytest.raises(
        WeightsError, match=r"trusted, but not a YOLO network: expected a network, got NoneTy"
    ):
        load_task_network("evil.pt", kind="detect", trust=True, where=WHERE)


def test_files_of_the_first_yolov5_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They name classes of a program that is not here; trust would not help."""
    module = types.ModuleType("models.yolo")
    monkeypatch.setitem(sys.modules, "models", types.ModuleType("models"))
    monkeypatch.setitem(sys.modules, "models.yolo", module)
    module.Model = type("Model", (nn.Module,), {"__module__": "models.yolo"})  # type: ignore[attr-defined]
    torch.save({"model": module.Model()}, tmp_path / "yolov5s.pt")
    monkeypatch.delitem(sys.modules, "models.yolo")
    for trust in (False, True):
        with pytest.raises(
            WeightsError, match="made by the yolov5 program, whose files nothing else can read"
        ):
            load_task_network(str(tmp_path / "yolov5s.pt"), kind="detect", trust=trust, where=WHERE)
