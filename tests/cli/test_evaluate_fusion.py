"""``streamfuse evaluate fusion`` as a user calls it: values, files, errors, Ctrl-C."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from streamfuse.frames import Image
from streamfuse.io.images import write_png
from streamfuse.metrics.fusion import METRICS

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "streamfuse", "evaluate", "fusion")
SMALL = ("--metrics", "EN,MSE,CHECKER")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Call the command in a folder with two sources and the sets a/fused and b/fused."""
    for index, name in enumerate(("visible", "infrared", "a/fused", "b/fused")):
        rng = np.random.default_rng(index)
        (tmp_path / name).mkdir(parents=True)
        for stem in ("1", "2", "10"):
            pixels = rng.integers(0, 64 * (index + 1), (48, 64), np.uint8)
            write_png(tmp_path / name / f"{stem}.png", Image.from_gray(pixels))

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "--visible", "visible", "--infrared", "infrared", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
        )

    return call


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """One line, with all parts, and the exit code."""
    lines = done.stderr.strip().splitlines()
    assert (done.returncode, len(lines)) == (code, 1), done.stderr
    assert all(part in lines[0] for part in parts), lines[0]


def test_table_json_csv_and_plot_of_two_sets(run: Run, tmp_path: Path) -> None:
    """Each has both sets, told apart by their parents, and the convention; the best are marked."""
    files = ("--json", "out/v.json", "--csv", "out/v.csv", "--plot", "out/v.png")
    done = run("--fused", "a/fused", "--fused", "b/fused", *SMALL, *files)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "out" / "v.json").read_text())
    assert found["convention"] == "plain"
    assert list(found["sets"]) == ["a/fused", "b/fused"]
    for values in found["sets"].values():
        assert list(values["images"]) == ["1", "2", "10"]
        for metric in ("EN", "MSE", "CHECKER"):
            mean = np.mean([image[metric] for image in values["images"].values()])
            assert values["mean"][metric] == pytest.approx(mean, rel=1e-12)
    with (tmp_path / "out" / "v.csv").open(newline="") as file:
        rows = {(row["set"], row["image"]): row for row in csv.DictReader(file)}
    assert len(rows) == 6
    assert rows["b/fused", "10"]["convention"] == "plain"
    assert float(rows["b/fused", "10"]["EN"]) == found["sets"]["b/fused"]["images"]["10"]["EN"]
    assert (tmp_path / "out" / "v.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["v.csv", "v.json", "v.png"]
    lines = done.stdout.splitlines()
    assert "3 images" in lines[0]
    assert "plain convention" in lines[0]
    first, second = next(line.split()[-2:] for line in lines if line.startswith("EN"))
    assert float(first) == pytest.approx(found["sets"]["a/fused"]["mean"]["EN"], rel=1e-3)
    assert second.endswith("*")  # its noise has 256 levels, that of the other 192


def test_json_on_standard_output(run: Run) -> None:
    """In place of the table, and nothing else."""
    done = run("--fused", "a/fused", *SMALL, "--json", "-", "--convention", "published", "--jobs", "1")
    found = json.loads(done.stdout)
    assert found["convention"] == "published"
    assert set(found["sets"]) == {"fused"}
    assert list(found["sets"]["fused"]["mean"]) == ["EN", "MSE", "CHECKER"]


def test_what_is_left_out_is_said(run: Run, tmp_path: Path) -> None:
    """Pairs that nobody fused, and with --common what one set lacks; without it that is an error."""
    (tmp_path / "a" / "fused" / "10.png").unlink()
    done = run("--fused", "a/fused", *SMALL)
    assert done.returncode == 0
    assert done.stderr == "streamfuse: left out, in no folder of fused images: 1 of the sources\n"
    both = ("--fused", "a/fused", "--fused", "b/fused", *SMALL)
    refused(run(*both), 3, "a/fused: holds no image 10", "--common")
    done = run(*both, "--common")
    assert (done.returncode, done.stderr) == (0, "streamfuse: left out, not in every folder: 1 (10)\n")
    (tmp_path / "names.txt").write_text("1\n2\n")
    assert run(*both, "--names", "names.txt").stderr == ""


def test_mistakes_get_one_line_and_write_nothing(run: Run, tmp_path: Path) -> None:
    """Whatever is wrong, the older report stays as it was."""
    report = tmp_path / "v.json"
    report.write_text("older")
    write = ("--json", "v.json", "--csv", "v.csv", "--plot", "v.svg")
    fused = ("--fused", "a/fused", *write)
    refused(run(*fused, "--metrics", "EN,XY"), 2, "'XY'", "Qabf")
    refused(run("--fused", "nowhere", *write), 3, "nowhere")
    refused(run("--fused", "a/fused", *fused), 2, "given twice")
    refused(run("--fused", "a/fused", "--plot", "v.jpg"), 2, "v.jpg", ".svg")
    refused(run("--fused", "a/fused", "--plot", "b/../a/fused/v.png"), 2, "would be one of the images")
    refused(run("--fused", "a/fused", "--json", "a"), 3, "is a folder")
    (tmp_path / "a" / "fused" / "2.png").write_bytes(b"no image")
    refused(run(*fused, *SMALL), 3, "a/fused/2.png", "no whole image")
    write_png(tmp_path / "a" / "fused" / "2.png", Image.from_gray(np.zeros((24, 32), np.uint8)))
    refused(run(*fused, *SMALL), 3, "a/fused/2.png", "32x24", "visible/2.png", "64x48")
    assert report.read_text() == "older"
    assert not {path.name for path in tmp_path.iterdir()} & {"v.csv", "v.svg", ".v.json.part"}


def test_ctrl_c_stops_at_once_and_writes_nothing(tmp_path: Path) -> None:
    """Exit code 130, no traceback, no process, no file."""
    images = Image.from_gray(np.random.default_rng(0).integers(0, 256, (600, 800), np.uint8))
    for name in ("visible", "infrared", "fused"):
        (tmp_path / name).mkdir()
        write_png(tmp_path / name / "0.png", images)
        for index in range(1, 40):
            os.link(tmp_path / name / "0.png", tmp_path / name / f"{index}.png")
    folders = [word for name in ("visible", "infrared", "fused") for word in (f"--{name}", name)]
    process = subprocess.Popen(
        [*COMMAND, *folders, "--jobs", "2", "--json", "v.json", "--csv", "v.csv"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while len(children := psutil.Process(process.pid).children()) < 2:
        assert time.monotonic() < deadline, "no measuring processes in 60 s"
        time.sleep(0.02)  # polls what offers no event: processes of another program
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (130, b"", b"")
    # One that was being started when the signal came ends by itself, when it sees the end of its orders.
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert {path.name for path in tmp_path.iterdir()} == {"visible", "infrared", "fused"}


@pytest.mark.slow
def test_published_values_of_three_methods(data_dir: Path) -> None:
    """Side by side, with the published convention, every image has the values that its authors published.

    The bounds are per image, so they hold for the means too; Qabf depends on the order of a summation.
    """
    tno = data_dir / "tno"
    methods = sorted(path for path in (tno / "fused").iterdir() if path.is_dir())
    words = [word for method in methods for word in ("--fused", str(method))]
    with (tno / "published_metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in METRICS if name in rows[0]]
    assert len(columns) == 11
    words += ["--convention", "published", "--metrics", ",".join(columns), "--json", "-"]
    done = subprocess.run(
        [*COMMAND, "--visible", tno / "visible", "--infrared", tno / "infrared", *words],
        check=True,
        capture_output=True,
    )
    sets = json.loads(done.stdout)["sets"]
    assert sum(len(values["images"]) for values in sets.values()) == len(rows) == 63
    for metric in columns:
        ours = np.array([sets[row["method"]]["images"][Path(row["image"]).stem][metric] for row in rows])
        theirs = np.array([float(row[metric]) for row in rows])
        errors = np.abs(ours / theirs - 1)
        median, most = (2e-3, 3e-2) if metric == "Qabf" else (1e-6, 1e-3)
        assert np.median(errors) <= median, metric
        assert errors.max() <= most, metric
        for method in methods:
            chosen = np.array([row["method"] == method.name for row in rows])
            assert sets[method.name]["mean"][metric] == pytest.approx(theirs[chosen].mean(), rel=most)
