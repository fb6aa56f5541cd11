"""The recorder on a disk that is full, gone or back, and after a death."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from endurance import LONG
from recorded import FPS, UTC, fused, index_of, pictures_of
from servers import need_server

from streamfuse.config.outputs import Record
from streamfuse.core.degrade import RETRY_S
from streamfuse.io.recorder.recorder import Recorder
from streamfuse.io.shelf import Track, list_segments

NS_PER_FRAME = 1_000_000_000 // FPS


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    need_server(None if done.returncode == 0 else "a small disk needs root and mount")
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
        yield folder


def write(recorder: Recorder, numbers: range) -> list[bool]:
    """Record frames in the time they stand for; which were taken."""
    taken = []
    for number in numbers:
        frame = fused(number)
        recorder.turn(frame.capture_ns)
        taken.append(recorder.write(frame, now_ns=frame.capture_ns))
    return taken


def fill(ballast: Path) -> None:
    """Leave no byte free on the disk of ``ballast``."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4_096):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def teller(said: list[str]) -> Callable[[str, str], None]:
    """Keeps what is said with its level: trouble is a warning, and what is well again is not."""

    def say(level: str, text: str) -> None:
        is_well = "is recorded again" in text or "finished what was cut off" in text
        assert level == ("info" if is_well else "warning"), text
        said.append(text)

    return say


@pytest.mark.fault
def test_a_full_disk_stops_in_the_stated_order_and_comes_back(
    small_disk: Path, record_property: Callable[[str, object], None]
) -> None:
    """The video goes before the index, frames are counted, and everything is back by itself."""
    record_property("room", "operations")
    record_property("fault", "the disk is full while the recorder writes, then has room again")
    said: list[str] = []
    ballast = small_disk / "ballast"
    settings = Record(dir=small_disk / "rec", codec="libx264", visible=True, raw_infrared=True)
    with Recorder(settings, name="yard", fps=FPS, utc=UTC, say=teller(said)) as recorder:
        assert all(write(recorder, range(150)))
        fill(ballast)
        full = write(recorder, range(150, 300))
        assert not all(full)
        ballast.unlink()
        back = write(recorder, range(300, 450))
    missing = back.index(True)
    recovery_s = missing / FPS
    record_property("recovery_s", recovery_s)
    record_property("promise", "recorded again within 5 s of room on the disk")
    assert recovery_s <= RETRY_S + 3
    assert all(back[missing:])
    stopped = [line.rsplit("not recorded: ", 1)[1] for line in said if "not recorded: " in line]
    order = "raw_infrared, visible, fused, index"
    assert stopped
    assert all(order.startswith(each) for each in stopped), said
    assert any("everything is recorded again" in line for line in said), said
    last = list_segments(small_disk / "rec")[-1]
    assert set(last.tracks) == {Track.FUSED, Track.VISIBLE, Track.RAW_INFRARED}
    assert not any(segment.is_open for segment in list_segments(small_disk / "rec")), said


@pytest.mark.fault
def test_a_folder_that_is_removed_is_made_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """It costs the segment at hand, and the next one is in a new folder within seconds."""
    record_property("room", "operations")
    record_property("fault", "the folder of the recordings is removed under the recorder")
    folder = tmp_path / "rec"
    said: list[str] = []
    with Recorder(Record(dir=folder), name="yard", fps=FPS, utc=UTC, say=teller(said)) as recorder:
        assert all(write(recorder, range(60)))
        shutil.rmtree(folder)
        write(recorder, range(60, 400))
    assert list_segments(folder), said
    (*_, last) = list_segments(folder)
    _, lines = index_of(last.tracks[Track.FUSED])
    recovery_s = (lines[0]["pair_id"] - 60) / FPS
    record_property("recovery_s", recovery_s)
    record_property("promise", "recorded again within 5 s")
    assert recovery_s <= 5
    assert lines[-1]["pair_id"] == 399
    assert len(pictures_of(last.tracks[Track.FUSED])) == len(lines)


@pytest.mark.fault
def test_a_folder_that_is_away_with_its_disk_costs_frames_and_nothing_else(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """What is above the folder is not made: it may be where a disk is mounted."""
    record_property("room", "operations")
    record_property("fault", "the disk of the recordings is away and comes back")
    disk = tmp_path / "usb"
    said: list[str] = []
    with Recorder(Record(dir=disk / "rec"), name="yard", fps=FPS, utc=UTC, say=teller(said)) as recorder:
        (disk / "rec").rmdir()
        disk.rmdir()
        assert not any(write(recorder, range(120)))
        assert not disk.exists()
        assert len(said) == 1, said
        disk.mkdir()
        back = write(recorder, range(120, 300))
    record_property("recovery_s", back.index(True) / FPS)
    record_property("promise", "recorded again within 5 s")
    assert back.index(True) <= 5 * FPS
    assert all(back[back.index(True) :])
    assert "everything is recorded again" in said[-1]


def test_old_recordings_that_cannot_go_are_a_warning(tmp_path: Path) -> None:
    """Somebody's folder has the name of a recording: the new one is made, and the limit is not kept."""
    (tmp_path / "yard-20200101T000000Z-0001.mp4").mkdir()
    said: list[str] = []
    settings = Record(dir=tmp_path, codec="libx264", segment_s=1, retention={"max_days": 1})
    with Recorder(settings, name="yard", fps=FPS, utc=UTC, say=teller(said)) as recorder:
        assert all(write(recorder, range(4 * FPS)))
    assert ["old recordings cannot be removed" in text for text in said] == [True]


def test_what_a_dead_recorder_left_is_news_and_no_warning(tmp_path: Path) -> None:
    """The next recorder finishes it and says so."""
    killed(tmp_path, 60)
    said: list[str] = []
    Recorder(Record(dir=tmp_path), name="yard", fps=FPS, utc=UTC, say=teller(said)).close()
    assert [text for text in said if "finished what was cut off" in text]


def test_a_patient_recorder_begins_when_its_folder_comes(tmp_path: Path) -> None:
    """One that was started again must not give up because the disk is away just then."""
    disk = tmp_path / "usb"
    settings = Record(dir=disk / "rec", codec="libx264")
    with Recorder(settings, name="yard", fps=FPS, utc=UTC, patient=True) as recorder:
        assert not any(write(recorder, range(60)))
        disk.mkdir()
        assert write(recorder, range(60, 240))[-1]


CHILD = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from recorded import FPS, UTC, fused
    from streamfuse.config.outputs import Record
    from streamfuse.io.recorder.recorder import Recorder

    record = Record(dir=Path(sys.argv[1]), codec="libx264", segment_s=3.0, raw_infrared=True)
    recorder = Recorder(record, name="yard", fps=FPS, utc=UTC)
    for number in range(10_000):
        recorder.write(fused(number), now_ns=number)
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
"""


def killed(folder: Path, after: int) -> int:
    """How many frames a recorder took that was killed some time after frame ``after``."""
    helpers = Path(sys.modules["recorded"].__file__ or "").parent
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), str(helpers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= after:
                child.send_signal(signal.SIGKILL)
                break
        told = [int(line) for line in child.stdout.readlines() if line.endswith("\n")]
    return (told[-1] if told else after) + 1


@pytest.mark.fault
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=LONG)])
def test_kill_9_at_random_moments_costs_a_second_each(
    tmp_path: Path, record_property: Callable[[str, object], None], kills: int
) -> None:
    """No segment lacks more than its last second, and the next recorder finishes the files."""
    record_property("room", "operations")
    record_property("fault", f"kill -9 of a recorder at {kills} random moments of its segments")
    lost_s = []
    for after in np.random.default_rng(3).integers(20, 400, kills):
        folder = tmp_path / str(len(lost_s))
        taken = killed(folder, int(after))
        Recorder(Record(dir=folder), name="yard", fps=FPS, utc=UTC).close()
        segments = list_segments(folder)
        assert not any(segment.is_open for segment in segments)
        counts = [len(pictures_of(segment.tracks[Track.FUSED])) for segment in segments]
        lines = [index_of(segment.tracks[Track.FUSED])[1] for segment in segments]
        # The index goes as far as the longest of the videos.
        assert all(0 <= len(each) - count <= FPS for each, count in zip(lines, counts, strict=True))
        numbers = [line["pair_id"] for each in lines for line in each]
        assert numbers == sorted(set(numbers))
        lost_s.append((taken - sum(counts)) / FPS)
    record_property("recovery_s", max(lost_s))
    record_property("promise", "at most 1 s of video lost")
    assert max(lost_s) <= 1.1


@pytest.mark.fault
def test_old_recordings_go_before_anything_stops(
    small_disk: Path, record_property: Callable[[str, object], None]
) -> None:
    """Where ``min_free`` allows it, room is made in the middle of a segment, and all tracks go on."""
    record_property("room", "operations")
    record_property("fault", "the disk fills up while old recordings are there")
    old = small_disk / "yard-20200101T000000Z-0001.mp4"
    old.write_bytes(b"x" * (6 << 20))
    said: list[str] = []
    settings = Record(dir=small_disk, codec="libx264", raw_infrared=True, retention={"min_free": 1 << 20})
    with Recorder(settings, name="yard", fps=FPS, utc=UTC, say=teller(said)) as recorder:
        assert all(write(recorder, range(150)))
        assert old.exists()
        (small_disk / "ballast").write_bytes(b"x" * (9 << 20))
        assert all(write(recorder, range(150, 300)))
    assert not old.exists()
    assert said == []
    assert len(list_segments(small_disk)) == 1
