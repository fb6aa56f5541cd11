"""Offline fusion of images: complete, resumable, and loud about what it could not do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfuse.engine.fusion import FusionEngine, Mode
from streamfuse.errors import OutputError, SourceError, UsageError
from streamfuse.frames import Image
from streamfuse.jobs.fuse import FuseJob, FuseReport, fuse
from streamfuse.jobs.fusing.overlap import WriteBehind, read_ahead

Bytes = npt.NDArray[np.uint8]
SIZE = (24, 32)


@pytest.fixture(scope="module")
def engine() -> Iterator[FusionEngine]:
    """The shipped network in float32."""
    with FusionEngine.load(backend="openvino", precision="float32") as engine:
        yield engine


def noise(*shape: int, seed: int = 0) -> Bytes:
    """Random samples."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_pair(root: Path, stem: str, *, infrared_size: tuple[int, int] = SIZE) -> None:
    """A visible PNG and an infrared BMP of one stem."""
    seed = sum(stem.encode())
    for name, suffix, image in (
        ("visible", ".png", noise(*SIZE, 3, seed=seed)),
        ("infrared", ".bmp", noise(*infrared_size, seed=seed + 1)),
    ):
        (root / name).mkdir(exist_ok=True)
        cv2.imwrite(str(root / name / f"{stem}{suffix}"), image)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five pairs in two folders."""
    for number in (1, 2, 3, 9, 10):
        write_pair(tmp_path, f"scene{number}")
    return tmp_path


def job_in(root: Path, *, mode: Mode = Mode.STREAM, batch: int = 2, overwrite: bool = False) -> FuseJob:
    """The two folders of ``root`` to its folder ``out``."""
    return FuseJob(
        visible=root / "visible",
        infrared=root / "infrared",
        out=root / "out",
        mode=mode,
        batch=batch,
        overwrite=overwrite,
    )


def results(root: Path) -> set[str]:
    """Names of the visible files in the output folder."""
    return {path.name for path in (root / "out").iterdir() if not path.name.startswith(".")}


class StopError(Exception):
    """Stands for whatever kills a job."""


def run_and_stop(job: FuseJob, engine: FusionEngine, *, after: int) -> None:
    """Run a job that dies as soon as ``after`` images are done."""

    def stop(done: int, _total: int | None) -> None:
        if done >= after:
            raise StopError

    with pytest.raises(StopError):
        fuse(job, engine, on_progress=stop)


@pytest.mark.parametrize("mode", Mode)
def test_folder_of_png_with_the_stems_of_the_inputs(root: Path, engine: FusionEngine, mode: Mode) -> None:
    """Every pair becomes the PNG that the engine makes of it; suffixes of the inputs may differ."""
    report = fuse(job_in(root, mode=mode), engine)
    report.check()
    assert (report.written, report.skipped, report.unmatched, report.failed) == (5, 0, (), {})
    assert results(root) == {f"scene{number}.png" for number in (1, 2, 3, 9, 10)}
    visible = Image.from_rgb(noise(*SIZE, 3, seed=sum(b"scene9"))[..., ::-1].copy())
    infrared = Image.from_gray(noise(*SIZE, seed=sum(b"scene9") + 1))
    (expected,) = engine.fuse_images([(visible, infrared)], mode)
    np.testing.assert_array_equal(cv2.imread(str(root / "out" / "scene9.png"))[..., ::-1], expected.planes[0])


def test_progress_rises_to_the_total(root: Path, engine: FusionEngine) -> None:
    """The callback hears the start, each batch and the end."""
    told: list[tuple[int, int | None]] = []
    fuse(job_in(root), engine, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_images_without_a_partner_are_named(root: Path, engine: FusionEngine) -> None:
    """What only one folder has is listed and not written."""
    (root / "infrared" / "scene2.bmp").unlink()
    (root / "visible" / "scene10.png").unlink()
    report = fuse(job_in(root), engine)
    assert report.unmatched == ("scene2", "scene10")
    assert report.written == 3
    assert results(root) == {"scene1.png", "scene3.png", "scene9.png"}


def test_folders_without_a_common_stem(root: Path, engine: FusionEngine) -> None:
    """Nothing to do is an error, not an empty success."""
    for path in (root / "infrared").iterdir():
        path.rename(path.with_name(f"ir_{path.name}"))
    with pytest.raises(SourceError, match="name partners alike"):
        fuse(job_in(root), engine)


def test_a_bad_pair_fails_alone(root: Path, engine: FusionEngine) -> None:
    """Other sizes and damaged files are reported by stem, the rest is written, and check() raises."""
    write_pair(root, "scene2", infrared_size=(20, 32))
    (root / "visible" / "scene9.png").write_bytes(b"no image")
    report = fuse(job_in(root), engine)
    assert (report.written, set(report.failed)) == (3, {"scene2", "scene9"})
    assert "32x24" in report.failed["scene2"]
    assert "32x20" in report.failed["scene2"]
    assert results(root) == {"scene1.png", "scene3.png", "scene10.png"}
    with pytest.raises(SourceError) as caught:
        report.check()
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["scene2", "scene9"]
    assert caught.value.exit_code == 3


def test_a_stopped_job_goes_on(root: Path, engine: FusionEngine) -> None:
    """Started again, it skips what is done and makes the rest; a third time there is nothing to do."""
    run_and_stop(job_in(root), engine, after=2)
    done = len(results(root))
    assert 2 <= done < 5
    report = fuse(job_in(root), engine)
    assert (report.skipped, report.written) == (done, 5 - done)
    assert len(results(root)) == 5
    assert fuse(job_in(root), engine) == FuseReport(out=root / "out", written=0, skipped=5)


def test_an_input_that_changed_is_fused_again(root: Path, engine: FusionEngine) -> None:
    """A result older than its inputs is not taken for done."""
    fuse(job_in(root), engine)
    later_ns = (root / "out" / "scene3.png").stat().st_mtime_ns + 10**9
    os.utime(root / "infrared" / "scene3.bmp", ns=(later_ns, later_ns))
    report = fuse(job_in(root), engine)
    assert (report.written, report.skipped) == (1, 4)


def test_other_settings_do_not_mix(root: Path, engine: FusionEngine) -> None:
    """A folder holds results of one kind: others are refused until ``overwrite`` replaces all."""
    fuse(job_in(root), engine)
    before = (root / "out" / "scene1.png").read_bytes()
    with pytest.raises(UsageError, match="holds images made with mode stream; add --overwrite"):
        fuse(job_in(root, mode=Mode.REFERENCE), engine)
    assert (root / "out" / "scene1.png").read_bytes() == before
    report = fuse(job_in(root, mode=Mode.REFERENCE, overwrite=True), engine)
    assert (report.written, report.skipped) == (5, 0)
    assert (root / "out" / "scene1.png").read_bytes() != before


def test_a_stopped_overwrite_does_not_keep_old_results(root: Path, engine: FusionEngine) -> None:
    """Resumed after ``overwrite`` was cut off, the results of the older job are replaced too."""
    fuse(job_in(root), engine)
    run_and_stop(job_in(root, mode=Mode.REFERENCE, overwrite=True), engine, after=2)
    report = fuse(job_in(root, mode=Mode.REFERENCE), engine)
    assert 0 < report.skipped < 5
    assert report.skipped + report.written == 5


def test_a_pair_that_fails_now_keeps_no_old_result(root: Path, engine: FusionEngine) -> None:
    """After a failure the folder does not hold a result that this job did not make."""
    fuse(job_in(root), engine)
    (root / "visible" / "scene9.png").write_bytes(b"no image")
    report = fuse(job_in(root, overwrite=True), engine)
    assert set(report.failed) == {"scene9"}
    assert "scene9.png" not in results(root)


def test_images_of_somebody_else_are_safe(root: Path, engine: FusionEngine) -> None:
    """Files that this job did not make are not replaced, and other files do not disturb it."""
    (root / "out").mkdir()
    (root / "out" / "notes.txt").write_text("mine")
    theirs = root / "out" / "scene3.png"
    theirs.write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds images made by something else"):
        fuse(job_in(root), engine)
    assert theirs.read_bytes() == b"mine"
    theirs.unlink()
    assert fuse(job_in(root), engine).written == 5


def test_output_that_cannot_be_written(root: Path, engine: FusionEngine) -> None:
    """An impossible folder is refused before any work."""
    (root / "out").write_text("a file")
    with pytest.raises(OutputError):
        fuse(job_in(root), engine, on_progress=lambda *_: pytest.fail("work was begun"))


def test_output_over_an_input() -> None:
    """A job that would eat its own input is refused, however the path is written."""
    with pytest.raises(UsageError, match="is an input"):
        FuseJob(visible=Path("a"), infrared=Path("b"), out=Path("c/../b"))


def test_inputs_of_two_kinds(root: Path, engine: FusionEngine) -> None:
    """A folder and an image do not go together; a path that is not there is a source that is not there."""
    image = root / "infrared" / "scene1.bmp"
    with pytest.raises(
        UsageError, match=r"must both be folders, images or videos; .* is a folder and .* an image"
    ):
        fuse(FuseJob(visible=root / "visible", infrared=image, out=root / "out"), engine)
    with pytest.raises(SourceError, match="there is no such file or folder"):
        fuse(FuseJob(visible=root / "visble", infrared=image, out=root / "out"), engine)


def test_one_image(root: Path, engine: FusionEngine) -> None:
    """A pair of files becomes one PNG, which is not replaced unasked."""
    visible, infrared = root / "visible" / "scene1.png", root / "infrared" / "scene1.bmp"
    job = FuseJob(visible=visible, infrared=infrared, out=root / "new" / "one.png")
    assert fuse(job, engine).written == 1
    assert cv2.imread(str(job.out)).shape == (*SIZE, 3)
    with pytest.raises(UsageError, match=r"one\.png exists; add --overwrite"):
        fuse(job, engine)
    with pytest.raises(UsageError, match=r"must end in \.png"):
        fuse(FuseJob(visible=visible, infrared=infrared, out=root / "one.jpg"), engine)


def test_reading_ahead_gives_all_items_and_passes_errors_on() -> None:
    """Order is kept, and what the iterable raises comes out after the items before it."""

    def items() -> Iterator[int]:
        yield from range(3)
        raise StopError

    seen: list[int] = []
    with ThreadPoolExecutor(1) as pool, pytest.raises(StopError):
        seen.extend(read_ahead(pool, items()))
    assert seen == [0, 1, 2]


def test_writing_behind_passes_errors_on() -> None:
    """A write that failed is heard of, at the latest when all are finished."""

    def write(item: int) -> None:
        if item == 2:
            raise StopError

    with ThreadPoolExecutor(1) as pool:
        sink = WriteBehind(pool, write, waiting=3)
        for item in range(3):
            sink.put(item)
        with pytest.raises(StopError):
            sink.finish()
