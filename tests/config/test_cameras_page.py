"""The pipeline blocks of docs/cameras.md are pipeline files that load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamfuse.config.pipeline import load_pipeline

PAGE = (Path(__file__).parents[2] / "docs" / "cameras.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_kind_has_a_block() -> None:
    """Devices, network, GenICam, another machine, files."""
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_page_loads(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page shows is accepted by the loader as it stands."""
    monkeypatch.setenv("CAMERA_USER", "viewer")
    monkeypatch.setenv("CAMERA_PASSWORD", "secret")
    path = tmp_path / "pipeline.yaml"
    path.write_text(block, encoding="utf-8")
    config = load_pipeline(path)
    assert config.sources.visible.uri
    assert config.sources.infrared.uri
