"""A video file and what may end it."""

from __future__ import annotations

import errno
import fcntl
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers import need_server

from streamfuse.clock import NS_PER_S
from streamfuse.errors import OutputError
from streamfuse.frames import Image, PixelFormat
from streamfuse.io.shelf import part_of
from streamfuse.io.video.encoder import VideoEncoder, VideoPacket
from streamfuse.io.video.file import VideoFile

PERIOD_NS = 1_000_000_000 // 30
Encode = Callable[..., tuple[VideoEncoder, list[VideoPacket]]]
Read = Callable[[Path], Any]


def write_all(file: VideoFile, packets: list[VideoPacket]) -> None:
    """Write packets until the end or an error."""
    for packet in packets:
        file.write(packet)


@contextmanager
def files_end_at(nbytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond: a full disk, to the byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_on(file: VideoFile, packet: VideoPacket, *, seconds: float) -> None:
    """Write a key packet again and again, at rising times."""
    deadline_s = time.monotonic() + seconds
    pts_ns = NS_PER_S
    while time.monotonic() < deadline_s:
        file.write(replace(packet, pts_ns=pts_ns))
        pts_ns += PERIOD_NS


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1", "mpeg4"])
def test_one_encoder_fills_many_files(tmp_path: Path, packets: Encode, held: Read, codec: str) -> None:
    """Cut at a key, both files play from their start, have each frame once, and the same pixels."""
    encoder, coded = packets(90, codec=codec, begin_ns=10**15)
    whole, first, second = (tmp_path / f"{name}.mp4" for name in ("whole", "first", "second"))
    (_, cut, *_) = [index for index, packet in enumerate(coded) if packet.is_key]
    for path, part in ((whole, coded), (first, coded[:cut]), (second, coded[cut:])):
        with VideoFile(path, encoder.template, start_ns=part[0].pts_ns) as file:
            write_all(file, part)
    pictures = held(first).pictures + held(second).pictures
    assert len(pictures) == 90
    for picture, expected in zip(pictures, held(whole).pictures, strict=True):
        np.testing.assert_array_equal(picture.to_ndarray(), expected.to_ndarray())
    np.testing.assert_allclose(
        held(second).times_s, [(packet.pts_ns - coded[cut].pts_ns) / 1e9 for packet in coded[cut:]], atol=1e-4
    )


@pytest.mark.parametrize(
    ("suffix", "codec", "tick_s"), [(".mp4", "libx264", 1 / 60_000), (".mkv", "ffv1", 1e-3)]
)
def test_a_late_start_is_kept(
    tmp_path: Path, packets: Encode, held: Read, suffix: str, codec: str, tick_s: float
) -> None:
    """A track whose first picture comes after the segment's start has it there, as a part and when whole."""
    encoder, coded = packets(60, codec=codec, begin_ns=5_200_000_000)
    path = tmp_path / f"v{suffix}"
    expected_s = [0.2 + index * PERIOD_NS / 1e9 for index in range(60)]
    with VideoFile(path, encoder.template, start_ns=5_000_000_000) as file:
        write_all(file, coded)
        times_s = held(part_of(path)).times_s
        np.testing.assert_allclose(times_s, expected_s[: len(times_s)], atol=tick_s)
    np.testing.assert_allclose(held(path).times_s, expected_s, atol=tick_s)
    assert path.stat().st_size > 0
    assert not part_of(path).exists()


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "ffv1")])
def test_half_a_second_is_never_exceeded(
    tmp_path: Path, packets: Encode, held: Read, suffix: str, codec: str
) -> None:
    """At any moment all but the last half second (and one frame) can be read, also of a still scene."""
    encoder, coded = packets(70, codec=codec, format_=PixelFormat.GRAY8)
    path = tmp_path / f"v{suffix}"
    with VideoFile(path, encoder.template) as file:
        for index, packet in enumerate(coded):
            file.write(packet)
            if index in {20, 44, 46, 69}:
                assert len(held(part_of(path)).pictures) >= index - 15
                assert file.nbytes == part_of(path).stat().st_size


def test_texts_move_no_picture(tmp_path: Path, image: Callable[..., Image], held: Read) -> None:
    """Pictures at odd moments are shown at theirs, whether a text comes with each and however long it is."""
    rng = np.random.default_rng(7)
    times_ns = (np.cumsum(rng.integers(1, 8, 40)) * NS_PER_S // 10).tolist()
    path = tmp_path / "v.mp4"
    encoder = VideoEncoder(image(0).spec, fps=10)
    with encoder, VideoFile(path, encoder.template, start_ns=times_ns[0], texts=True) as file:
        for index, pts_ns in enumerate(times_ns):
            for packet in encoder.encode(image(index), pts_ns):
                file.write(packet)
            file.write_text(str(index), pts_ns=pts_ns, duration_ns=NS_PER_S // 10)
    expected = [(pts_ns - times_ns[0]) / NS_PER_S for pts_ns in times_ns]
    assert held(path).times_s == pytest.approx(expected, abs=1e-4)


def test_texts_go_beside_the_pictures(tmp_path: Path, packets: Encode, held: Read) -> None:
    """Each at its time, in order, whatever letters; gaps and repeated times do no harm; so in a part."""
    encoder, coded = packets(75)
    path = tmp_path / "v.mp4"
    with VideoFile(path, encoder.template, texts=True) as file:
        for index, packet in enumerate(coded):
            file.write(packet)
            if index % 10 < 7:
                file.write_text(f"Füße {index}", pts_ns=packet.pts_ns, duration_ns=packet.duration_ns)
        file.write_text("x" * 100_000, pts_ns=coded[-1].pts_ns, duration_ns=PERIOD_NS)
        assert len(held(part_of(path)).pictures) >= 58
        assert ("Füße 35") in [text for _, text in held(part_of(path)).texts]
    found = held(path)
    assert len(found.pictures) == 75
    *texts, (_, long) = found.texts
    assert [text for _, text in texts] == [f"Füße {index}" for index in range(75) if index % 10 < 7]
    assert len(long) == 65_535
    for time_s, text in texts:
        assert time_s == pytest.approx(int(text[5:]) * PERIOD_NS / 1e9, abs=1e-4)


def test_texts_do_not_hold_pictures_back(tmp_path: Path, packets: Encode, held: Read) -> None:
    """All up to the newest key packet, once a second, is there; the muxer waits for no text."""
    encoder, coded = packets(60)
    path = tmp_path / "v.mp4"
    with VideoFile(path, encoder.template, texts=True) as file:
        write_all(file, coded)
        assert len(held(part_of(path)).pictures) >= 60 - 31
    assert len(held(path).pictures) == 60


def test_a_file_is_held_until_it_is_closed(tmp_path: Path, packets: Encode) -> None:
    """A scan that finds a part without a lock knows that its writer is dead."""
    encoder, coded = packets(2)
    path = tmp_path / "v.mp4"
    with VideoFile(path, encoder.template) as file, part_of(path).open() as other:
        write_all(file, coded)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        file.abandon()
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert part_of(path).exists()
    assert not path.exists()


def test_what_a_crash_left_is_not_overwritten(tmp_path: Path, packets: Encode) -> None:
    """A part may be the only copy; in place, older files go."""
    encoder, coded = packets(2)
    path = tmp_path / "v.mp4"
    part_of(path).write_bytes(b"evidence")
    with pytest.raises(OutputError, match=r"v\.mp4: cannot be written \(File exists\)"):
        VideoFile(path, encoder.template)
    assert part_of(path).read_bytes() == b"evidence"
    path.write_bytes(b"old")
    with VideoFile(path, encoder.template, in_place=True) as file:
        write_all(file, coded)
    assert path.stat().st_size > 500


def test_a_file_without_a_picture_vanishes(tmp_path: Path, packets: Encode) -> None:
    """No player could open it."""
    encoder, _ = packets(1)
    with VideoFile(tmp_path / "v.mp4", encoder.template):
        pass
    assert list(tmp_path.iterdir()) == []


def test_misuse_of_a_file_is_told(tmp_path: Path, packets: Encode) -> None:
    """A start without a key, times before the start, texts where there are none, other suffixes."""
    encoder, coded = packets(3)
    for name, texts in (("v.avi", False), ("v.mkv", True)):
        with pytest.raises(ValueError, match=r"\.mp4, or \.mkv without texts; got v"):
            VideoFile(tmp_path / name, encoder.template, texts=texts)
    with VideoFile(tmp_path / "v.mp4", encoder.template, start_ns=1) as file:
        with pytest.raises(ValueError, match="must begin with a key packet"):
            file.write(coded[1])
        with pytest.raises(ValueError, match="begins at 1 ns, got a packet of 0 ns"):
            file.write(coded[0])
        with pytest.raises(ValueError, match="without texts"):
            file.write_text("", pts_ns=1, duration_ns=1)
    with pytest.raises(ValueError, match="is closed"):
        file.write(coded[0])


@pytest.mark.fault
def test_a_disk_that_fills_up_keeps_all_whole_fragments(
    small_disk: Path, packets: Encode, held: Read, record_property: Callable[[str, object], None]
) -> None:
    """The cause names the errno, what was written plays, and with room again the next file is whole."""
    record_property("room", "operations")
    record_property("fault", "the disk fills up under a video file")
    record_property("promise", "all but the last 0.5 s can be read; with room again the next file is whole")
    encoder, coded = packets(120, codec="ffv1", format_=PixelFormat.GRAY8)
    path = small_disk / "v.mkv"
    file = VideoFile(path, encoder.template)
    with pytest.raises(OutputError, match=r"v\.mkv: cannot be written \(No space left") as caught:
        write_all(file, coded)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    file.close()
    readable = len(held(part_of(path)).pictures)
    shutil.copy(part_of(path), small_disk.parent)
    part_of(path).unlink()
    with VideoFile(path, encoder.template) as again:
        write_all(again, coded[: readable // 2])
    assert readable >= 15
    assert len(held(path).pictures) == readable // 2


@pytest.mark.fault
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "ffv1")])
def test_no_room_for_the_end_of_a_file_costs_half_a_second_only(
    tmp_path: Path,
    packets: Encode,
    held: Read,
    record_property: Callable[[str, object], None],
    suffix: str,
    codec: str,
) -> None:
    """Wherever the end is cut off, the head does not point to an index that is not there."""
    record_property("room", "operations")
    record_property("fault", f"the disk is full when a video file ({suffix}) is closed")
    record_property("promise", "all but the last 0.5 s can be read")
    encoder, coded = packets(70, codec=codec, format_=PixelFormat.GRAY16 if codec == "ffv1" else "yuv420p")
    whole = tmp_path / f"whole{suffix}"
    with VideoFile(whole, encoder.template) as file:
        write_all(file, coded)
        begin = file.nbytes
    for room in np.linspace(begin, whole.stat().st_size - 1, 12).astype(int):
        path = tmp_path / f"{room}{suffix}"
        file = VideoFile(path, encoder.template)
        write_all(file, coded)
        with files_end_at(int(room)), pytest.raises(OutputError, match="File too large"):
            file.close()
        assert len(held(part_of(path)).pictures) >= 70 - 17


@pytest.mark.fault
def test_a_folder_removed_under_a_file_is_noticed(
    tmp_path: Path, packets: Encode, record_property: Callable[[str, object], None]
) -> None:
    """Linux takes writes to a deleted file without a word; we do not."""
    record_property("room", "operations")
    record_property("fault", "the folder is removed under a video file")
    record_property("promise", "told at the next fragment but one")
    folder = tmp_path / "recordings"
    folder.mkdir()
    encoder, coded = packets(20)
    file = VideoFile(folder / "v.mp4", encoder.template)
    write_all(file, coded)
    shutil.rmtree(folder)
    began_s = time.monotonic()
    with pytest.raises(OutputError, match="check the folder") as caught:
        write_on(file, coded[0], seconds=20)
    record_property("recovery_s", round(time.monotonic() - began_s, 3))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOENT
    file.close()


def test_a_common_player_agrees(tmp_path: Path, packets: Encode) -> None:
    """FFmpeg's own prober sees a plain MP4 of the right length, with its index."""
    need_server(None if shutil.which("ffprobe") else "ffprobe is not installed")
    encoder, coded = packets(60)
    path = tmp_path / "v.mp4"
    with VideoFile(path, encoder.template) as file:
        write_all(file, coded)
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=nb_frames,duration", "-of", "csv=p=0", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "2.000000,60"
    assert told.stderr == ""
