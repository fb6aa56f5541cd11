"""What is made of the values of an evaluation: means, the best, JSON, CSV and a plot."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import cv2
import pytest

from streamfuse.errors import OutputError, UsageError
from streamfuse.jobs.evaluating.plot import check_plot, write_plot
from streamfuse.jobs.evaluating.report import FusionReport, check_reports
from streamfuse.metrics.convention import Convention

NAN, INF = math.nan, math.inf


def report(
    *, convention: Convention = Convention.PLAIN, **sets: dict[str, tuple[float, float]]
) -> FusionReport:
    """A report on EN (more is better) and MSE (less is better)."""
    return FusionReport(
        convention=convention,
        metrics=("EN", "MSE"),
        folders={name: Path("runs", name) for name in sets},
        sets={
            name: {stem: {"EN": en, "MSE": mse} for stem, (en, mse) in images.items()}
            for name, images in sets.items()
        },
    )


def test_the_best_set_is_on_the_better_side_of_the_metric() -> None:
    """Higher for some, lower for others, and nobody is best where all are equal."""
    found = report(a={"1": (6.0, 0.2), "2": (8.0, 0.4)}, b={"1": (5.0, 0.1), "2": (5.0, 0.1)})
    assert (found.mean("a", "EN"), found.mean("a", "MSE")) == (7.0, pytest.approx(0.3))
    assert (found.best("EN"), found.best("MSE")) == ({"a"}, {"b"})
    equal = report(a={"1": (6.0, 0.2)}, b={"1": (6.0, 0.2)})
    assert equal.best("EN") == equal.best("MSE") == frozenset()


def test_means_of_all_sets_are_over_the_same_images() -> None:
    """An image without a value in one set is left out of the means of all, and named."""
    found = report(a={"1": (6.0, INF), "2": (8.0, 0.4)}, b={"1": (2.0, INF), "2": (NAN, 0.2)})
    assert found.undefined("EN") == ("2",)
    assert [found.mean(name, "EN") for name in "ab"] == [6.0, 2.0]
    assert [found.mean(name, "MSE") for name in "ab"] == [0.4, 0.2]
    assert report(a={"1": (NAN, 0.1)}).mean("a", "EN") is None


def test_json_has_every_value_and_is_standard() -> None:
    """Numbers come back as they were; what is not finite is null, which any reader takes."""
    found = report(convention=Convention.PUBLISHED, a={"1": (1 / 3, 0.2), "2": (NAN, INF)})
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["convention"] == "published"
    assert plain["sets"] == {
        "a": {
            "mean": {"EN": 1 / 3, "MSE": 0.2},
            "images": {"1": {"EN": 1 / 3, "MSE": 0.2}, "2": {"EN": None, "MSE": None}},
        }
    }
    assert plain["undefined"] == {"EN": ["2"], "MSE": ["2"]}
    assert plain["folders"] == {"a": "runs/a"}
    assert plain["metrics"]["MSE"] == {"unit": "", "better": "lower"}


def test_units_are_those_of_the_formula() -> None:
    """The published scalings are of no unit."""
    assert report(a={"1": (1.0, 1.0)}).unit("EN") == "bit"
    assert not report(convention=Convention.PUBLISHED, a={"1": (1.0, 1.0)}).unit("EN")


def test_csv_has_a_row_for_each_set_and_image() -> None:
    """With the convention in each, and all digits."""
    found = report(a={"1": (1 / 3, 0.2), "x, y": (NAN, 0.0)}, b={"1": (2.0, INF), "x, y": (1.0, 0.5)})
    rows = list(csv.DictReader(found.as_csv().splitlines()))
    assert [(row["set"], row["image"]) for row in rows] == [
        ("a", "1"), ("a", "x, y"), ("b", "1"), ("b", "x, y")
    ]  # fmt: skip
    assert {row["convention"] for row in rows} == {"plain"}
    assert float(rows[0]["EN"]) == 1 / 3
    assert math.isnan(float(rows[1]["EN"]))
    assert math.isinf(float(rows[2]["MSE"]))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_a_plot_of_any_names_and_values(tmp_path: Path, suffix: str) -> None:
    """Signs that mean something to the plotter, undefined values and single images do no harm."""
    found = report(**{"$a_b$ {": {"1": (1.0, NAN)}, "_hidden": {"1": (2.0, NAN)}})
    path = tmp_path / f"plot{suffix}"
    path.write_text("older")
    write_plot(path, found)
    start = path.read_bytes()[:200]
    assert start.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".PDF": b"%PDF"}[suffix])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_every_set_is_in_the_plot(tmp_path: Path) -> None:
    """Curves have the colours of their sets, and a further metric makes the picture wider."""
    values = {str(i): (float(i), i / 100) for i in range(40)}
    write_plot(tmp_path / "plot.png", report(a=values, b={k: (2 * x, y) for k, (x, y) in values.items()}))
    picture = cv2.imread(str(tmp_path / "plot.png"))
    height, width, _ = picture.shape
    assert width > height
    for blue_green_red in ((0xB2, 0x72, 0x00), (0x00, 0x5E, 0xD5)):
        assert (picture == blue_green_red).all(axis=2).sum() > 100


def test_a_plot_of_another_kind_is_refused() -> None:
    """The kinds are named."""
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        check_plot(Path("plot.jpg"))


def test_a_plot_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """The error is ours, and so is the tidying up."""
    (tmp_path / "plot.png").mkdir()
    with pytest.raises(OutputError, match=r"plot\.png: cannot be written"):
        write_plot(tmp_path / "plot.png", report(a={"1": (1.0, 1.0)}))
    assert [file.name for file in tmp_path.iterdir()] == ["plot.png"]


def test_reports_are_checked_before_the_work(tmp_path: Path) -> None:
    """Folders in their place, two of one name, and pictures among the pictures are refused."""
    images = tmp_path / "fused"
    images.mkdir()
    check_reports([tmp_path / "new" / "a.json", images / "a.csv"], images=[images])
    assert (tmp_path / "new").is_dir()
    with pytest.raises(OutputError, match="is a folder"):
        check_reports([images], images=[])
    with pytest.raises(UsageError, match="cannot be one file"):
        check_reports([tmp_path / "a", tmp_path / "a"], images=[])
    with pytest.raises(UsageError, match="would be one of the images"):
        check_reports([images / "plot.png"], images=[images])
