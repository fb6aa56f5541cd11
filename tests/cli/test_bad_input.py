"""What a user does wrong gets one clear line, the right exit code, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from streamfuse.frames import Image
from streamfuse.io.images import write_png

Call = Callable[..., tuple[int, str]]
NO_DAC = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Call the program in a fresh folder: exit code and what it said on standard error."""

    def run(*words: str, prefix: list[str] | None = None) -> tuple[int, str]:
        done = subprocess.run(
            [*(prefix or []), sys.executable, "-m", "streamfuse", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
        )
        return done.returncode, done.stderr

    return run


def video(
    path: Path, *, size_wh: tuple[int, int] = (64, 48), frames: int = 10, codec: str = "libx264"
) -> Path:
    """A real video with some texture."""
    width, height = size_wh
    rng = np.random.default_rng(3)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(frames):
            picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


def pipeline(folder: Path, visible: str, infrared: str, more: str = "") -> str:
    """Write a pipeline on two sources; its path."""
    path = folder / "pipeline.yaml"
    path.write_text(
        f'mode: every_frame\nsources:\n  visible: {{uri: "{visible}"}}\n'
        f'  infrared: {{uri: "{infrared}"}}\n{more}'
    )
    return str(path)


def images(folder: Path, *names: str, size_wh: tuple[int, int] = (32, 24)) -> Path:
    """A folder of small grey images."""
    folder.mkdir()
    for name in names:
        write_png(folder / name, Image.from_gray(np.full(size_wh[::-1], 90, np.uint8)))
    return folder


def assert_one_line(words: str, *parts: str) -> None:
    """Exactly one line, with all parts."""
    lines = words.strip().splitlines()
    assert len(lines) == 1, words
    assert all(part in lines[0] for part in parts), words


def test_a_missing_pipeline_file(call: Call) -> None:
    """The name is in the message."""
    code, words = call("run", "nothing.yaml")
    assert code == 2
    assert_one_line(words, "nothing.yaml")


def test_a_missing_source_file(call: Call, tmp_path: Path) -> None:
    """Which stream and which file."""
    code, words = call("run", pipeline(tmp_path, "gone.mp4", "gone.mp4"))
    assert code == 3
    assert_one_line(words, "visible", "gone.mp4")


def test_a_summary_over_a_file_of_the_run(call: Call, tmp_path: Path) -> None:
    """Neither a pipeline file nor what it names is replaced by it, under whatever name."""
    path = Path(pipeline(tmp_path, "a.mp4", "b.mp4"))
    (tmp_path / "link.json").symlink_to(path)
    before = path.read_text()
    for summary, what in (("link.json", "pipeline file"), ("./b.mp4", "sources.infrared.uri")):
        code, words = call("run", str(path), "--summary", summary)
        assert code == 2
        assert_one_line(words, f"--summary {Path(summary)}: this is the {what} of pipeline")
    assert path.read_text() == before


def test_a_summary_without_a_place(call: Call, tmp_path: Path) -> None:
    """Folders are not made for it, nor is one replaced."""
    path = pipeline(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "folder").mkdir()
    for summary, why in (("nowhere/a.json", "there is no folder nowhere"), ("folder", "is a folder")):
        code, words = call("run", path, "--summary", summary)
        assert code == 3
        assert_one_line(words, why)
    assert not (tmp_path / "nowhere").exists()


def test_a_text_file_named_mp4(call: Call, tmp_path: Path) -> None:
    """It is no video, and no traceback says so."""
    (tmp_path / "notes.mp4").write_text("these are notes\n" * 100)
    code, words = call("run", pipeline(tmp_path, "notes.mp4", "notes.mp4"))
    assert code == 3
    assert_one_line(words, "visible", "notes.mp4")


def test_a_video_of_odd_size(call: Call, tmp_path: Path) -> None:
    """641x479 cannot be 4:2:0; the message says how to crop it, and nothing is recorded."""
    video(tmp_path / "odd.avi", size_wh=(641, 479), frames=3, codec="mjpeg")
    code, words = call("run", pipeline(tmp_path, "odd.avi", "odd.avi", "record: {dir: recordings}\n"))
    assert code == 3
    assert_one_line(words, "641x479", "crop")
    assert not (tmp_path / "recordings").exists()


def test_streams_of_different_size_without_a_rig(call: Call, tmp_path: Path) -> None:
    """Both sizes, and that a rig is what is missing."""
    video(tmp_path / "a.mp4", size_wh=(64, 48))
    video(tmp_path / "b.mp4", size_wh=(32, 24))
    code, words = call("run", pipeline(tmp_path, "a.mp4", "b.mp4"))
    assert code == 2
    assert_one_line(words, "64x48", "32x24", "rig")


def test_a_typo_in_the_pipeline(call: Call, tmp_path: Path) -> None:
    """File, line, column and the nearest valid key."""
    path = pipeline(tmp_path, "a.mp4", "b.mp4", "fusoin: {batch: 2}\n")
    code, words = call("run", path)
    assert code == 2
    assert_one_line(words, "pipeline.yaml:5:1", "fusoin", 'did you mean "fusion"')


def test_folders_without_a_common_name(call: Call, tmp_path: Path) -> None:
    """In `fuse` as in `run`: names of both sides are shown, and no output folder appears."""
    images(tmp_path / "v", "a.png", "b.png")
    images(tmp_path / "i", "c.png", "d.png")
    code, words = call("fuse", "--visible", "v", "--infrared", "i", "--out", "out")
    assert code == 3
    assert_one_line(words, "a", "c")
    assert not (tmp_path / "out").exists()
    code, words = call("run", pipeline(tmp_path, "v", "i"))
    assert code == 3
    assert_one_line(words, "a", "c")


def test_a_truncated_video_is_fused_as_far_as_it_goes(call: Call, tmp_path: Path) -> None:
    """What is there is recorded, whole and readable; then it says what is missing and exits 3."""
    whole = video(tmp_path / "whole.mp4", frames=50)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    code, words = call("run", pipeline(tmp_path, "cut.mp4", "whole.mp4", "record: {dir: recordings}\n"))
    assert code == 3
    running, trouble = words.splitlines()
    assert running.startswith("running with ")
    assert_one_line(trouble, "cut.mp4", "of 50 frames")
    (recording,) = tmp_path.glob("recordings/*.mp4")
    with av.open(str(recording)) as container:
        recorded = sum(1 for _ in container.decode(video=0))
    assert 10 < recorded < 50


def test_an_output_folder_without_write_permission(call: Call, tmp_path: Path) -> None:
    """Said before any work is done."""
    images(tmp_path / "v", "a.png")
    images(tmp_path / "i", "a.png")
    (tmp_path / "locked").mkdir(mode=0o555)
    prefix = NO_DAC if os.geteuid() == 0 else None  # root may write anywhere unless it gives that up
    arguments = ("fuse", "--visible", "v", "--infrared", "i", "--out", "locked/out")
    code, words = call(*arguments, prefix=prefix)
    assert code == 3
    assert_one_line(words, "locked", "cannot write")
    path = pipeline(tmp_path, "v", "i", "record: {dir: locked/recordings}\n")
    code, words = call("run", path, prefix=prefix)
    assert code == 3
    assert_one_line(words, "locked", "cannot write")


def test_weights_that_do_not_exist(call: Call, tmp_path: Path) -> None:
    """The known names are listed; the engine's refusal ends the run at once."""
    images(tmp_path / "v", "a.png")
    images(tmp_path / "i", "a.png")
    code, words = call("run", pipeline(tmp_path, "v", "i", "fusion: {weights: nonesuch}\n"))
    assert code == 3
    assert_one_line(words, "nonesuch", "default")


def test_a_checkpoint_that_is_no_state_dict(call: Call, tmp_path: Path) -> None:
    """A pickle of something else is refused, and nothing is imported."""
    (tmp_path / "bad.pth").write_bytes(b"not a checkpoint")
    code, words = call("weights", "import", "bad.pth", "--as", "bad")
    assert code == 3
    assert_one_line(words, "bad.pth")
