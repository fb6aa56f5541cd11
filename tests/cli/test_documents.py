"""The documents say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from streamfuse.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_command_page_is_what_help_prints() -> None:
    """docs/cli.md is made by a script and has not gone stale."""
    made = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "cli_page.py")], check=True, capture_output=True, text=True
    ).stdout
    assert made == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_readme_python_block_runs() -> None:
    """The example in the README is code that works."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_in_the_readme_exists() -> None:
    """No document promises a command or an option that the program does not have."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
    known = "run|init|check|fuse|weights import|evaluate fusion|train fusion|sources|capture|keys|bench bus"
    calls = re.findall(rf"(?:^|&& |/)streamfuse ((?:{known})\b[^\n]*)", blocks, re.MULTILINE)
    assert len(calls) >= 9
    for call in calls:
        name = re.match(r"(?:weights|evaluate|train) \w+|\w+", call)
        assert name is not None
        page = CliRunner().invoke(app, [*name[0].split(), "--help"])
        assert page.exit_code == 0, call
        for option in re.findall(r"--[a-z-]+", call):
            assert option in page.output, f"{call}: {option}"


def test_quoted_tables_are_the_results() -> None:
    """A table in the documents is the one that its benchmark wrote."""
    for page in (ROOT / "docs").glob("*.md"):
        made = subprocess.run(
            [sys.executable, str(ROOT / ".ci" / "result_tables.py"), str(page)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert made == page.read_text(encoding="utf-8"), page.name


def test_the_links_in_the_documents_lead_somewhere() -> None:
    """A link to a file of the repository is a file of the repository."""
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_importing_the_package_is_light() -> None:
    """`import streamfuse` loads none of the heavy libraries, and neither does --help."""
    code = (
        "import sys, streamfuse, streamfuse.cli.app\n"
        "heavy = {'torch', 'zmq', 'av', 'cv2', 'openvino', 'ultralytics', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
