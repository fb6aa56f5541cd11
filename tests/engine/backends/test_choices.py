"""Choices on disk: kept by machine and versions, and never needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streamfuse.engine.backends import choices
from streamfuse.engine.backends.base import Precision
from streamfuse.engine.backends.choices import Choice, ChoiceFile, Measured, machine_facts

CHOICE = Choice(
    (Measured("openvino", Precision.BFLOAT16, 7.1), Measured("torch", Precision.FLOAT32, 130.0)),
    ("torch-cuda: torch finds no CUDA device",),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder; gives where choices lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "streamfuse" / "choices"


def test_a_choice_comes_back(folder: Path) -> None:
    """For its own subject, whole, in one file; no other subject has it."""
    assert ChoiceFile("a network").read() is None
    assert ChoiceFile("a network").write(CHOICE)
    assert ChoiceFile("a network").read() == CHOICE
    assert ChoiceFile("another network").read() is None
    assert len(list(folder.iterdir())) == 1


BAD_PRECISION = '{"ranking": [{"backend": "a", "precision": "int2", "ms": 1}], "failures": []}'
BAD_ROW = '{"ranking": [{"backend": "a"}], "failures": []}'
BAD_RANKING = '{"ranking": 3, "failures": []}'


@pytest.mark.parametrize("text", ["", "{", "null", "[]", BAD_RANKING, BAD_ROW, BAD_PRECISION, "\x00\xff"])
def test_a_damaged_file_is_no_choice(folder: Path, text: str) -> None:
    """It is measured again, and the file replaced."""
    ChoiceFile("x").write(CHOICE)
    (path,) = folder.iterdir()
    path.write_text(text, encoding="latin-1")
    assert ChoiceFile("x").read() is None
    ChoiceFile("x").write(CHOICE)
    assert ChoiceFile("x").read() == CHOICE


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that cannot be written is said to the caller, and nothing else."""
    (tmp_path / "streamfuse").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not ChoiceFile("x").write(CHOICE)
    assert ChoiceFile("x").read() is None


def test_another_driver_another_choice(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU or a driver that comes or changes is measured anew; so is what hides one."""
    ChoiceFile("x").write(CHOICE)
    monkeypatch.setattr(choices, "_NVIDIA", tmp_path / "nvidia")
    (tmp_path / "nvidia" / "gpus" / "0").mkdir(parents=True)
    (tmp_path / "nvidia" / "version").write_text("NVRM version: 580.1")
    (tmp_path / "nvidia" / "gpus" / "0" / "information").write_text("Model: NVIDIA H200")
    assert ChoiceFile("x").read() is None
    assert {"NVRM version: 580.1", "Model: NVIDIA H200"} <= set(machine_facts())
    with_gpu = machine_facts()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine_facts() != with_gpu
    assert len(list(folder.iterdir())) == 1


def test_two_processes_write_at_once(folder: Path) -> None:
    """Whoever reads meanwhile sees one whole choice."""
    program = (
        "from streamfuse.engine.backends.choices import *\n"
        "from streamfuse.engine.backends.base import Precision\n"
        "for ms in range(300):\n"
        "    ChoiceFile('x').write(Choice((Measured('torch', Precision.FLOAT32, float(ms)),) * 50))\n"
        "    assert len(ChoiceFile('x').read().ranking) == 50"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert len(list(folder.iterdir())) == 1
