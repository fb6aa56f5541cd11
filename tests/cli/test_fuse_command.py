"""``streamfuse fuse``: what it says of what it fuses with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from streamfuse.cli.app import app
from streamfuse.frames import Image
from streamfuse.io.images import write_png

Fuse = Callable[..., Result]


@pytest.fixture
def fuse(tmp_path: Path) -> Fuse:
    """Fuses a small pair with more options."""
    for name in ("visible", "infrared"):
        write_png(tmp_path / f"{name}.png", Image.from_gray(np.full((24, 32), 90, np.uint8)))
    files = [f"--{name}={tmp_path / name}.png" for name in ("visible", "infrared", "out")]
    return lambda *options: CliRunner().invoke(app, ["fuse", *files, *options])


def test_it_says_what_fuses(fuse: Fuse) -> None:
    """One line after the account: network, weights, backend and the precision that was asked for."""
    done = fuse("--backend", "openvino", "--precision", "float32")
    assert done.exit_code == 0, done.output
    account, line = done.stdout.splitlines()
    assert account.endswith("out.png: 1 written")
    assert line.startswith("fused by grdb-edge (grdb-fine) on openvino (")
    assert line.endswith(") in float32")


def test_the_account_has_it_too(fuse: Fuse) -> None:
    """With the reason, and with nothing beside the JSON."""
    done = fuse("--backend", "torch", "--json")
    account = json.loads(done.stdout)
    assert (account["network"], account["weights"], account["backend"]) == ("grdb-edge", "grdb-fine", "torch")
    assert account["why"] == "torch was asked for"
    assert account["device"]
    assert account["precision"] in {"float32", "bfloat16"}
    assert not done.stderr
