"""``auto``: the fastest by measurement, once; then what was measured."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from torch import nn

from streamfuse.engine.backends import choosing
from streamfuse.engine.backends.base import Backend, Blueprint, Precision
from streamfuse.engine.backends.choosing import open_backend
from streamfuse.errors import MachineError

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


class Mean(nn.Module):
    """The smallest network there is."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.5))

    def forward(self, visible: torch.Tensor, infrared: torch.Tensor) -> torch.Tensor:
        """The mean of both."""
        return self.share * (visible + infrared)


KEPT = Blueprint(build=Mean, content="mean 1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder; gives where choices lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "streamfuse" / "choices"


def opened(blueprint: Blueprint, precision: str = "auto") -> tuple[str, Precision, str]:
    """What ``auto`` opens, and why."""
    backend, why = open_backend("auto", blueprint, precision=precision)
    backend.close()
    return backend.name, backend.precision, why


@without_cuda
def test_it_measures_once_and_says_the_numbers(folder: Path) -> None:
    """The first start measures what works here; the second opens the same and says since when it is kept."""
    name, precision, why = opened(KEPT)
    assert why.startswith(f"{name} is the fastest here: ")
    assert f" ms per 320x240 pair in {precision}; " in why
    assert "torch-cuda: torch finds no CUDA device" in why
    assert why.endswith(" (measured now, kept)")
    (file,) = folder.iterdir()
    ranking = json.loads(file.read_text())["ranking"]
    assert {one["backend"] for one in ranking} == {"openvino", "torch"}
    assert [one["ms"] for one in ranking] == sorted(one["ms"] for one in ranking)
    os.utime(file, (at := datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp(), at))
    again = why.replace("measured now, kept", "measured on 2026-03-01, kept")
    assert opened(KEPT) == (name, precision, again)


@without_cuda
def test_the_kept_choice_rules(folder: Path) -> None:
    """What stands in the file is opened, in its precision, without measuring."""
    opened(KEPT)
    (file,) = folder.iterdir()
    kept = {"ranking": [{"backend": "torch", "precision": "float32", "ms": 0.5}], "failures": []}
    file.write_text(json.dumps(kept))
    assert opened(KEPT)[:2] == ("torch", "float32")


def test_a_network_without_content_is_measured_and_not_kept(folder: Path) -> None:
    """There is nothing to keep it by."""
    *_, why = opened(Blueprint(build=Mean))
    assert why.endswith(" (measured now, not kept)")
    assert not folder.exists()


def test_a_wish_for_a_precision_is_a_choice_of_its_own(folder: Path) -> None:
    """Only backends that compute in it are measured."""
    _, precision, why = opened(KEPT, "float32")
    assert precision is Precision.FLOAT32
    assert "bfloat16" not in why
    opened(KEPT, "auto")
    assert len(list(folder.iterdir())) == 2
    if not torch.cuda.is_available():
        name, precision, why = opened(KEPT, "float16")
        assert (name, precision) == ("torch", "float16")
        assert "openvino: openvino computes in float32, bfloat16; got float16" in why


def _refuse(blueprint: Blueprint, precision: Precision | None) -> Backend:  # noqa: ARG001 - an opener
    raise MachineError("it is gone")


@without_cuda
@pytest.mark.usefixtures("folder")
def test_a_kept_backend_that_fails_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said; when none of those measured opens, all are measured again."""
    first, *_ = opened(KEPT)
    others = {"openvino": "torch", "torch": "openvino"}
    monkeypatch.setattr(choosing, "_OPENERS", {**choosing._OPENERS, first: _refuse})
    name, _, why = opened(KEPT)
    assert name == others[first]
    assert f"{first}, which was faster, fails now: it is gone" in why
    assert re.search(r"\(measured on \d{4}-\d\d-\d\d, kept\)$", why)
    monkeypatch.setattr(choosing, "_OPENERS", dict.fromkeys(choosing._OPENERS, _refuse))
    with pytest.raises(MachineError, match="no fusion backend works on this machine: torch-cuda: it is gone"):
        open_backend("auto", KEPT)


@without_cuda
@pytest.mark.usefixtures("folder")
def test_without_openvino_another_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that cannot be loaded is one more reason, not a crash."""
    for loaded in ("openvino_backend", "openvino_quiet"):
        monkeypatch.delitem(sys.modules, f"streamfuse.engine.backends.{loaded}", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    name, _, why = opened(KEPT)
    assert name in {"onnx", "torch"}
    assert "openvino: OpenVINO cannot be loaded" in why


@without_cuda
def test_asking_for_what_is_not_there_is_an_error() -> None:
    """Only ``auto`` goes on to the next."""
    with pytest.raises(MachineError, match="no CUDA device"):
        open_backend("torch-cuda", KEPT)


@pytest.mark.parametrize(("by_tiles", "tried"), [(True, 1), (False, 2)])
def test_float32_is_no_rival_of_bfloat16_by_tiles(
    monkeypatch: pytest.MonkeyPatch, *, by_tiles: bool, tried: int
) -> None:
    """A processor with AMX is several times as fast in bfloat16; with less, both are measured."""
    monkeypatch.setattr(choosing, "cpu_computes_bfloat16", lambda: True)
    monkeypatch.setattr(choosing, "cpu_multiplies_bfloat16_tiles", lambda: by_tiles)
    candidates = choosing._candidates(KEPT, None)
    assert [candidate.backend for candidate in candidates].count("openvino") == tried
