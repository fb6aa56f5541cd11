"""A lens from a live camera: watched, searched, solved and written, as the command does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfuse.frames import StreamName
from streamfuse.geometry.boards.board import Board
from streamfuse.io.rig_file import read_rig_config
from streamfuse.io.synthetic.board_spec import BoardSpec
from streamfuse.io.synthetic.board_truth import BoardTruth
from streamfuse.jobs.calibrating.intrinsics import Intrinsics, calibrate_intrinsics

URI = "synthetic://board?seed=4&size=320x240&fps=10&hold=1.5&move=0.3&inside=visible"


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_live_camera_gives_a_lens(tmp_path: Path) -> None:
    """Ten shots of a board that somebody moves: what to do is said meanwhile; the focal length is true."""
    told: list[str] = []
    job = Intrinsics(
        images=(URI,),
        camera=StreamName.VISIBLE,
        board=Board.parse(BoardSpec().board),
        out=tmp_path / "rig.yaml",
        page="127.0.0.1:0",
        shots=10,
    )
    result = calibrate_intrinsics(job, on_progress=lambda _done, _total, words: told.append(words))
    assert told[0].startswith("open http://127.0.0.1:")
    assert any("10 shots, " in words and "corner" in words for words in told)
    assert told[-1].startswith("10 of 10 shots, ")
    assert len(result.calibration.views) == 10
    rig = read_rig_config(tmp_path / "rig.yaml")
    assert rig is not None
    assert rig.visible is not None
    assert rig.visible.intrinsics is not None
    truth = BoardTruth(BoardSpec.from_uri(URI)).lens(StreamName.VISIBLE)
    assert rig.visible.intrinsics.fx == pytest.approx(truth.fx, rel=0.003)
