"""Fine-tuning a detector for each set of images before it is judged on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfuse.config.retraining import Retraining, load_retraining
from streamfuse.config.training_detector import Learning
from streamfuse.engine.tasks.networks import load_task_network
from streamfuse.errors import ConfigError, SourceError, UsageError
from streamfuse.jobs.evaluating.detection import DetectionEvaluation
from streamfuse.jobs.evaluating.retraining import retrain

SIDE = 64


@pytest.fixture
def job(tmp_path: Path) -> DetectionEvaluation:
    """Six pictures in two renderings with a car each; the last two are judged."""
    for folder in ("visible", "fused", "labels"):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for stem in "abcdef":
        for folder in ("visible", "fused"):
            pixels = rng.integers(0, 99, (SIDE, SIDE, 3), np.uint8)
            cv2.rectangle(pixels, (16, 16), (48, 40), (255, 255, 255), -1)
            cv2.imwrite(str(tmp_path / folder / f"{stem}.png"), pixels)
        (tmp_path / "labels" / f"{stem}.txt").write_text("2 0.5 0.4375 0.5 0.375")
    (tmp_path / "learn.txt").write_text("a\nb\nc\nd\n")
    return DetectionEvaluation(
        images=(tmp_path / "visible", tmp_path / "fused"), labels=(tmp_path / "labels",), stems=("e", "f")
    )


@pytest.fixture
def budget(tmp_path: Path) -> Retraining:
    """One epoch of two steps from fresh weights."""
    return Retraining(
        names=tmp_path / "learn.txt",
        start_from=None,
        architecture="yolov8n",
        side_px=SIDE,
        learning=Learning(epochs=1, batch=2, mosaic=0.0, close_mosaic=0, warm_up_epochs=0.0),
        precision="float32",
        threads=1,
    )


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of the library stay here; the number of threads is given back."""
    threads = torch.get_num_threads()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("_own_cache")
def test_each_set_gets_a_detector_of_its_own(
    job: DetectionEvaluation, budget: Retraining, tmp_path: Path
) -> None:
    """The same pictures, labels and steps, other weights; what is done is not done again."""
    seen: list[str] = []
    made = retrain(budget, job, out_dir=tmp_path / "out", on_epoch=lambda name, _report: seen.append(name))
    assert list(dict.fromkeys(seen)) == ["visible", "fused"]
    told = len(seen)
    networks = [load_task_network(str(path), kind="detect", where="") for path in made.values()]
    assert [dict(network.names) for network in networks] == [{0: "person", 1: "bicycle", 2: "car"}] * 2
    assert networks[0].sha256 != networks[1].sha256
    labels = [sorted((tmp_path / "out" / name / "data" / "labels").rglob("*.txt")) for name in made]
    assert [[path.name for path in paths] for paths in labels] == [[f"{s}-0-0-64.txt" for s in "abcd"]] * 2
    assert [path.read_text() for path in labels[0]] == [path.read_text() for path in labels[1]]
    assert retrain(budget, job, out_dir=tmp_path / "out") == made
    assert len(seen) == told
    with pytest.raises(UsageError, match=r"out: holds another retraining \(see retraining.json\)"):
        retrain(budget.model_copy(update={"precision": "bfloat16"}), job, out_dir=tmp_path / "out")


def test_nothing_is_judged_that_was_learnt(
    job: DetectionEvaluation, budget: Retraining, tmp_path: Path
) -> None:
    """Whether the images to judge are named, or all of the folder."""
    for stems in (("d", "e"), None):
        with pytest.raises(UsageError, match=r"learn.txt: [ad] is also to be judged .*with --names"):
            retrain(budget, replace(job, stems=stems), out_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_to_learn_from_must_be_in_every_set(
    job: DetectionEvaluation, budget: Retraining, tmp_path: Path
) -> None:
    """Otherwise the budgets were not equal."""
    (job.images[1] / "b.png").unlink()
    with pytest.raises(SourceError, match=r"fused: holds no image b"):
        retrain(budget, job, out_dir=tmp_path / "out")


def test_the_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the project is valid; a mistake is named by its place."""
    monkeypatch.setenv("STREAMFUSE_DATA", str(tmp_path))
    example = Path(__file__).parents[2] / "configs/train/retrain.yaml"
    assert load_retraining(example).names == tmp_path / "msrs/train.txt"
    (tmp_path / "bad.yaml").write_text("names: a.txt\nside_px: 100\n")
    with pytest.raises(ConfigError, match=r"bad.yaml:2:10: .*side_px"):
        load_retraining(tmp_path / "bad.yaml")
