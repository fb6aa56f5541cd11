"""`evaluate detection`, `segmentation` and `video` as a user calls them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from constant_network import save_constant_network
from typer.testing import CliRunner, Result

from streamfuse.cli.evaluate.detection import detection
from streamfuse.cli.evaluate.segmentation import segmentation
from streamfuse.cli.evaluate.video import video
from streamfuse.errors import OutputError, UsageError
from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.jobs.evaluating.detectors import load_detector
from streamfuse.jobs.evaluating.segmenters import load_segmenter

WIDTH, HEIGHT = 160, 128


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept of networks is kept here, not in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with masks whose every middle anchor sees a car, and nothing else."""
    torch.manual_seed(0)
    return save_constant_network(
        tmp_path_factory.mktemp("weights") / "cars.pt",
        architecture="yolov8n-seg",
        class_id=2,
        names={0: "person", 1: "bicycle", 2: "car"},
    )


def call(*words: object) -> Result:
    """Call a command of the group; what it raises is raised."""
    app = typer.Typer()
    for command in (detection, segmentation, video):
        app.command(command.__name__)(command)
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def picture(path: Path, level: int, *, size_wh: tuple[int, int] = (8, 6)) -> None:
    """A grey image of one level."""
    path.parent.mkdir(exist_ok=True)
    write_png(path, Image.from_gray(np.full(size_wh[::-1], level, np.uint8)))


def test_a_real_detector_is_scored_on_the_labels_of_what_it_sees(weights: Path, tmp_path: Path) -> None:
    """Labels made of a network's own detections score 1; classes that it does not know are told."""
    for folder in ("visible", "fused"):
        picture(tmp_path / folder / "a.png", 90, size_wh=(WIDTH, HEIGHT))
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    with closing(load_detector(str(weights), backend="torch")) as detector:
        found = detector.look(image)
    assert found
    (tmp_path / "labels").mkdir()
    counted = found[:100]  # more of one class in an image do not count
    shares = np.array([d.box_xyxy for d in counted]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
    low, high = shares[:, :2], shares[:, 2:]
    rows = np.hstack([(low + high) / 2, high - low])
    (tmp_path / "labels" / "a.txt").write_text(
        "\n".join("2 " + " ".join(map(str, row)) for row in rows.tolist())
    )
    words = ("--labels", tmp_path / "labels", "--weights", weights, "--backend", "torch")
    result = call(
        "detection", "--images", tmp_path / "visible", "--images", tmp_path / "fused", *words,
        "--group", "night=a", "--compare", "fused:visible", "--resamples", 20,
        "--json", tmp_path / "scores.json", "--csv", tmp_path / "scores.csv", "--plots", tmp_path / "plots",
    )  # fmt: skip
    assert result.exit_code == 0
    for words_of_table in ("AP50_95", "night: average precision on 1 image", "fused - visible", "+0.000"):
        assert words_of_table in result.stdout
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "precision-recall.png",
        "scores.png",
    ]
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["set"] for row in rows} == {"visible", "fused", "fused - visible"}
    sets = json.loads((tmp_path / "scores.json").read_text())["sets"]
    assert list(sets) == ["visible", "fused"]
    assert sets["fused"]["mean"] == pytest.approx({"mAP50": 1, "mAP70": 1, "mAP90": 1, "mAP50_95": 1})
    assert sets["fused"]["classes"]["person"] == dict.fromkeys(("AP50", "AP70", "AP90", "AP50_95"))
    with pytest.raises(UsageError, match="knows no tram or ship"):
        call("detection", "--images", tmp_path / "fused", *words, "--classes", "tram, ship")


def test_segmentation_prints_a_table_or_json(tmp_path: Path) -> None:
    """The table names means and classes, the notes what is in no mean; `-` is standard output."""
    picture(tmp_path / "labels" / "a.png", 1)
    picture(tmp_path / "maps" / "a.png", 1)
    words = (
        "segmentation",
        "--predicted",
        tmp_path / "maps",
        "--labels",
        tmp_path / "labels",
        "--classes",
        2,
    )
    table = call(*words, "--resamples", 10)
    assert [line.split() for line in table.stdout.splitlines()[2:]] == [
        ["maps", "all", "1.000", "1.000", "…", "1.000", "1.000", "48"],
        ["0", "-", "0"],
        ["1", "1.000", "1.000", "…", "1.000", "48"],
    ]
    assert table.stderr == "streamfuse: maps: no pixel of the classes 0; they are not in the mean\n"
    assert json.loads(call(*words, "--json", "-").stdout)["sets"]["maps"]["mean"] == {
        "mIoU": 1,
        "accuracy": 1,
    }


def test_a_real_network_is_scored_on_label_maps_of_what_it_sees(weights: Path, tmp_path: Path) -> None:
    """Maps made of a network's own masks score 1, by the names of the classes."""
    picture(tmp_path / "fused" / "a.png", 90, size_wh=(WIDTH, HEIGHT))
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    labels = load_segmenter(str(weights), backend="torch").label(image, ("background", "car"))
    assert set(np.unique(labels)) <= {0, 1}
    assert labels.any()
    (tmp_path / "labels").mkdir()
    write_png(tmp_path / "labels" / "a.png", Image.from_gray(labels))
    result = call(
        "segmentation", "--images", tmp_path / "fused", "--labels", tmp_path / "labels", "--weights", weights,
        "--classes", "background,car,tram", "--backend", "torch",
        "--plots", tmp_path / "plots", "--json", "-",
    )  # fmt: skip
    values = json.loads(result.stdout)
    assert values["sets"]["fused"]["classes"]["car"] == {"IoU": 1}
    assert values["unknown"] == ["tram"]
    assert "the network has no class tram" in result.stderr
    assert (tmp_path / "plots" / "scores.png").is_file()


def test_a_detector_is_not_judged_on_what_it_is_retrained_with(tmp_path: Path) -> None:
    """The file of the budget is read, and its images compared with those to judge, before the work."""
    for stem in "ab":
        picture(tmp_path / "fused" / f"{stem}.png", 90)
    (tmp_path / "learn.txt").write_text("a\n")
    (tmp_path / "budget.yaml").write_text("names: learn.txt\n")
    with pytest.raises(UsageError, match=r"learn.txt: a is also to be judged \(1 are\)"):
        call(
            "detection", "--images", tmp_path / "fused", "--labels", tmp_path, "--out", tmp_path / "out",
            "--retrain", tmp_path / "budget.yaml",
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "either --predicted, folders of label maps, or --images with --weights"),
        (("--images", "fused"), "--images and --weights go together"),
        (("--predicted", "maps", "--weights", "default"), "--images and --weights go together"),
        (("--predicted", "maps", "--images", "fused"), "either --predicted"),
    ],
)
def test_maps_or_images_are_given_not_both(words: tuple[str, ...], message: str) -> None:
    """One sentence, before anything is read."""
    with pytest.raises(UsageError, match=message):
        call("segmentation", "--labels", "labels", *words)


def test_video_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    """A fused video that pumps by 10 levels over sources that stand still."""
    for number in range(4):
        picture(tmp_path / "v" / f"{number}.png", 100)
        picture(tmp_path / "i" / f"{number}.png", 100)
        picture(tmp_path / "pumping" / f"{number}.png", 100 + 10 * (number % 2))
    words = (
        "video",
        "--visible",
        tmp_path / "v",
        "--infrared",
        tmp_path / "i",
        "--fused",
        tmp_path / "pumping",
    )
    result = call(*words, "--json", tmp_path / "out" / "video.json")
    (row,) = [line.split() for line in result.stdout.splitlines() if line.startswith("pumping")]
    assert row[1:] == ["10.000", "10.000", "0.000", "10.000", "10.000", "0.000"]
    (measured,) = json.loads((tmp_path / "out" / "video.json").read_text())["sets"].values()
    assert measured["mean"] == {"flicker": 10, "jitter": 10, "SD": 0}


def test_a_report_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    """A folder in the place of the file is an error, though the inputs are missing too."""
    with pytest.raises(OutputError, match="is a folder"):
        call(
            "video", "--visible", tmp_path / "v", "--infrared", tmp_path / "i", "--fused", tmp_path / "f",
            "--json", tmp_path,
        )  # fmt: skip
