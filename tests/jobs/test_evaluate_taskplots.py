"""Pictures of the scores of a task."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.errors import OutputError
from streamfuse.jobs.evaluating.bootstrap import Resampling, Score
from streamfuse.jobs.evaluating.detection import DetectionReport
from streamfuse.jobs.evaluating.scores import GroupScores, SetScores
from streamfuse.jobs.evaluating.taskplots import write_bars, write_curves

NAMES = ("visible", "_hidden", "$fused$")


def score(value: float) -> Score:
    """With draws around it."""
    return Score(value=value, draws=np.clip(value + np.linspace(-0.1, 0.1, 9), 0, 1))


@pytest.fixture
def report() -> DetectionReport:
    """Three sets, one group, one class without labels."""
    nothing = float("nan")
    sets = {
        name: SetScores(
            mean={"mAP50": score(0.4 + 0.1 * place)},
            classes={"person": {"AP50": score(0.4 + 0.1 * place)}, "$bike": {"AP50": score(nothing)}},
        )
        for place, name in enumerate(NAMES)
    }
    group = GroupScores(images=4, truths=(9, 0), sets=sets)
    fall = np.tile(np.linspace(1, 0, 101), (10, 1))
    curves = {name: {"person": fall, "$bike": np.full_like(fall, nothing)} for name in NAMES}
    return DetectionReport(
        whole=group, groups={"night": group}, resampling=Resampling(draws=9), curves=curves
    )


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_bars_and_curves_are_drawn(report: DetectionReport, tmp_path: Path, suffix: str) -> None:
    """As files of the kind that their name says, whatever sets and classes are called."""
    bars, curves = tmp_path / f"bars{suffix}", tmp_path / f"curves{suffix}"
    write_bars(bars, report, title="average precision")
    write_curves(curves, report)
    assert sorted(path.name for path in tmp_path.iterdir()) == [bars.name, curves.name]
    for path in (bars, curves):
        if suffix == ".png":
            assert np.ptp(read_image_of(path)) > 100
        else:
            assert "<svg" in path.read_text(encoding="utf-8")


def read_image_of(path: Path) -> npt.NDArray[np.uint8]:
    """Without the alpha channel that plots have."""
    return np.asarray(cv2.imread(str(path)), np.uint8)


def test_taller_bars_for_better_scores(report: DetectionReport, tmp_path: Path) -> None:
    """The bars of the third set hold more ink than those of the first."""
    write_bars(tmp_path / "bars.png", report, title="average precision")
    picture = read_image_of(tmp_path / "bars.png").astype(int)
    blue, green = (
        np.count_nonzero(np.abs(picture - np.array(colour)[::-1]).max(axis=2) < 40)
        for colour in ((38, 134, 190), (38, 173, 136))
    )
    assert 0 < blue < green


def test_a_folder_that_is_gone_is_an_error(report: DetectionReport, tmp_path: Path) -> None:
    """Nothing is left behind."""
    with pytest.raises(OutputError, match=r"bars.png: cannot be written \(No such file"):
        write_bars(tmp_path / "none" / "bars.png", report, title="")
