"""Exports: files that another runtime runs as torch does, described, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from constant_network import save_constant_network

from streamfuse.engine.backends.recipe import Recipe
from streamfuse.engine.fusion import FusionEngine
from streamfuse.errors import MachineError, OutputError, PromiseError, UsageError, WeightsError
from streamfuse.jobs.exporting import export as exporting
from streamfuse.jobs.exporting.export import ExportJob, export
from streamfuse.jobs.exporting.formats import ExportFormat


def job(out: Path, **changes: object) -> ExportJob:
    """The default weights for ONNX Runtime, unless told otherwise."""
    return replace(ExportJob(out=out, form=ExportFormat.ONNX), **changes)


def contents(folder: Path) -> dict[str, bytes]:
    """Everything in a folder and beside it, hidden files too."""
    return {str(path): path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


@pytest.mark.parametrize("recipe", Recipe)
@pytest.mark.parametrize("form", ExportFormat)
def test_a_network_for_any_size(tmp_path: Path, form: ExportFormat, recipe: Recipe) -> None:
    """It is compared with torch before it is kept; the card says what it is and of what."""
    report = export(job(tmp_path / "out", form=form, recipe=recipe))
    assert report.psnr_db >= 60
    assert not report.was_there
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["format"] == form
    assert card["network"] == "grdb-edge"
    assert [port["name"] for port in card["inputs"]] == ["visible", "infrared", "levels"][
        : 3 if recipe is Recipe.LUMA else 2
    ]
    assert card["inputs"][1]["shape"] == ["batch", "height", "width"]
    assert card["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "out").iterdir()
        if path.suffix in {".onnx", ".xml", ".bin"}
    }
    assert re.fullmatch(r"[0-9a-f]{64}", card["weights"]["sha256"])
    assert card["weights"]["licence"] == "AGPL-3.0-or-later"


@pytest.mark.parametrize("form", ExportFormat)
def test_the_code_on_the_page_runs(tmp_path: Path, form: ExportFormat) -> None:
    """As somebody would paste it, in the folder, without streamfuse."""
    export(job(tmp_path / "out", form=form, recipe=Recipe.LUMA))
    page = (tmp_path / "out" / "README.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "(1, 480, 640) uint8\n"


def test_the_file_gives_what_the_engine_gives(tmp_path: Path) -> None:
    """To a grey level, for the size and batch that it was made for; its metadata name the weights."""
    report = export(job(tmp_path / "out", batch=2, size_wh=(64, 48)))
    session = onnxruntime.InferenceSession(report.file)
    random = np.random.default_rng(1)
    visible = random.integers(0, 256, (2, 48, 64, 3), np.uint8)
    infrared = random.integers(0, 256, (2, 48, 64), np.uint8)
    (fused,) = session.run(None, {"visible": visible, "infrared": infrared})
    with FusionEngine.load(backend="torch", precision="float32") as engine:
        assert engine.weights is not None
        wanted = engine.fuse(visible=visible, infrared=infrared)
        digest = engine.weights.card.sha256
    assert np.abs(fused.astype(int) - wanted).max() <= 1
    assert [one.shape for one in session.get_inputs()] == [[2, 48, 64, 3], [2, 48, 64]]
    notes = {prop.key: prop.value for prop in onnx.load(report.file).metadata_props}
    assert notes["weights_sha256"] == digest


@pytest.mark.slow
@pytest.mark.parametrize("form", ExportFormat)
def test_a_detector(tmp_path: Path, form: ExportFormat) -> None:
    """Its raw predictions, with masks where it has them; the size must suit its stride."""
    weights = save_constant_network(tmp_path / "constant.pt", architecture="yolov8n-seg")
    wanted = job(tmp_path / "out", form=form, model="detector", weights=str(weights), size_wh=(96, 64))
    report = export(wanted)
    assert report.psnr_db >= 60
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert [port["shape"] for port in card["outputs"]] == [[1, 116, 126], [1, 32, 16, 24]]
    assert len(card["classes"]) == 80
    with pytest.raises(UsageError, match="--size must be multiples of 32 for this network, got 100x64"):
        export(replace(wanted, size_wh=(100, 64)))


def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    """A finished export is recognised; a damaged one is not."""
    wanted = job(tmp_path / "out", size_wh=(32, 16))
    first = export(wanted)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    again = export(wanted)
    assert again.was_there
    assert (again.file, again.psnr_db) == (first.file, first.psnr_db)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    first.file.write_bytes(b"damaged")
    with pytest.raises(UsageError, match="holds another export; add --force"):
        export(wanted)
    assert not export(replace(wanted, force=True)).was_there


def test_another_export_is_replaced_only_by_force(tmp_path: Path) -> None:
    """With it, the folder holds the new one and nothing else."""
    export(job(tmp_path / "out", size_wh=(32, 16)))
    before = contents(tmp_path / "out")
    other = job(tmp_path / "out", form=ExportFormat.OPENVINO, size_wh=(32, 16))
    with pytest.raises(UsageError, match="holds another export; add --force to replace it"):
        export(other)
    assert contents(tmp_path / "out") == before
    export(replace(other, force=True))
    assert {path.name for path in tmp_path.rglob("*")} == {
        "out",
        "README.md",
        "card.json",
        "grdb-fine-rgb.xml",
        "grdb-fine-rgb.bin",
    }


@pytest.mark.parametrize("force", [False, True])
def test_what_is_not_ours_is_never_touched(tmp_path: Path, *, force: bool) -> None:
    """Not by force either: a folder of something else, a file, or an export with something in it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("more")
    with pytest.raises(UsageError, match=r"holds other things than an export \(thesis.txt\)"):
        export(job(tmp_path / "out", force=force))
    with pytest.raises(UsageError, match="is a file"):
        export(job(tmp_path / "file", force=force))
    export(job(tmp_path / "mine", size_wh=(32, 16)))
    (tmp_path / "mine" / "notes").mkdir()
    with pytest.raises(UsageError, match=r"holds other things than an export \(notes\)"):
        export(job(tmp_path / "mine", size_wh=(16, 16), force=force))
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_a_file_that_says_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of it, and what was there before stays."""
    export(job(tmp_path / "out", size_wh=(32, 16)))
    before = contents(tmp_path / "out")
    honest = exporting.run_written
    monkeypatch.setattr(
        exporting,
        "run_written",
        lambda *given: {name: array + np.uint8(9) for name, array in honest(*given).items()},
    )
    with pytest.raises(PromiseError, match=r"agrees with torch to .* dB, expected 60 dB or more; nothing"):
        export(job(tmp_path / "out", size_wh=(16, 16), force=True))
    assert contents(tmp_path / "out") == before
    with pytest.raises(PromiseError):
        export(job(tmp_path / "new", size_wh=(16, 16)))
    assert not (tmp_path / "new").exists()


def test_bad_wishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one error, before anything is written."""
    with pytest.raises(UsageError, match="no fusion model is called 'grbd'"):
        export(job(tmp_path / "out", model="grbd"))
    with pytest.raises(WeightsError, match="no weights are called 'none'"):
        export(job(tmp_path / "out", weights="none"))
    with pytest.raises(UsageError, match=r"must be at least 1, got None and \(0, 4\)"):
        job(tmp_path / "out", size_wh=(0, 4))
    for batch, size_wh in ((None, (100_000, 100_000)), (2, (4096, 2304))):
        with pytest.raises(UsageError, match=r"at most 9437184 \(4096x2304\) can be run to check the file"):
            job(tmp_path / "out", size_wh=size_wh, batch=batch)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export(job(tmp_path / "file" / "below"))
    monkeypatch.delitem(sys.modules, "streamfuse.engine.backends.onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MachineError, match=r"pip install 'streamfuse\[onnx\]'"):
        export(job(tmp_path / "out"))
    assert {path.name for path in tmp_path.iterdir()} == {"file"}
