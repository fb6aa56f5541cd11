"""The script that measures recordings."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, imported as when it runs: its folder is on the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("recording")


def test_a_row_has_all_its_numbers(recording: ModuleType, tmp_path: Path) -> None:
    """Times and sizes are above zero, lossless is larger, and the table has a line for each way."""
    rows = []
    for stream, codec in (("visible", "mpeg4"), ("infrared", "ffv1")):
        row = {"stream": stream, "codec": codec}
        row |= recording.cost(tmp_path, stream, codec, recording.scene(stream, 5))
        row |= recording.sync_ms(tmp_path, 1000, times=2)
        assert all(number > 0 for number in row.values() if isinstance(number, float))
        rows.append(row)
    rows[1]["lost_s"] = [0.1, 0.3, 0.5]
    assert rows[1]["kb"] > rows[0]["kb"]
    text = recording.table(rows, {"h264_dream": "not in this FFmpeg"})
    assert "| ffv1 | 3 | 0.30 | 0.50 |" in text
    assert "* `h264_dream` does not work here: not in this FFmpeg." in text
