"""The log of a run: JSON lines, TensorBoard's events and a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from streamfuse.jobs.training.curves import draw_curves
from streamfuse.jobs.training.events import file_header, scalars_record
from streamfuse.jobs.training.losslog import LossLog

# Made with tensorboard 2.21: RecordWriter over Event(wall_time=1.5, file_version="brain.Event:2") and over
# Event(wall_time=2, step=300) with the summary values loss/total = 0.5 and a = -2.
HEADER = bytes.fromhex("1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c")
RECORD = bytes.fromhex(
    "2b00000000000000861bc34b09000000000000004010ac022a1d0a110a0a6c6f73732f746f74616c150000003f0a080a0161"
    "15000000c04d1595c7"
)


def test_a_torn_last_line_of_the_log_is_cut_off(tmp_path: Path) -> None:
    """A kill in the middle of a line costs that line, and what came after the checkpoint goes too."""
    lines = [f'{{"step": {step}, "round": 1, "stage": "fusion"}}\n' for step in (1, 2, 3)]
    (tmp_path / "losses.jsonl").write_text("".join(lines) + '{"st')
    with LossLog(tmp_path, done=2) as log:
        log.write(3, {"total": 0.5}, stage="fusion", round=1)
    expected = "".join(lines[:2]) + '{"step": 3, "round": 1, "stage": "fusion", "total": 0.5}\n'
    assert (tmp_path / "losses.jsonl").read_text() == expected


def test_event_records_are_those_of_tensorboard() -> None:
    """Header and scalar record equal bytes made by the tensorboard package."""
    assert file_header(1_500_000_000) == HEADER
    assert scalars_record(300, {"loss/total": 0.5, "a": -2.0}, utc_ns=2_000_000_000) == RECORD


def test_events_are_told_apart_by_stage(tmp_path: Path) -> None:
    """The total of a fusion step and that of a segmentation step are two curves."""
    with LossLog(tmp_path, done=0) as log:
        log.write(1, {"total": 0.5}, stage="fusion", round=1)
        log.write(2, {"total": 0.5}, stage="segmentation", round=1)
    events = next(tmp_path.glob("events*")).read_bytes()
    assert events.count(b"fusion/total") == events.count(b"segmentation/total") == 1


def test_the_curves_are_a_picture_with_a_panel_for_each_stage(tmp_path: Path) -> None:
    """Two kinds of steps make the picture twice as high; long logs are thinned."""
    heights = []
    for stages in (("fusion",), ("fusion", "segmentation")):
        with LossLog(tmp_path, done=0) as log:
            for step in range(1, 1001):
                log.write(
                    step,
                    {"total": 1 / step, "validation": 2 / step},
                    stage=stages[step % len(stages)],
                    round=1,
                )
        draw_curves(tmp_path / "losses.jsonl", tmp_path / "losses.png")
        picture = cv2.imread(str(tmp_path / "losses.png"))
        assert picture is not None
        assert len(np.unique(picture)) > 10
        heights.append(picture.shape[0])
        (tmp_path / "losses.jsonl").unlink()
    assert heights[1] == 2 * heights[0]
